"""The flow of a training: items, the collate function, the batch, the model's `forward` and what it returns."""

from __future__ import annotations

from esp3c.check.flow_base import (
    Flow,
    Items,
    block_in,
    clean,
    configs_of,
    follow,
    hint,
    is_null,
    listed,
    runs_in,
    stock,
    texts_of,
)
from esp3c.check.flow_functions import Target, label_at, method_of, node_place, outcome_of, parameter_place, place_of
from esp3c.check.flow_gan import check_turns, say_wrong_system, takes_turns, tells_turn
from esp3c.check.flow_given import trained
from esp3c.check.flow_items import Datasets
from esp3c.check.flow_made import made_by
from esp3c.check.flow_steps import ORIGIN, missing_read, no_dict, said, step_of
from esp3c.check.module_calls import called_otherwise
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, MapNode, Node
from esp3c.python.bodies import Outcome
from esp3c.python.body_values import Dict, Entry, Kind, Leaf, Listing, Several, Value
from esp3c.schema.blocks import DATALOADER, LOADER, TRAINING
from esp3c.schema.contracts import COLLATES, COMMON_COLLATE, DEFAULT_COLLATE, Collate
from esp3c.suggest import did_you_mean

_NO_GRADIENT = frozenset({"torch.no_grad", "torch.inference_mode", "no_grad", "inference_mode"})


def training_flow(flow: Flow, datasets: Datasets) -> None:
    """Follows the items of every training to the loss."""
    for config in configs_of(flow.recipe, "training"):
        settings = block_in(config, "dataloader")
        for name in ("train", "valid"):
            items = datasets.split(config, name)
            if items is None:
                continue
            _shape_keys(flow, config, settings, name, items)
            if runs_in(flow.recipe, config, "train") and stock(flow, "train"):
                before = len(flow.findings)
                _train(flow, config, settings, name, items)
                if len(flow.findings) != before:
                    break


def _loader(config: Config, settings: MapNode | None, name: str) -> MapNode | None:
    found = follow(config, settings.get(name)) if settings is not None else None
    return found if isinstance(found, MapNode) else None


def _shape_keys(flow: Flow, config: Config, settings: MapNode | None, name: str, items: Items) -> None:
    loader = _loader(config, settings, name)
    node = loader.get("shape_key") if loader is not None else None
    for key, span in texts_of(config, node) or ():
        entry = items.keys.fields.get(key) if items.keys is not None else None
        if items.lacks(key):
            flow.say(
                "shape_key",
                f"batches are cut by the length of `{key}`, but {items.who} holds {listed(items.names)}"
                + hint(key, items.names),
                Label(span, "no item holds this"),
                items.labels,
            )
        elif entry is not None and isinstance(entry.value, Leaf) and entry.value.kind in {Kind.TEXT, Kind.NUMBER}:
            flow.say(
                "shape_key",
                f"batches are cut by the length of `{key}`, but that is {entry.value.kind}, which has none",
                Label(span, "name a field that holds an array"),
                items.labels,
            )
        elif items.keys is not None and entry is not None:
            flow.proved += 1


# -- collate ------------------------------------------------------------------------------------------------------------


def _collate_node(config: Config, settings: MapNode | None, name: str) -> tuple[Node | None, bool]:
    """The collate function of a split, and whether it is known that there is none where there is none."""
    loader = _loader(config, settings, name)
    factory = follow(config, loader.get("iter_factory")) if loader is not None else None
    inside = factory.arguments if isinstance(factory, CallNode) else factory
    for block in (inside, loader, settings):
        node = follow(config, block.get("collate_fn")) if isinstance(block, MapNode) else None
        if node is not None and not is_null(node):
            return node, True
    known = clean(settings, DATALOADER) and clean(loader, LOADER) and clean(config.root, TRAINING)
    return None, known and not isinstance(factory, CallNode)


def _train(flow: Flow, config: Config, settings: MapNode | None, name: str, items: Items) -> None:
    node, known = _collate_node(config, settings, name)
    if node is None and not known:
        return
    batch = _default(items) if node is None else _collated(flow, config, node, items)
    model = follow(config, config.root.get("model"))
    task = follow(config, config.root.get("task"))
    if not isinstance(model, CallNode) or model.partial or not (task is None or is_null(task)):
        return
    model = trained(flow.reader, config, model)
    target = forward_of(flow, model)
    if target is None:
        why = called_otherwise(flow.reader, model.target.path) or "its `forward` is not readable"
        flow.miss(model.head, f"the call of `{model.target.path}`", why)
        return
    if say_wrong_system(flow, model):
        return
    in_turns = takes_turns(flow, model)
    if in_turns:
        target = check_turns(flow, config, model, target)
    _call_model(flow, model, target, batch, has_collate=node is not None)
    if not in_turns or tells_turn(flow, model, target):
        _result(flow, model, target)


def _default(items: Items) -> Items:
    return _batch(items, DEFAULT_COLLATE, frozenset())


def _collated(flow: Flow, config: Config, node: Node, items: Items) -> Items:
    """What a batch holds."""
    if isinstance(node, CallNode):
        path = made_by(flow.reader, node.target.path) or flow.reader.find(node.target.path).path
        own = flow.reader.method(path, "__call__")
        bases = flow.reader.bases(path).paths
        known = COLLATES.get(path)
        if known is None and COMMON_COLLATE in bases and (own is None or own.owner == COMMON_COLLATE):
            known = COLLATES[COMMON_COLLATE]
        if known is not None:
            without = texts_of(config, node.arguments.get(known.without))
            if node.arguments.get(known.without) is not None and without is None:
                return Items(None, why=f"`{known.without}` is not plain text")
            made = _batch(items, known, frozenset(text for text, _ in without or ()))
            _taken(flow, node, items, known, made)
            return made
        if path.startswith("espnet2."):
            return Items(None, why="it is espnet2's")
    step = step_of(flow, node, "collate_fn", (1,))
    if step.target is None:
        return Items(None, why=step.why)
    keys = items.fresh()
    if keys is not None:
        keys.origin = ORIGIN
    each: Value = keys if keys is not None else Dict({}, closed=False, origin=ORIGIN)
    free = [parameter.name for parameter in step.target.positional if parameter.name not in step.target.given]
    outcome = outcome_of(flow.reader, step.target, {free[0]: Listing([each], filled=True)} if free else {})
    if outcome.why:
        flow.miss(step.span, f"what `{step.name}` makes of a batch", outcome.why)
        return Items(None, why=outcome.why)
    if missing_read(flow, "missing_item_key", step, items, outcome):
        return Items(None, why="it reads a key that is not there")
    made_of = outcome.value
    if isinstance(made_of, Several) and len(made_of.items) == 2 and isinstance(made_of.items[1], Dict):
        made_of = made_of.items[1]
    if isinstance(made_of, Dict):
        labels = _returns(flow, step.target, outcome, "the batch is made here")
        return Items(made_of, f"a batch of `{step.name}`", (*labels, *items.labels))
    if outcome.returned and all(value.value == Leaf(Kind.NONE) for value in outcome.returned):
        flow.say(
            "item_is_dict",
            f"`{step.target.name}` returns nothing, but a collate function gives the batch",
            Label(step.span, "add `return` and the batch"),
            label_at(place_of(flow.reader, step.target), "it has no `return` with a value"),
        )
    flow.miss(step.span, f"what `{step.name}` makes of a batch", "what it returns is made when it runs")
    return Items(None, why="what it returns is made when it runs")


def _batch(items: Items, collate: Collate, without: frozenset[str]) -> Items:
    """What a collate function that is known makes of items."""
    if items.keys is None:
        return Items(None, why=items.why)
    fields: dict[str, Entry] = {}
    for key, entry in items.keys.fields.items():
        kind = entry.value.kind if isinstance(entry.value, Leaf) else Kind.UNKNOWN
        if kind is Kind.TEXT and not collate.text:
            continue
        numeric = kind in {Kind.ARRAY, Kind.TENSOR, Kind.NUMBER}
        fields[key] = Entry(Leaf(Kind.TENSOR if numeric else Kind.UNKNOWN), entry.sure and (numeric or collate.text))
        if collate.lengths and kind is not Kind.NUMBER and key not in without:
            fields[key + collate.lengths] = Entry(Leaf(Kind.TENSOR), entry.sure and kind is Kind.ARRAY)
    return Items(Dict(fields, items.keys.closed), "a batch", items.labels)


def _taken(flow: Flow, node: CallNode, items: Items, collate: Collate, batch: Items) -> None:
    """A field of the items that has the name of another one's lengths."""
    if items.keys is None or not collate.lengths or batch.keys is None:
        return
    for key, entry in items.keys.fields.items():
        if key.endswith(collate.lengths) and entry.sure:
            owner = items.keys.fields.get(key.removesuffix(collate.lengths))
            if owner is not None and owner.sure and isinstance(owner.value, Leaf) and owner.value.kind is Kind.ARRAY:
                flow.say(
                    "lengths_taken",
                    f"{items.who} holds `{key}`, which is where `{node.target.path.rpartition('.')[2]}` puts the "
                    f"lengths of `{key.removesuffix(collate.lengths)}`",
                    Label(node.head, "it makes this field itself"),
                    items.labels,
                    ("leave the field out of the items, or give it another name",),
                )
                batch.keys.havoc()
                return


# -- the model ----------------------------------------------------------------------------------------------------------


def forward_of(flow: Flow, model: CallNode) -> Target | None:
    """The `forward` of a model's class."""
    made = made_by(flow.reader, model.target.path)
    if not made or called_otherwise(flow.reader, model.target.path):
        return None
    return method_of(flow.reader, made, "forward")


def _call_model(flow: Flow, model: CallNode, target: Target, batch: Items, *, has_collate: bool) -> None:
    if batch.keys is None:
        flow.miss(model.head, f"the arguments of `{target.name}`", f"the batch is not known: {batch.why}")
        return
    first = target.function.parameters[0] if target.skipped and target.function.parameters else None
    if first is not None and first.name in batch.keys.fields:
        flow.say(
            "batch_lacks",
            f"`{target.name}` has no `self`: its first parameter, `{first.name}`, is the model and not what a batch holds",
            Label(model.head, "its `forward` cannot be called"),
            label_at(parameter_place(flow.reader, target, first), "write `self` before it"),
        )
        return
    named = target.named
    lacking = [each for each in target.required if each.kind != "positional" and batch.lacks(each.name)]
    surplus = [key for key, entry in batch.keys.fields.items() if entry.sure and key not in named]
    if lacking:
        _say_lacking(flow, model, target, batch, [each.name for each in lacking], has_collate=has_collate)
    elif surplus and not target.has("kwargs"):
        free = [name for name in named if name not in batch.keys.fields]
        place = place_of(flow.reader, target)
        flow.say(
            "batch_surplus",
            f"`{target.name}` takes no {listed(surplus)}, but every batch holds {'it' if len(surplus) == 1 else 'them'}",
            Label(model.head, did_you_mean(surplus[0], free) or "add `**batch` to its parameters for the rest"),
            (*label_at(place, f"it takes {listed(named)}"), *batch.labels),
        )
    elif batch.keys.closed or target.has("kwargs"):
        flow.proved += 1


def _say_lacking(
    flow: Flow, model: CallNode, target: Target, batch: Items, lacking: list[str], *, has_collate: bool
) -> None:
    assert batch.keys is not None
    unused = [key for key in batch.keys.fields if key not in target.named]
    parameter = target.named.get(lacking[0])
    near = did_you_mean(lacking[0], unused)
    help: tuple[str, ...] = ()
    if not has_collate and all(name.endswith("_lengths") for name in lacking):
        name = COMMON_COLLATE.rpartition(".")[2]
        help = (
            f"without a `collate_fn` nothing adds lengths: `dataloader {{ collate_fn = {COMMON_COLLATE}() }}` does",
        )
        near = f"`{name}` would add {'it' if len(lacking) == 1 else 'them'}"
    flow.say(
        "batch_lacks",
        f"`{target.name}` needs {listed(lacking)}, but {batch.who} holds {listed(batch.names)}",
        Label(model.head, near or f"no batch holds {'it' if len(lacking) == 1 else 'them'}"),
        (
            *label_at(parameter_place(flow.reader, target, parameter) if parameter else None, "this parameter"),
            *batch.labels,
        ),
        help,
    )


def _result(flow: Flow, model: CallNode, target: Target) -> None:
    """What `forward` gives: a loss, `(loss, stats, weight)`, a dict with `loss`, or a list of steps."""
    off = next((each for each in target.function.decorators if each.partition("(")[0] in _NO_GRADIENT), None)
    if off is not None:
        flow.say(
            "forward_result",
            f"`{target.name}` is decorated with `{off}`, so its loss has no gradient and nothing is learnt",
            Label(model.head, "its `forward` cannot be trained with"),
            label_at(place_of(flow.reader, target), f"take `@{off}` away"),
        )
        return
    outcome = flow.outcome(target)
    if outcome.why or not outcome.returned:
        return
    faults = [_fault(each.value) for each in outcome.returned]
    if not all(faults):
        return
    place = node_place(flow.reader, target.module, outcome.returned[0].node)
    flow.say(
        "forward_result",
        f"`{target.name}` returns {faults[0]}; a training takes the loss, `(loss, stats, weight)`, or a dict with `loss`",
        Label(model.head, "its `forward` cannot be trained with"),
        label_at(place, "returned here"),
    )


def _fault(value: Value) -> str:
    """What is wrong with a result; empty where nothing surely is."""
    match value:
        case Several(items) if len(items) != 3:
            return f"a tuple of {len(items)}"
        case Several((loss, _, _)) if isinstance(loss, Dict) or _no_tensor(loss):
            # A list may hold the steps of several optimizers.
            what = "a dict" if isinstance(loss, Dict) else said(loss)
            return f"a tuple whose first part is {what} and not the loss"
        case Several((_, _, Dict())):
            return "a tuple whose third part is a dict and not the weight"
        case Several((_, stats, _)) if no_dict(stats) and stats != Leaf(Kind.NONE):
            return f"a tuple whose second part is {said(stats)} and not the `stats` dict"
        case Several() | Listing():
            return ""
        case Dict() if value.closed and "loss" not in value.fields:
            return f"a dict without `loss` (it has {listed(value.fields)})"
        case Dict() if "loss" in value.fields and value.fields["loss"].sure and _no_tensor(value.fields["loss"].value):
            return f"a dict whose `loss` is {said(value.fields['loss'].value)} and no tensor"
        case Leaf(kind) if _no_tensor(value):
            return said(value) if kind is not Kind.NUMBER else "a plain number, which has no gradient"
        case _:
            return ""


def _no_tensor(value: Value) -> bool:
    return isinstance(value, Leaf) and value.kind in {Kind.NONE, Kind.TEXT, Kind.NUMBER}


def _returns(flow: Flow, target: Target, outcome: Outcome, text: str) -> tuple[Label, ...]:
    if len(outcome.returned) == 1:
        return label_at(node_place(flow.reader, target.module, outcome.returned[0].node), text)
    return label_at(place_of(flow.reader, target), text)
