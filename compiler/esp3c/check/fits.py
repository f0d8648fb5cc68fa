"""Whether a value fits the type of its key, and in which words it is said if it does not."""

from __future__ import annotations

import re

from esp3c.check.blocks import settings_of, shape_fits
from esp3c.diagnostics import Edit, Fix
from esp3c.ir import (
    BrokenNode,
    CallNode,
    DatasetNode,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    PythonNode,
    Resolver,
    Scalar,
    Text,
    strip,
)  # fmt: skip
from esp3c.python.find import Status
from esp3c.schema import types as t
from esp3c.suggest import certain, did_you_mean, nearest


def misfit(node: Node, type: t.Type) -> tuple[Node, t.Type]:
    """The innermost value that does not fit, and what was wanted there."""
    if isinstance(type, t.Either):
        fitting = [option for option in type.options if shape_fits(node, option)]
        return misfit(node, fitting[0]) if fitting else (node, type)
    inner: list[tuple[Node, t.Type]] = []
    if isinstance(type, t.ListOf) and isinstance(node, ListNode):
        inner = [(strip(item), type.item) for item in node.items]
    elif isinstance(type, t.MapOf) and isinstance(node, MapNode):
        inner = [(strip(entry.value), type.value) for entry in node.entries]
    for item, wanted in inner:
        if not fits(item, wanted):
            return misfit(item, wanted)
    return node, type


def instead(node: Node, type: t.Type) -> str:
    if isinstance(type, t.OneOf) and isinstance(node, Scalar) and isinstance(node.value, str):
        return did_you_mean(node.value, type.words) or f"expected {t.words(type)}"
    if isinstance(node, Scalar) and node.dimension is not None:
        return f"this is a {node.dimension}"
    return f"this is {said(node)}"


def as_wanted(node: Node, type: t.Type) -> Fix | None:
    """The value as it certainly was meant: a word of the key's own, or a number in quotes that it does not need."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or node.span.text != f'"{node.value}"':
        return None
    options = type.options if isinstance(type, t.Either) else (type,)
    words = [word for option in options if isinstance(option, t.OneOf) for word in option.words]
    meant = certain(node.value, nearest(node.value, words), closed=True)
    if meant is not None:
        return Fix(f'write `"{meant}"`', (Edit(node.span, f'"{meant}"'),))
    kinds = {option.kind for option in options if isinstance(option, t.Plain)}
    bare = (
        ("bool" in kinds and node.value in {"true", "false"})
        or ("null" in kinds and node.value == "null")
        or (kinds & {"int", "float"} and re.fullmatch(r"-?\d+", node.value))
        or ("float" in kinds and re.fullmatch(r"-?\d+\.\d+(e-?\d+)?|-?\d+e-?\d+", node.value))
    )
    return Fix("take the quotes away", (Edit(node.span, node.value),)) if bare else None


def said(node: Node) -> str:
    match node:
        case Scalar(value=None):
            return "null"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=int()):
            return "an int"
        case Scalar(value=float()):
            return "a number"
        case Scalar() | Text():
            return "text"
        case ListNode():
            return "a list"
        case MapNode():
            return "a block"
        case CallNode():
            return "a call"
        case PythonNode():
            return "a Python path"
        case DatasetNode():
            return "a dataset"
        case _:
            return "something else"


def fits(node: Node, type: t.Type) -> bool:
    if isinstance(node, LinkNode | BrokenNode | Resolver):
        # A link is looked at where its value stands; what is broken is reported already.
        return True
    if is_made_at_run_time(node):
        return True
    if isinstance(node, CallNode) and node.target.status is Status.ABSENT and "." not in node.target.path:
        # A dataset that is not declared: that is said where it is called.
        return True
    match type:
        case t.Anything():
            return True
        case t.Inside(block):
            return settings_of(node, block) is not None or (isinstance(node, Scalar) and node.value is None)
        case t.Either(options):
            return any(fits(node, option) for option in options)
        case t.Plain(kind):
            return _plain_fits(node, kind)
        case t.Measured(dimension):
            if not isinstance(node, Scalar) or isinstance(node.value, bool):
                return False
            return isinstance(node.value, int | float) and node.dimension in {None, dimension}
        case t.OneOf(words):
            return isinstance(node, Text) or (isinstance(node, Scalar) and node.value in words)
        case t.ListOf(item):
            return isinstance(node, ListNode) and all(fits(strip(each), item) for each in node.items)
        case t.MapOf(value):
            return isinstance(node, MapNode) and all(fits(strip(entry.value), value) for entry in node.entries)
        case t.Target():
            return isinstance(node, CallNode)
        case t.PythonName():
            return isinstance(node, PythonNode)
        case t.DatasetUse():
            return isinstance(node, DatasetNode)
        case t.ParallelUse():
            return isinstance(node, ParallelNode)
    return True


def is_made_at_run_time(node: Node) -> bool:
    """Whether a value is a resolver of which the type is not known: only the environment holds nothing but text."""
    match node:
        case Text(parts=(Resolver(expression=expression),)):
            return not expression.startswith("oc.env:")
        case _:
            return False


def _plain_fits(node: Node, kind: str) -> bool:
    if isinstance(node, Text):
        return kind == "str"
    if not isinstance(node, Scalar):
        return False
    value = node.value
    match kind:
        case "null":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and node.dimension is None
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool) and node.dimension is None
