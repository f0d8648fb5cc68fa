"""Targets: parts of a model, by the names that its class gives them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from esp3c.check.calls import Call, verdicts
from esp3c.check.flow_base import follow
from esp3c.check.flow_given import behind
from esp3c.check.targets import short
from esp3c.check.targets_objects import definition_label
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, ListNode, Node, Recipe, Scalar, strip
from esp3c.python.model import Class
from esp3c.python.reader import STOPS, Reader, reader
from esp3c.schema.contracts import MODULE, PARTS
from esp3c.source import Span
from esp3c.suggest import all_of, did_you_mean
from esp3c.world import World

_OTHERWISE = re.compile(r"\b(?:setattr|__setattr__|__dict__|vars|add_module|register_\w+)\b")
"""Words of Python that gives an object parts under names that are not written as `self.name = …`."""


@explained("ESP0422", "a part that the model does not have")
def unknown_part(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A model's weights are to be loaded or frozen under a name that its class gives to nothing.

        model = espnet3.components.modeling.pretrained.load_pretrained(
          model = src.model.Reader(hidden_size = 96), checkpoint = "exp/base/last.ckpt", only = ["encodr"])

    Parts are called as the model calls them: `encoder` for what is stored as `self.encoder`, and `encoder.norm` for what is
    inside. Only the first word is looked at, and only where all of the class is written in the recipe's own Python.
    """
    reading = reader(world)
    told: set[tuple[int, int, int]] = set()
    for verdict in verdicts(recipe, world):
        call = verdict.call
        if call is None or call.node.partial:
            continue
        for argument in PARTS.get(reading.find(verdict.path).path, ()):
            made = _model(reading, call)
            known = _parts(reading, made.target.path) if made is not None else None
            if made is None or known is None:
                continue
            for name, span in _named(call, argument):
                place = (id(span.source), span.start, span.end)
                if name.partition(".")[0] in known or place in told:
                    continue
                told.add(place)
                found = reading.find(made.target.path)
                yield Diagnostic(
                    code_of(unknown_part),
                    f"`{short(found.path)}` has no part `{name}`",
                    Label(span, did_you_mean(name.partition(".")[0], known) or f"it stores {all_of(known)}"),
                    secondary=definition_label(reading, found, "this class"),
                )


def _model(reading: Reader, call: Call) -> CallNode | None:
    node = _value(call, call.node.arguments.get("model"))
    if not isinstance(node, CallNode) or node.partial:
        return None
    return behind(reading, call.config, node) if call.config is not None else node


def _value(call: Call, node: Node | None) -> Node | None:
    if node is None or call.config is None:
        return strip(node) if node is not None else None
    return follow(call.config, node)


def _named(call: Call, argument: str) -> list[tuple[str, Span]]:
    """The texts of a list."""
    node = _value(call, call.node.arguments.get(argument))
    items = [(_value(call, item), item.span) for item in node.items] if isinstance(node, ListNode) else []
    return [(each.value, span) for each, span in items if isinstance(each, Scalar) and isinstance(each.value, str)]


def _parts(reading: Reader, path: str) -> list[str] | None:
    """What the methods of a module store in it; None where it may have parts under other names."""
    found = reading.find(path)
    if not isinstance(found.definition, Class) or reading.is_a(found.path, (MODULE,)) is not True:
        return None
    names: dict[str, None] = {}
    for owner in reading.bases(found.path).paths:
        if owner == MODULE or owner in STOPS:
            continue
        each = reading.find(owner)
        if not isinstance(each.definition, Class) or each.module is None or not each.module.local:
            return None
        for method in each.definition.methods:
            body = reading.body(each.module, method)
            if body is None or _OTHERWISE.search(ast.unparse(body)):
                return None
            names.update(dict.fromkeys(_stored(body)))
        names.update(dict.fromkeys(attribute.name for attribute in each.definition.attributes))
    return list(names) or None


def _stored(method: ast.AST) -> list[str]:
    return [
        each.attr
        for each in ast.walk(method)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and isinstance(each.value, ast.Name)
    ]
