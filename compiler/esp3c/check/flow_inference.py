"""The flow of an inference: a test set's items, `input_key`, the model's call, `output_fn`, and what is written."""

from __future__ import annotations

from esp3c.check.flow_artifacts import artifact_types, artifacts
from esp3c.check.flow_base import (
    Flow,
    Items,
    built_in,
    clean,
    configs_of,
    follow,
    hint,
    is_null,
    listed,
    python_path,
    runs_in,
    stock,
    text_of,
    texts_of,
)
from esp3c.check.flow_functions import Target, label_at, method_of, node_place, outcome_of, place_of, plain_function
from esp3c.check.flow_given import behind
from esp3c.check.flow_items import Datasets, TestSet
from esp3c.check.flow_made import made_by
from esp3c.check.flow_steps import ORIGIN, Step, class_place, makes_no_dict, missing_read, said
from esp3c.check.module_calls import called_otherwise
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, MapNode, Node, PythonNode, Scalar
from esp3c.python.bodies import Outcome
from esp3c.python.body_values import Dict, Entry, Kind, Leaf, Listing, Several, Value
from esp3c.python.model import Class, Function
from esp3c.record import record
from esp3c.schema.blocks import INFERENCE
from esp3c.schema.contracts import INFERENCE_PROVIDER, INFERENCE_RUNNER, MODULE, OUTPUT_FN, UTT_ID
from esp3c.source import Span
from esp3c.suggest import did_you_mean


@record
class Written:
    """What an inference writes for each item: its fields, and the place that says so.

    `fields` has a name where something writes it; `named` are the outputs that are not written.
    """

    config: Config
    fields: Items
    returned: Items
    source: str
    idx_key: str
    names: tuple[str, ...] | None


@record
class _Settings:
    """An inference config: its block, whether its absent keys are surely absent, what espnet3 does itself in it."""

    config: Config
    root: MapNode
    known: bool
    own_items: bool
    own_model: bool
    batched: bool | None


def inference_flow(flow: Flow, datasets: Datasets) -> list[Written]:
    """Follows the items of every inference to what is written."""
    written: list[Written] = []
    lines = [each for each in flow.recipe.stages if built_in(each) == "infer"]
    for config in configs_of(flow.recipe, "inference"):
        if lines and not any(config.name in each.needs for each in lines):
            # A base of others, which nothing runs.
            continue
        artifact_types(flow, config)
        settings = _settings(flow, config)
        sets = list(datasets.test_sets(config))
        names = tuple(each.name for each in sets) if sets and all(each.name for each in sets) else None
        if settings is None or not runs_in(flow.recipe, config, "infer") or not stock(flow, "infer"):
            unknown = Items(None, why="the recipe runs it in its own way")
            written.append(Written(config, unknown, unknown, "", UTT_ID, names))
            continue
        if not settings.own_items:
            sets = [TestSet(each.name, Items(None, why="a provider makes the items"), each.span) for each in sets]
        _inputs(flow, settings, sets)
        written.append(_outputs(flow, settings, sets, names))
    return written


def _settings(flow: Flow, config: Config) -> _Settings | None:
    """What is known of an inference; None where a runner of the recipe's own does the work."""
    root = config.root
    reader = flow.reader
    runner, provider = follow(config, root.get("runner")), follow(config, root.get("provider"))
    if runner is not None and not is_null(runner):
        found = _class_path(flow, runner)
        forward = reader.method(found, "forward") if found is not None else None
        if found != INFERENCE_RUNNER and (forward is None or forward.owner != INFERENCE_RUNNER):
            return None
    own_items = own_model = True
    if provider is not None and not is_null(provider):
        found = _class_path(flow, provider)
        if found is None or not reader.is_a(found, (INFERENCE_PROVIDER,)):
            return None
        kept = {name: _owner(flow, found, name) for name in ("build_env_local", "build_dataset", "build_model")}
        if kept["build_env_local"] != INFERENCE_PROVIDER:
            return None
        own_items = kept["build_dataset"] == INFERENCE_PROVIDER
        own_model = kept["build_model"] == INFERENCE_PROVIDER
    size = follow(config, root.get("batch_size"))
    batched: bool | None = None
    if size is None or is_null(size):
        batched = False
    elif isinstance(size, Scalar):
        batched = True
    return _Settings(config, root, clean(root, INFERENCE), own_items, own_model, batched)


def _class_path(flow: Flow, node: Node | None) -> str | None:
    path = node.target.path if isinstance(node, CallNode | PythonNode) else (python_path(node) or (None,))[0]
    found = flow.reader.find(path) if path is not None else None
    return found.path if found is not None and isinstance(found.definition, Class) else None


def _owner(flow: Flow, path: str, name: str) -> str:
    method = flow.reader.method(path, name)
    return method.owner if method is not None else ""


# -- inputs -------------------------------------------------------------------------------------------------------------


def _inputs(flow: Flow, settings: _Settings, sets: list[TestSet]) -> None:
    node = settings.root.get("input_key")
    keys = texts_of(settings.config, node)
    if keys is None or node is None:
        if node is not None:
            flow.miss(node.span, "`input_key`", "its text is not known")
        return
    held = True
    for each in sets:
        for key, span in keys:
            if each.items.lacks(key):
                held = False
                flow.say(
                    "input_key",
                    f"`input_key` names `{key}`, but {each.items.who} holds {listed(each.items.names)}"
                    + hint(key, each.items.names),
                    Label(span, f"`{each.name}` has no such field" if each.name else "no item holds this"),
                    each.items.labels,
                )
            elif each.items.keys is not None and key in each.items.keys.fields:
                flow.proved += 1
    model = follow(settings.config, settings.root.get("model"))
    if held and settings.own_model and isinstance(model, CallNode) and not model.partial:
        _call_model(flow, behind(flow.reader, settings.config, model), keys)


def _call_model(flow: Flow, model: CallNode, keys: list[tuple[str, Span]]) -> None:
    target = _called(flow, model)
    if target is None:
        flow.miss(model.head, f"the call of `{model.target.path}`", "its `__call__` is not readable")
        return
    names = [key for key, _ in keys]
    unknown = [(key, span) for key, span in keys if key not in target.named]
    lacking = [each.name for each in target.required if each.kind != "positional" and each.name not in names]
    place = label_at(place_of(flow.reader, target), "it is called like this")
    head = Label(model.head, "this model")
    if unknown and not target.has("kwargs"):
        key, span = unknown[0]
        free = [name for name in target.named if name not in names]
        flow.say(
            "model_input",
            f"`{target.name}` takes no `{key}`: the fields of `input_key` are its arguments, and it takes "
            + listed(target.named),
            Label(span, did_you_mean(key, free) or "handed on under this name"),
            (*place, head),
        )
    elif lacking:
        span = keys[0][1].to(keys[-1][1]) if keys else model.head
        flow.say(
            "model_input",
            f"`{target.name}` also needs {listed(lacking)}, but `input_key` names only {listed(names)}",
            Label(span, f"add {listed(lacking)} to the list"),
            (*place, head),
        )
    else:
        flow.proved += 1


def _called(flow: Flow, model: CallNode) -> Target | None:
    """What calling the model runs: its `__call__`, or the `forward` of a torch module."""
    made = made_by(flow.reader, model.target.path)
    if not made:
        return None
    if flow.reader.is_a(made, (MODULE,)):
        method = flow.reader.method(made, "__call__")
        if method is None or method.owner == MODULE:
            if called_otherwise(flow.reader, model.target.path):
                return None
            return method_of(flow.reader, made, "forward")
    return method_of(flow.reader, made, "__call__")


# -- outputs ------------------------------------------------------------------------------------------------------------


def _outputs(flow: Flow, settings: _Settings, sets: list[TestSet], names: tuple[str, ...] | None) -> Written:
    config, root = settings.config, settings.root
    idx = follow(config, root.get("idx_key"))
    idx_key = UTT_ID if idx is None or is_null(idx) else text_of(idx)
    node = follow(config, root.get("output_fn"))
    unknown = Items(None, why="what is written is not known")
    nothing = Written(config, unknown, unknown, "", idx_key or UTT_ID, names)
    found = python_path(node)
    if found is None or idx_key is None:
        return nothing
    path, span = found
    target = _output_fn(flow, path, span)
    if target is None:
        return nothing
    returned = _returned(flow, settings, target, span, sets)
    if returned.keys is None:
        if returned.why:
            flow.miss(span, f"what `{target.name}` returns", returned.why)
        return nothing
    if settings.known or idx is not None:
        if returned.lacks(idx_key):
            named = root.get("idx_key")
            near = did_you_mean(idx_key, returned.names) or f"it must return `{idx_key}` too"
            flow.say(
                "output_without_id",
                f"`{target.name}` returns {listed(returned.names)}, but no `{idx_key}`, which names the utterance",
                Label(named.span if named is not None else span, near),
                (*returned.labels, *((Label(span, "returned by this"),) if named is not None else ())),
                () if named is not None else ('write it into the dict, or say `idx_key = "…"` for another field',),
            )
        else:
            flow.proved += 1
    fields = _fields(flow, settings, target, returned, idx_key)
    artifacts(flow, config, target, returned)
    source = f"`{target.name}` returns {listed(returned.names)}"
    return Written(config, fields, returned, source, idx_key, names)


def _output_fn(flow: Flow, path: str, span: Span) -> Target | None:
    """The function, where it can be called as espnet3 calls it; what keeps it from that is said."""
    found = flow.reader.find(path)
    name = path.rpartition(".")[2]
    if isinstance(found.definition, Class) and makes_no_dict(flow, found.path):
        flow.say(
            "output_fn_call",
            f"`output_fn` is a function `(data, model_output, idx)`, but `{name}` is a class",
            Label(span, "what is written would be an object of this class"),
            label_at(class_place(flow.reader, found.path), "the class"),
        )
        return None
    if not isinstance(found.definition, Function):
        return None
    target = plain_function(flow.reader, found)
    if target is None:
        flow.miss(span, f"the call of `{name}`", "its parameters may be others than those that are written")
        return None
    unknown = [each for each in OUTPUT_FN if each not in target.named]
    also = [each.name for each in target.required if each.name not in OUTPUT_FN]
    if (unknown and not target.has("kwargs")) or also:
        has = [each.name for each in target.parameters]
        flow.say(
            "output_fn_call",
            f"`{name}` is called as `output_fn(data=…, model_output=…, idx=…)`, but its parameters are {listed(has)}",
            Label(span, f"it takes no {listed(unknown)}" if unknown and not target.has("kwargs") else "it needs more"),
            label_at(place_of(flow.reader, target), "write `(data, model_output, idx)`"),
        )
        return None
    flow.proved += 1
    return target


def _returned(flow: Flow, settings: _Settings, target: Target, span: Span, sets: list[TestSet]) -> Items:
    """What `output_fn` returns for an item, and what it asks its item for in each test set."""
    step = Step(target.name, target, span)
    result: Items | None = None
    for each in sets or [TestSet("", Items(None), span)]:
        keys = each.items.fresh() or Dict({}, closed=False)
        keys.origin = ORIGIN
        data: Value = keys if not settings.batched else Listing([keys], filled=True)
        given: dict[str, Value] = {} if settings.batched is None else {"data": data}
        outcome = outcome_of(flow.reader, target, given)
        if outcome.why:
            return Items(None, why=outcome.why)
        if missing_read(flow, "output_fn_reads", step, each.items, outcome):
            return Items(None)
        result = _as_items(flow, settings, target, span, outcome)
        if result.keys is None:
            return result
    assert result is not None
    return result


def _as_items(flow: Flow, settings: _Settings, target: Target, span: Span, outcome: Outcome) -> Items:
    value = outcome.value
    labels = label_at(_return_place(flow, target, outcome), "returned here")
    if isinstance(value, Listing) and value.whole:
        value = value.item()
    elif isinstance(value, Dict) and settings.batched:
        size = settings.root.get("batch_size")
        assert size is not None
        flow.say(
            "output_fn_result",
            f"`{target.name}` returns one dict, but with a `batch_size` it gets lists and returns a list of dicts",
            Label(span, "it is called for a batch"),
            (*labels, Label(size.span, "because of this")),
        )
        return Items(None)
    if isinstance(value, Dict):
        return Items(value, f"what `{target.name}` returns", labels)
    wrong = [each.value for each in outcome.returned if _no_output(each.value)]
    if outcome.returned and len(wrong) == len(outcome.returned):
        flow.say(
            "output_fn_result",
            f"`{target.name}` returns {said(wrong[0])}, but an `output_fn` gives a dict with the name of the utterance "
            "and the fields to write",
            Label(span, "nothing could be written"),
            labels,
        )
        return Items(None)
    return Items(None, why="what it returns is made when it runs")


def _no_output(value: Value) -> bool:
    """Whether a result surely holds no dicts."""
    if isinstance(value, Leaf):
        return value.kind is not Kind.UNKNOWN
    return isinstance(value, Several) and all(isinstance(each, Leaf) and each.kind is Kind.TEXT for each in value.items)


def _return_place(flow: Flow, target: Target, outcome: Outcome) -> Span | None:
    if len(outcome.returned) == 1:
        return node_place(flow.reader, target.module, outcome.returned[0].node)
    return place_of(flow.reader, target)


def _fields(flow: Flow, settings: _Settings, target: Target, returned: Items, idx_key: str) -> Items:
    """The fields that become files: `output_keys`, or all that is returned but the name."""
    assert returned.keys is not None
    node = follow(settings.config, settings.root.get("output_keys"))
    if node is None or is_null(node):
        keys = returned.fresh()
        assert keys is not None
        keys.fields.pop(idx_key, None)
        keys.closed = keys.closed and (settings.known or node is not None)
        return Items(keys, returned.who, returned.labels)
    wanted = texts_of(settings.config, settings.root.get("output_keys"))
    if wanted is None:
        return Items(None, why="`output_keys` is not plain text")
    for key, span in wanted:
        if returned.lacks(key):
            flow.say(
                "output_keys",
                f"`output_keys` names `{key}`, but `{target.name}` returns {listed(returned.names)}"
                + hint(key, returned.names),
                Label(span, "no output holds this"),
                returned.labels,
            )
            return Items(None)
        flow.proved += key in returned.keys.fields
    fields = {key: Entry(Leaf(Kind.UNKNOWN)) for key, _ in wanted}
    return Items(Dict(fields), returned.who, (Label(node.span, "only these are written"), *returned.labels))
