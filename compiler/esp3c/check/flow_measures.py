"""How metrics are called, what they give back, and which fields they ask for by a name that stands in their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from esp3c.check.flow_base import Flow, clean, follow, hint, is_null, listed, texts_of
from esp3c.check.flow_functions import Target, label_at, method_of, node_place, outcome_of, place_of
from esp3c.check.flow_made import made_by
from esp3c.check.flow_steps import no_dict, said
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, ListNode, MapNode, Node
from esp3c.python.model import Class
from esp3c.schema.blocks import METRIC

_GIVEN = ("data", "test_name", "output_dir")
_BASE = "espnet3.components.metrics.base_metric.BaseMetric"


def metric_calls(flow: Flow, config: Config) -> None:
    """Says which metrics of a config cannot be called as the stage `measure` calls them."""
    for entry, inputs in metrics_of(config):
        _metric(flow, config, entry, inputs)


def metrics_of(config: Config) -> Iterator[tuple[CallNode, Node | None]]:
    """The calls that make the metrics of a config, each with the `inputs` that stand beside it."""
    node = follow(config, config.root.get("metrics"))
    for item in node.items if isinstance(node, ListNode) else ():
        entry = follow(config, item)
        inputs: Node | None = None
        if isinstance(entry, MapNode):
            if not clean(entry, METRIC):
                continue
            inputs, entry = entry.get("inputs"), follow(config, entry.get("metric"))
        if isinstance(entry, CallNode) and not entry.partial:
            yield entry, inputs


def _metric(flow: Flow, config: Config, call: CallNode, inputs: Node | None) -> None:
    path = made_by(flow.reader, call.target.path)
    target = method_of(flow.reader, path, "__call__") if path else None
    if target is None or target.function.abstract or target.function.empty or not target.module.local:
        return
    needed = [each.name for each in target.required]
    keyword = any(each.kind == "keyword" for each in target.required)
    most = 99 if target.has("args") else len(target.positional)
    if len(needed) > len(_GIVEN) or most < len(_GIVEN) or keyword:
        flow.say(
            "metric_call",
            f"`{target.name}` is called with {listed(_GIVEN)}, but it takes {listed(p.name for p in target.parameters)}",
            Label(call.head, "this metric cannot be called"),
            label_at(place_of(flow.reader, target), f"write `(self, {', '.join(_GIVEN)})`"),
        )
        return
    outcome = outcome_of(flow.reader, target, {})
    if not outcome.why and outcome.returned and all(no_dict(each.value) for each in outcome.returned):
        flow.say(
            "metric_call",
            f"`{target.name}` gives {said(outcome.returned[0].value)}, but a metric gives a dict of numbers by name",
            Label(call.head, "nothing could be written"),
            label_at(node_place(flow.reader, target.module, outcome.returned[0].node), "returned here"),
        )
        return
    given = inputs is not None and not is_null(follow(config, inputs))
    if not given and _no_fields(flow, path):
        flow.say(
            "metric_call",
            f"nothing says which fields `{path.rpartition('.')[2]}` reads",
            Label(call.head, 'write `inputs = ["ref", "hyp"]` beside it'),
            label_at(place_of(flow.reader, target), "its objects have no attribute such as `ref_key`, and no `inputs`"),
        )
    if given:
        _constants(flow, config, call, target, inputs)


def _no_fields(flow: Flow, path: str) -> bool:
    """Whether objects of a class surely have no attribute `…_key` and no `inputs`."""
    bases = flow.reader.bases(path)
    if not bases.complete:
        return False
    for owner in bases.paths:
        if owner in {_BASE, "abc.ABC", "builtins.object", "object"}:
            continue
        found = flow.reader.find(owner)
        if not isinstance(found.definition, Class) or found.module is None or not found.module.local:
            return False
        if found.definition.decorators or found.definition.keywords:
            return False
        if any(map(_names_fields, _members(found.definition))):
            return False
        source = flow.reader.world.source(found.module)
        if source is None or _may_name(source.text):
            return False
    return True


def _members(node: Class) -> list[str]:
    return [*(each.name for each in node.attributes), *(each.name for each in node.methods)]


def _names_fields(name: str) -> bool:
    return name.endswith("_key") or name in {"inputs", "__getattr__", "__getattribute__"}


def _may_name(text: str) -> bool:
    return any(word in text for word in ("_key", "inputs =", "setattr", "__dict__", "vars("))


def _constants(flow: Flow, config: Config, call: CallNode, target: Target, inputs: Node | None) -> None:
    """Fields that `iter_inputs` is asked for by a plain text, beside an `inputs` that does not name them."""
    named = texts_of(config, inputs)
    node = flow.reader.body(target.module, target.function)
    if named is None or node is None or inputs is None:
        return
    names = [name for name, _ in named]
    for each in ast.walk(node):
        match each:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="iter_inputs"), args=[_, *asked]):
                for argument in asked:
                    key = argument.value if isinstance(argument, ast.Constant) else None
                    if isinstance(key, str) and key not in names:
                        flow.say(
                            "metric_field",
                            f"`{target.name}` reads `{key}`, but its `inputs` are {listed(names)}{hint(key, names)}",
                            Label(call.head, "it is given only its `inputs`"),
                            (
                                *label_at(node_place(flow.reader, target.module, argument), "asked for here"),
                                Label(inputs.span, "these are handed to it"),
                            ),
                        )
                        return
            case _:
                continue
