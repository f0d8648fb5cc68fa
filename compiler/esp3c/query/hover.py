"""What an editor shows of the word at a place: of a name what it stands for, of a word of the language what it does."""

from __future__ import annotations

from esp3c.query import hover_declared, hover_words
from esp3c.query.hover_parts import Part, Said, code
from esp3c.query.hover_python import python
from esp3c.query.hover_values import common, key, reference, resolved
from esp3c.query.occurrences import Index, Occurrence, Role, index
from esp3c.query.values_shown import amount, home_of
from esp3c.query.view import View
from esp3c.query.ways import Sort, of_value
from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax.comments import comments
from esp3c.syntax.lalr import Token
from esp3c.syntax.literals import read_number


@record
class Hover:
    """What is shown, and of which characters."""

    span: Span
    parts: tuple[Part, ...]


def hover(view: View, offset: int) -> Hover | None:
    """What there is to show at an offset; None where nothing is."""
    known = index(view)
    found = known.at(offset)
    if found is not None:
        parts = _of(view, known, found)
        if parts:
            return Hover(found.span, tuple(parts))
    return _of_token(view, known, offset)


def _of(view: View, known: Index, found: Occurrence) -> list[Part]:
    thing = found.thing
    match thing.sort:
        case Sort.VALUE if found.role is Role.USED:
            return reference(view, known, found) or key(view, known, found)
        case Sort.VALUE:
            return key(view, known, found)
        case Sort.COMMON:
            return common(view, known, thing.name, found.span.start)
        case Sort.PYTHON:
            return python(view.world, thing.name)
        case Sort.BACKEND:
            return hover_words.backend(thing.name)
        case _:
            return hover_declared.declared(view, known, thing)


def _of_token(view: View, known: Index, offset: int) -> Hover | None:
    token = _token(view, offset)
    if token is None or any(each.start <= offset <= each.end for each in comments(view.source)):
        return None
    span = Span(view.source, token.start_pos, token.end_pos)
    match token.type:
        case "NUMBER":
            parts = _number(span)
        case "STRING" | "LONG_STRING":
            parts = _text(view, known, offset)
        case "NAME":
            named = hover_declared.type_at(view, offset)
            parts = hover_words.field_type(named.text) if named is not None else []
            parts = parts or hover_words.word(str(token))
        case _:
            parts = []
    return Hover(span, tuple(parts)) if parts else None


def _token(view: View, offset: int) -> Token | None:
    """The word at an offset, rather than the one that ends there."""
    tokens = view.tokens
    low, high = 0, len(tokens)
    while low < high:
        middle = (low + high) // 2
        if tokens[middle].start_pos <= offset:
            low = middle + 1
        else:
            high = middle
    near = tokens[max(0, low - 2) : low]
    inside = [each for each in near if each.start_pos <= offset < each.end_pos]
    ending = [each for each in near if each.end_pos == offset]
    return next(iter([*inside, *ending]), None)


def _number(span: Span) -> list[Part]:
    """A quantity in its base unit, and what that unit is."""
    meant = read_number(span)
    if meant.problem is not None or meant.dimension is None:
        return []
    parts: list[Part] = [Said(f"{code(span.text)} is {amount(meant.value, meant.dimension)}")]
    unit = hover_words.unit(span.text.lstrip("-0123456789_.").removeprefix("e"))
    return [*parts, Said(unit)] if unit else parts


def _text(view: View, known: Index, offset: int) -> list[Part]:
    for value, owner, place in known.strings:
        if value.span.start <= offset <= value.span.end and value.plain is None:
            config = owner.name if owner.is_config else home_of(known, offset)
            return list(resolved(view, config, of_value(owner, place)))
    return []
