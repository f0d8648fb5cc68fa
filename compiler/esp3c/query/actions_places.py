"""Where in a recipe's text something new is put, and in which style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from esp3c.diagnostics import Edit
from esp3c.format.lay import INDENT
from esp3c.query.folding import Pair, pairs
from esp3c.query.view import View
from esp3c.record import fields
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.comments import comments


def line_end(source: Source) -> str:
    """How lines end: as the first one does."""
    first = source.text.find("\n")
    return "\r\n" if first > 0 and source.text[first - 1] == "\r" else "\n"


def indent_at(source: Source, offset: int) -> str:
    """The indentation of the line of a place."""
    text = source.line_text(source.line_of(offset))
    return text[: len(text) - len(text.lstrip(" \t"))]


def nodes(node: Any) -> Iterator[Any]:
    """All things of a syntax tree, in no order."""
    left: list[Any] = [node]
    while left:
        each = left.pop()
        if isinstance(each, tuple) and not isinstance(each, Span):
            left.extend(each)
            continue
        names = fields(each)
        if names:
            yield each
            left.extend(getattr(each, name) for name in names if name != "span")


def pair_from(view: View, at: int) -> Pair | None:
    """The first bracket that begins at a place or behind it."""
    return next((each for each in pairs(view) if each.start >= at), None)


def into_bracket(
    view: View, bracket: Pair, items: Sequence[Span], new: Sequence[str], *, commas: bool
) -> tuple[Edit, ...]:
    """Puts new items behind those of a bracket, each on a line of its own where they stand so."""
    source = view.source
    if not items:
        return _into_empty(source, bracket, new, commas=commas)
    first, last = items[0], items[-1]
    split = source.line_of(bracket.start) != source.line_of(first.start)
    comma = next((each for each in view.tokens if each.start_pos >= last.end), None)
    behind = comma.end_pos if comma is not None and comma.type == "COMMA" else None
    if not split:
        glue = ", " if commas else "  "
        return (Edit(Span(source, last.end, last.end), "".join(glue + each for each in new)),)
    # A comment behind the last item stays with it.
    end = behind if behind is not None else last.end
    note = next((each for each in comments(source) if each.start >= end), None)
    if note is not None and source.line_of(note.start) == source.line_of(end):
        end = note.end
    inside = bracket.inside[1]
    tight = source.line_of(last.end) == source.line_of(inside)
    break_, indent = line_end(source), indent_at(source, first.start)
    text = "".join(f"{break_}{indent}{each}{',' if commas else ''}" for each in new)
    if tight:
        text = text.removesuffix(",")
    if not commas or behind is not None:
        return (Edit(Span(source, end, end), text),)
    if end == last.end:
        return (Edit(Span(source, end, end), "," + text),)
    return Edit(Span(source, last.end, last.end), ","), Edit(Span(source, end, end), text)


def _into_empty(source: Source, bracket: Pair, new: Sequence[str], *, commas: bool) -> tuple[Edit, ...]:
    start, end = bracket.inside
    text = source.text[start:end]
    if commas:
        return (Edit(Span(source, start, start), ", ".join(new)),)
    if "\n" in text:
        break_, indent = line_end(source), indent_at(source, bracket.start) + INDENT
        return (Edit(Span(source, start, start), "".join(f"{break_}{indent}{each}" for each in new)),)
    inside = "  ".join(new)
    return (Edit(Span(source, start, end), f" {inside} "),) if not text.strip() else ()


# -- declarations -------------------------------------------------------------------------------------------------------


def declared(view: View, kind: type[ast.Declaration]) -> list[ast.Declaration]:
    return [each for each in view.file.declarations if isinstance(each, kind)]


def after(view: View, declaration: ast.Declaration, text: str, *, apart: bool) -> Edit:
    """Puts a declaration behind another one; `apart` with an empty line between."""
    source = view.source
    end = _free_end(source, declaration.span.end)
    break_ = line_end(source)
    at = declaration.span.end if end is None else end
    behind = "" if end is not None else break_
    return Edit(Span(source, at, at), break_ * (2 if apart else 1) + text + behind)


def before(view: View, declaration: ast.Declaration, text: str) -> Edit:
    """Puts a declaration in front of another one and of the comments that stand above it, with an empty line between.

    What stands above the first declaration is about the whole file.
    """
    source = view.source
    break_ = line_end(source)
    line = source.line_of(declaration.span.start)
    start = source.line_start(line)
    if source.text[start : declaration.span.start].strip():
        at = declaration.span.start
        return Edit(Span(source, at, at), break_ + text + break_)
    above = line
    while above > 1 and source.line_text(above - 1).lstrip().startswith("#"):
        above -= 1
    if above == 1 and line > 1:
        return Edit(Span(source, start, start), break_ + text + break_ * 2)
    at = source.line_start(above)
    return Edit(Span(source, at, at), text + break_ * 2)


def at_end(view: View, text: str) -> Edit:
    """Puts a declaration at the end of the file."""
    source = view.source
    break_ = line_end(source)
    length = len(source.text)
    empty = not source.text.strip()
    ahead = "" if empty else break_ if source.text.endswith("\n") else break_ * 2
    return Edit(Span(source, length, length), ahead + text + break_)


def _free_end(source: Source, at: int) -> int | None:
    """The end of the line of a place, behind its comment; None where something else follows there."""
    end = source.text.find("\n", at)
    end = len(source.text) if end < 0 else end - (source.text[end - 1 : end] == "\r")
    note = next((each for each in comments(source) if at <= each.start < end), None)
    rest = source.text[at : note.start if note is not None else end]
    return None if rest.strip() else end


def new_let(view: View, text: str) -> Edit:
    """Where a `let` is put: behind the last one, or in front of everything."""
    lets = declared(view, ast.LetDeclaration)
    if lets:
        return after(view, lets[-1], text, apart=False)
    if view.file.declarations:
        return before(view, view.file.declarations[0], text)
    return at_end(view, text)


def new_config(view: View, text: str) -> Edit:
    stages = declared(view, ast.StagesDeclaration)
    machines = declared(view, ast.ParallelDeclaration)
    first = min([*stages[:1], *machines[:1]], key=lambda each: each.span.start, default=None)
    return before(view, first, text) if first is not None else at_end(view, text)


def new_parallel(view: View, text: str) -> Edit:
    machines = declared(view, ast.ParallelDeclaration)
    if machines:
        return after(view, machines[-1], text, apart=False)
    stages = declared(view, ast.StagesDeclaration)
    return before(view, stages[0], text) if stages else at_end(view, text)


def new_dataset(view: View, text: str) -> Edit:
    for kind in (ast.DatasetDeclaration, ast.RecipeDeclaration):
        found = declared(view, kind)
        if found:
            return after(view, found[-1], text, apart=True)
    configs = declared(view, ast.ConfigDeclaration)
    return before(view, configs[0], text) if configs else at_end(view, text)
