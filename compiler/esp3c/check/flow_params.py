"""The `params` of several optimizers: parts of names of parameters, against the names that the model's class uses."""

from __future__ import annotations

import ast

from esp3c.check.flow_base import Flow, configs_of, follow, is_null, runs_in, text_of
from esp3c.check.flow_functions import label_at
from esp3c.check.flow_given import behind
from esp3c.check.flow_made import made_by
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, MapNode
from esp3c.python.model import Class
from esp3c.source import Span
from esp3c.suggest import certain, nearest


def params_flow(flow: Flow) -> None:
    """Says where `params` surely is a slip for the name of a part of the model."""
    for config in configs_of(flow.recipe, "training"):
        model = follow(config, config.root.get("model"))
        block = follow(config, config.root.get("optimizers"))
        task = follow(config, config.root.get("task"))
        if (
            not isinstance(model, CallNode)
            or not isinstance(block, MapNode)
            or not runs_in(flow.recipe, config, "train")
        ):
            continue
        parts = _parts(flow, behind(flow.reader, config, model)) if task is None or is_null(task) else None
        for each in block.entries if parts is not None else ():
            settings = follow(config, each.value)
            written = settings.get("params") if isinstance(settings, MapNode) else None
            text = text_of(follow(config, written))
            if written is not None and text and parts is not None:
                _compare(flow, text, written.span, model, parts)


def _compare(
    flow: Flow, text: str, span: Span, model: CallNode, parts: tuple[dict[str, Span | None], set[str]]
) -> None:
    attributes, names = parts
    if any(text in name for name in attributes):
        flow.proved += 1
        return
    meant = certain(text, nearest(text, attributes))
    if meant is None or any(text in name for name in names):
        return
    flow.say(
        "optimizer_params",
        f"`{text}` is part of no name in `{model.target.path.rpartition('.')[2]}`",
        Label(span, f"did you mean `{meant}`?"),
        label_at(attributes[meant], "this part of the model"),
    )


def _parts(flow: Flow, model: CallNode) -> tuple[dict[str, Span | None], set[str]] | None:
    """The attributes that a model's own classes set, with their places, and all names in their methods."""
    attributes: dict[str, Span | None] = {}
    names: set[str] = set()
    made = made_by(flow.reader, model.target.path)
    for path in flow.reader.bases(made).paths if made else ():
        found = flow.reader.find(path)
        if not isinstance(found.definition, Class) or found.module is None or not found.module.local:
            continue
        for method in found.definition.methods:
            body = flow.reader.body(found.module, method)
            if body is None:
                return None
            for node in ast.walk(body):
                match node:
                    case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                        if method.name == "__init__":
                            place = flow.reader.span(found.module, node.lineno, node.col_offset, len(f"self.{name}"))
                            attributes.setdefault(name, place)
                        names.add(name)
                    case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                        names.add(name)
                    case ast.Constant(value=str(name)):
                        names.add(name)
                    case _:
                        continue
    return (attributes, names) if attributes else None
