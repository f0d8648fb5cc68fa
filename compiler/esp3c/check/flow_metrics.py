"""The last link: the fields that metrics read against those that inference writes, and the test sets of both."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

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
    text_of,
    texts_of,
)
from esp3c.check.flow_functions import method_of
from esp3c.check.flow_inference import Written
from esp3c.check.flow_items import named_sets
from esp3c.check.flow_measures import metric_calls, metrics_of
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, MapNode, Node
from esp3c.python.body_values import Dict, join_values
from esp3c.python.literal import literal
from esp3c.record import record
from esp3c.schema.blocks import METRICS
from esp3c.schema.contracts import METRIC_FIELDS
from esp3c.source import Span
from esp3c.suggest import did_you_mean


@record
class _Field:
    """A field that a metric reads, and the place that says so: an argument, or the metric itself."""

    name: str
    span: Span
    metric: str
    argument: str
    owner: Span


def metrics_flow(flow: Flow, written: list[Written]) -> None:
    """Compares what every metric reads with what inference writes."""
    for config in configs_of(flow.recipe, "metrics"):
        if not runs_in(flow.recipe, config, "measure") or not stock(flow, "measure"):
            continue
        metric_calls(flow, config)
        if not written or not _same_folder(config, written):
            continue
        _test_names(flow, config, written)
        _fields(flow, config, written)


def _same_folder(config: Config, written: list[Written]) -> bool:
    """Whether metrics surely read where inference writes: the folder is handed on unless one of them names its own."""
    own = config.root.get("inference_dir")
    if own is None:
        return clean(config.root, METRICS)
    folders = [each.config.root.get("inference_dir") for each in written]
    return all(folder is not None and folder.span.text == own.span.text for folder in folders)


def _test_names(flow: Flow, config: Config, written: list[Written]) -> None:
    settings = block_in(config, "dataset")
    known = [name for each in written for name in each.names or ()]
    if settings is None or any(each.names is None for each in written):
        return
    for name, _, span in named_sets(config, follow(config, settings.get("test"))):
        if name and name not in known:
            flow.say(
                "unknown_test_set",
                f"metrics want the test set `{name}`, but inference has {listed(known)}" + hint(name, known),
                Label(span, did_you_mean(name, known) or "nothing is written for it"),
                (Label(written[0].config.name_span, "its test sets are declared here"),),
            )


def _fields(flow: Flow, config: Config, written: list[Written]) -> None:
    fields = _joined(written)
    groups: dict[str, list[_Field]] = {}
    read = _read_by(flow, config)
    for field in read:
        if fields.keys is None:
            flow.miss(field.span, f"the field `{field.name}` of `{field.metric}`", "what is written is not known")
        elif fields.lacks(field.name):
            groups.setdefault(field.name, []).append(field)
        elif field.name in fields.keys.fields:
            flow.proved += 1
    sources = ", ".join(each.source for each in written if each.source)
    for name, readers in groups.items():
        first, *others = readers
        unwritten = any(each.returned.keys is not None and name in each.returned.keys.fields for each in written)
        near = hint(name, fields.names) or _only_other(fields.names, first, read)
        if any(name == each.idx_key for each in written):
            message = f"`{first.metric}` reads `{name}`, which names the utterance and is no field of its own"
            near = ""
        elif unwritten:
            message = f"`{first.metric}` reads `{name}`, but `output_keys` names only {listed(fields.names)}"
            near = ""
        else:
            message = f"`{first.metric}` reads `{name}`, but {sources}"
        flow.say(
            "metric_field",
            message + near,
            Label(first.span, "inference does not write this" if first.argument else "its default reads this"),
            (
                *(Label(each.span, f"`{each.metric}` reads it too") for each in others),
                *fields.labels,
                *_named_in(written),
            ),
        )


def _only_other(names: list[str], field: _Field, read: list[_Field]) -> str:
    """What must have been meant, where only one field is left that the same metric does not read already."""
    left = [name for name in names if not any(each.name == name and each.owner == field.owner for each in read)]
    return f"; did you mean `{left[0]}`?" if len(left) == 1 and len(names) > 1 else ""


def _named_in(written: list[Written]) -> tuple[Label, ...]:
    found = [each.config.root.get("output_fn") for each in written]
    return tuple(Label(node.span, "what is written is made by this") for node in found if node is not None)


def _joined(written: list[Written]) -> Items:
    """What any of the inferences writes: a field counts as written if one of them does it."""
    first, *rest = (each.fields for each in written)
    for other in rest:
        if first.keys is None or other.keys is None:
            return Items(None, why="what is written is not known")
        value = join_values(first.keys, other.keys)
        first = Items(value if isinstance(value, Dict) else None, first.who, (*first.labels, *other.labels))
    return first


# -- what metrics read --------------------------------------------------------------------------------------------------


def _read_by(flow: Flow, config: Config) -> list[_Field]:
    found: list[_Field] = []
    for entry, inputs in metrics_of(config):
        metric = entry.target.path.rpartition(".")[2]
        if inputs is not None and not is_null(follow(config, inputs)):
            found += _named_inputs(config, inputs, metric)
        else:
            found += _arguments(flow, config, entry, metric)
    return found


def _named_inputs(config: Config, inputs: Node, metric: str) -> list[_Field]:
    node = follow(config, inputs)
    if isinstance(node, MapNode):
        pairs = [(text_of(follow(config, entry.value)), entry.value.span) for entry in node.entries]
        return [_Field(text, span, metric, "inputs", inputs.span) for text, span in pairs if text is not None]
    return [_Field(text, span, metric, "inputs", inputs.span) for text, span in texts_of(config, inputs) or ()]


def _arguments(flow: Flow, config: Config, call: CallNode, metric: str) -> list[_Field]:
    """The fields that a metric's arguments name, with the defaults of those that are not given."""
    path = flow.reader.find(call.target.path).path
    defaults = METRIC_FIELDS.get(path) or METRIC_FIELDS.get(call.target.path) or _own_fields(flow, path)
    if call.positional or not defaults:
        if not defaults:
            flow.miss(call.head, f"the fields that `{metric}` reads", "its class does not say so in a way that is read")
        return []
    odd = [entry.name for entry in call.arguments.entries if entry.name.endswith("_key") and entry.name not in defaults]
    found: list[_Field] = []
    for name, default in defaults.items():
        given = call.arguments.get(name)
        text = text_of(follow(config, given)) if given is not None else default
        if text is None or (given is None and (odd or _may_be_misspelt(call, defaults))):
            continue
        found.append(
            _Field(text, given.span if given is not None else call.head, metric, name if given else "", call.span)
        )
    return found


def _may_be_misspelt(call: CallNode, defaults: Mapping[str, str | None]) -> bool:
    return any(did_you_mean(entry.name, defaults) for entry in call.arguments.entries if entry.name not in defaults)


def _own_fields(flow: Flow, path: str) -> dict[str, str | None]:
    """The parameters that a class keeps as its attributes of the same name, `…_key`, with their defaults."""
    target = method_of(flow.reader, path, "__init__")
    if target is None or flow.reader.method(path, "__call__") is None:
        return {}
    node = flow.reader.body(target.module, target.function)
    if node is None or _sets(node, "inputs") or flow.reader.method(path, "inputs") is not None:
        return {}
    kept = {name for name in _kept(node) if name.endswith("_key") and _sets(node, name) == 1}
    found: dict[str, str | None] = {}
    for each in target.parameters:
        if each.name in kept:
            default = literal(each.default) if each.default is not None and each.default[:1] in "'\"" else None
            found[each.name] = default if isinstance(default, str) else None
    return found


def _kept(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The parameters that become attributes of their own name: `self.a = a`, also several at once."""
    for statement in node.body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = list(zip(targets, values, strict=False)) if len(targets) == len(values) else []
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                pairs = [(target, value)]
            case _:
                continue
        for target, value in pairs:
            match target, value:
                case ast.Attribute(value=ast.Name(id="self"), attr=attribute), ast.Name(id=name) if attribute == name:
                    yield name
                case _:
                    continue


def _sets(node: ast.AST, name: str) -> int:
    """How often a body binds an attribute of its object."""
    found = [each for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)]
    return sum(each.attr == name for each in found)
