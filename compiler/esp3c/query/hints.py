"""What an editor shows between the words: the types that Python says for arguments, and the values behind names.

What is to be seen at a glance is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from esp3c import ir
from esp3c.check.calls import verdicts
from esp3c.python.reader import reader
from esp3c.python.signature import Bound
from esp3c.query.meanings import Meaning, homes, meanings, value_of, values
from esp3c.query.view import View
from esp3c.record import fields, record
from esp3c.source import Span
from esp3c.syntax import ast

LONGEST = 40
"""How many characters a hint has at most."""

_SAYS_NOTHING = frozenset({"Any", "typing.Any", "object"})
_BASE_UNITS = {
    ast.Dimension.DURATION: "s",
    ast.Dimension.SIZE: "B",
    ast.Dimension.FREQUENCY: "Hz",
}


class What(StrEnum):
    """Which of the hints it is, for those who want some of them only."""

    TYPE = "type"
    VALUE = "value"


@record
class Hint:
    """Text behind a place. `about` says where it comes from, `origin` leads there."""

    what: What
    offset: int
    text: str
    about: str
    origin: Span | None = None


def hints(view: View, start: int, end: int, types: bool = True, named: bool = True) -> tuple[Hint, ...]:
    """The hints between two places, in the order of the text. `types` are those of arguments, `named` the values of names."""
    found: list[Hint] = []
    if types:
        found.extend(_types(view, start, end))
    if named:
        found.extend(_values(view, start, end))
    return tuple(sorted(found, key=lambda each: each.offset))


def _types(view: View, start: int, end: int) -> Iterator[Hint]:
    seen: set[int] = set()
    for verdict in verdicts(view.recipe, view.world):
        for argument in verdict.arguments:
            span, bound = argument.key_span, argument.bound
            # The arguments of a call that a `let` holds are judged wherever it is used.
            if bound is None or span.start in seen or span.source is not view.source or not start <= span.end <= end:
                continue
            annotation = bound.parameter.annotation
            text = _plainly(annotation) if annotation is not None else ""
            if not text or text in _SAYS_NOTHING or not span.text or _is_plain(text, argument.value):
                continue
            seen.add(span.start)
            yield Hint(What.TYPE, span.end, f": {_short(text)}", _parameter(verdict.path, bound), _place(view, bound))


def _is_plain(annotation: str, value: ir.Node) -> bool:
    """Whether a value says its type itself. Of a number it is worth knowing: an int is taken for a float as well."""
    return isinstance(value, ir.Scalar) and annotation == type(value.value).__name__ and annotation in {"str", "bool"}


def _plainly(annotation: str) -> str:
    """An annotation on one line; one in quotes without them."""
    text = " ".join(annotation.split())
    inner = text[1:-1]
    return inner if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in inner else text


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _parameter(path: str, bound: Bound) -> str:
    parameter = bound.parameter
    default = f" = {parameter.default}" if parameter.default is not None else ""
    return f"`{parameter.name}: {_plainly(parameter.annotation or '')}{default}` of `{path}`"


def _place(view: View, bound: Bound) -> Span | None:
    """Where a parameter is written."""
    parameter = bound.parameter
    return reader(view.world).span(bound.module, parameter.line, parameter.column, len(parameter.name))


# -- values -------------------------------------------------------------------------------------------------------------


def _values(view: View, start: int, end: int) -> Iterator[Hint]:
    texts = _texts(view)
    for meaning in meanings(view).values():
        node = meaning.node
        if not isinstance(node, ir.LinkNode | ir.CarriedNode) or not start <= node.span.start <= end:
            continue
        inside = texts.get(node.span.start)
        if inside is not None and inside[1] > 1:
            # It is one part of a text, which is shown as a whole.
            continue
        value = value_of(view.recipe, meaning)
        text = _shown(view, value) if value is not None else None
        if value is not None and text is not None:
            place = inside[0].end if inside is not None else node.span.end
            yield Hint(What.VALUE, place, f" = {text}", _about(view, value), value.span)
    for whole, config in _with_names(view):
        filled = _filled(view, whole, config) if start <= whole.span.end <= end else None
        if filled is not None:
            yield Hint(What.VALUE, whole.span.end, f' = "{_short(filled)}"', f"the whole text: `{filled}`")


def _texts(view: View) -> dict[int, tuple[Span, int]]:
    """For each expression inside a text, by where it begins: the text, and how many parts it has."""
    found: dict[int, tuple[Span, int]] = {}
    for text in _all_texts(view.file):
        for part in text.parts:
            if isinstance(part, ast.Interpolation):
                found[part.span.start] = text.span, len(text.parts)
    return found


def _all_texts(file: ast.File) -> Iterator[ast.Text]:
    left: list[object] = [*file.declarations]
    while left:
        each = left.pop()
        if isinstance(each, ast.Text):
            yield each
        elif isinstance(each, tuple) and not isinstance(each, Span):
            left.extend(each)
        else:
            left.extend(getattr(each, name) for name in fields(each) if name != "span")


def _with_names(view: View) -> Iterator[tuple[ir.Text, ir.MapNode | None]]:
    """The texts that hold names, each once, with the config in which they are written."""
    seen: set[int] = set()
    for root, span, config in homes(view):
        for node in values(root):
            if isinstance(node, ir.Text) and span.start <= node.span.start <= span.end and node.span.start not in seen:
                seen.add(node.span.start)
                yield node, config


def _filled(view: View, text: ir.Text, config: ir.MapNode | None) -> str | None:
    """A text with what is known put in; None where nothing is, or it has several lines."""
    parts: list[str] = []
    known = False
    for part in text.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        said = _said(view, part, config, 0)
        known = known or said is not None
        name = part.span.text
        parts.append(said if said is not None else "${" + name + "}")
    whole = "".join(parts)
    return whole if known and "\n" not in whole else None


def _said(
    view: View, part: ir.LinkNode | ir.CarriedNode | ir.Resolver | ir.BrokenNode, config: ir.MapNode | None, depth: int
) -> str | None:
    """What stands in a text in the place of a name, if that is known."""
    value = value_of(view.recipe, Meaning(part, config))
    match value:
        case ir.Scalar(value=bool() | None as constant):
            return {True: "True", False: "False", None: "None"}[constant]
        case ir.Scalar(value=plain):
            return str(plain)
        case ir.Text(parts) if depth < 10:
            inner = [
                each if isinstance(each, str) else _said(view, each, config, depth + 1) or "${" + each.span.text + "}"
                for each in parts
            ]
            return "".join(inner)
        case _:
            return None


def _shown(view: View, value: ir.Node) -> str | None:
    """A value as a hint has it: short, and as it is written. None where that would say nothing."""
    match value:
        case ir.Scalar() | ir.Text():
            text = value.span.text
        case ir.ListNode(items) if all(isinstance(each, ir.Scalar) for each in items):
            text = value.span.text
        case _:
            return None
    return text if len(text) <= LONGEST and "\n" not in text else None


def _about(view: View, value: ir.Node) -> str:
    """Where a value stands, and what it is in the unit in which Python gets it."""
    span = value.span
    where = f"line {span.source.line_of(span.start)}"
    if span.source is not view.source:
        where = f"{span.source.path}, {where}"
    if isinstance(value, ir.Scalar) and value.dimension is not None:
        exact = f"{value.value} {_BASE_UNITS[value.dimension]}"
        return f"`{span.text}` ({where}), which is {exact}"
    return f"`{span.text}` ({where})"
