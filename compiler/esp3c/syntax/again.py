"""Reads a text again after an edit: what a declaration's text has not changed for is taken from the last time.

A text is cut where a declaration begins in the first column. A piece that reads without a mistake reads the same between
other pieces; one with a mistake is read together with the piece behind it, into which its mistake may reach. Where that
does not say for certain what the whole text would, the whole text is read: the answer is always that of `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from esp3c.collector import collector_paused
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label
from esp3c.record import changed, fields, mutable
from esp3c.source import Source, Span
from esp3c.syntax import ast, errors
from esp3c.syntax.grammar import DECLARATIONS, WELL_KNOWN
from esp3c.syntax.parse import MAX_ERRORS, parse

FEWEST = 4
"""Texts of fewer pieces are read whole: that is as quick."""

_NAMED = "|".join(each for each in DECLARATIONS if each != "stages")
_ALONE = "|".join((*WELL_KNOWN, "stages"))
# Strings and comments as the lexer has them (`esp3c.syntax.comments`): what stands in them begins nothing.
_BEGINS = re.compile(
    r'"""[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*"""'
    r'|"""[\s\S]*'
    r'|"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"'
    r'|"[^\n]*'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    rf"|^(?P<begins>(?:{_NAMED})\s+[^\W\d]|(?:{_ALONE})\s*\{{)"
    rf"|^(?P<doubt>(?:{_NAMED}|{_ALONE})\s*#)",
    re.MULTILINE,
)


@mutable
class _Piece:
    """A piece that reads without a mistake: its declarations, and every node in them."""

    declarations: tuple[ast.Declaration, ...]
    nodes: list[Any]
    source: Source
    start: int

    def move(self, source: Source, start: int) -> None:
        """Puts the piece into another text, or to another place."""
        by = start - self.start
        for node in self.nodes:
            span = node.span
            node.span = Span(source, span[1] + by, span[2] + by)
        self.source, self.start = source, start


class Rereader:
    """Reads the versions of one text. The tree of a version is no longer that of its text once the next one is read."""

    def __init__(self) -> None:
        self._kept: dict[str, list[_Piece]] = {}

    def parse(self, source: Source) -> tuple[ast.File, list[Diagnostic]]:
        """What `esp3c.syntax.parse.parse` says of the text."""
        with collector_paused():
            before, self._kept = self._kept, {}
            places = _cut(source.text)
            if places is None or len(places) < FEWEST:
                return parse(source)
            found = self._pieces(source, places, before)
            return found if found is not None else parse(source)

    def _pieces(
        self, source: Source, places: list[int], before: dict[str, list[_Piece]]
    ) -> tuple[ast.File, list[Diagnostic]] | None:
        declarations: list[ast.Declaration] = []
        diagnostics: list[Diagnostic] = []
        ends = [*places[1:], len(source.text)]
        after_mistake, mistakes = False, 0
        for number, (start, end) in enumerate(zip(places, ends, strict=True)):
            text = source.text[start:end]
            known = before.get(text)
            piece = known.pop() if known else None
            if piece is None:
                read = _read(text)
                if isinstance(read, list):
                    mistakes += 1
                    following = source.text[end : ends[number + 1]] if number + 1 < len(ends) else ""
                    both = None if after_mistake else _with_next(text, following)
                    if both is None:
                        return None
                    piece, said = both
                    diagnostics.extend(_moved(each, source, start) for each in said)
                    after_mistake = True
                    piece.move(source, start)
                    declarations.extend(piece.declarations)
                    continue
                piece = read
            if piece.source is not source or piece.start != start:
                piece.move(source, start)
            after_mistake = False
            self._kept.setdefault(text, []).append(piece)
            declarations.extend(piece.declarations)
        if len(diagnostics) >= MAX_ERRORS // 2 or (mistakes > 1 and not errors.structure_known(diagnostics)):
            # Brackets may have their partners in other pieces, and the messages an end.
            return None
        return ast.File(tuple(declarations), Span(source, 0, len(source.text))), diagnostics


def _cut(text: str) -> list[int] | None:
    """Where the pieces of a text begin; None where that is not certain."""
    places = [0]
    for found in _BEGINS.finditer(text):
        if found.lastgroup == "doubt":
            return None
        if found.lastgroup == "begins" and found.start():
            places.append(found.start())
    return places


def _read(text: str) -> _Piece | list[Diagnostic]:
    """The piece alone, or what is wrong with it."""
    source = Source("", text)
    file, diagnostics = parse(source)
    if diagnostics:
        return diagnostics
    return _Piece(file.declarations, list(_nodes(file.declarations)), source, 0)


def _with_next(text: str, following: str) -> tuple[_Piece, list[Diagnostic]] | None:
    """A piece with a mistake, read with the one behind it: None where the mistake may reach into that one."""
    source = Source("", text + following)
    file, diagnostics = parse(source)
    own = tuple(each for each in file.declarations if each.span.start < len(text))
    behind = file.declarations[len(own) :]
    if following and (len(behind) != 1 or behind[0].span.start != len(text)):
        return None
    if any(each.span.end > len(text) for each in own):
        return None
    if following and any(
        each.primary.span.start >= len(text) and not _noticed(each, len(text)) for each in diagnostics
    ):
        return None
    return _Piece(own, list(_nodes(own)), source, 0), diagnostics


def _noticed(diagnostic: Diagnostic, at: int) -> bool:
    """Whether a mistake of the piece before is only noticed where the next one begins."""
    return diagnostic.primary.span.start == at and any(label.span.start < at for label in diagnostic.secondary)


def _nodes(value: Any) -> Iterator[Any]:
    """Every node of a tree that has a place."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, Span | str):
            continue
        if isinstance(each, tuple):
            left.extend(each)
            continue
        names = fields(each)
        if "span" in names:
            yield each
        left.extend(getattr(each, name) for name in names)


def _moved(diagnostic: Diagnostic, source: Source, by: int) -> Diagnostic:
    def span(old: Span) -> Span:
        return Span(source, old.start + by, old.end + by)

    def labels(old: Iterable[Label]) -> tuple[Label, ...]:
        return tuple(Label(span(each.span), each.text) for each in old)

    fix = diagnostic.fix
    if fix is not None:
        fix = Fix(fix.title, tuple(Edit(span(each.span), each.text) for each in fix.edits))
    return changed(
        diagnostic,
        primary=Label(span(diagnostic.primary.span), diagnostic.primary.text),
        secondary=labels(diagnostic.secondary),
        fix=fix,
    )
