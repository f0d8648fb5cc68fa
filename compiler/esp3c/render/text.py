"""Diagnostics as text for a terminal, in the manner of rustc.

    error[ESP0301]: unknown key `max_epoch` in `trainer`
      --> recipe.esp:41:13
       |
    41 |   trainer { max_epoch = 12 }
       |             ^^^^^^^^^ did you mean `max_epochs`?
       |
       = help: …
       = fix: write `max_epochs`

Columns are counted in the width that a terminal gives a character: tabs become spaces, wide characters take two places,
combining ones none. What a terminal would obey (escapes, changes of the writing direction) is shown as `�`. Of a very
long line the part around the labels is shown. A span over several lines is drawn with a rail on the left.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from esp3c.diagnostics import Diagnostic, Label, Severity
from esp3c.record import record
from esp3c.source import Source

TAB = 4
WIDEST = 160
LONGEST = 2000
"""Of a line with more characters only as many are looked at."""

BEFORE = 40
"""How much of a line that is too wide is shown in front of its first label."""

_OBEYED = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029\u0085")

_RED, _YELLOW, _BLUE, _GREEN, _BOLD, _PLAIN = (
    "\x1b[1;31m",
    "\x1b[1;33m",
    "\x1b[1;34m",
    "\x1b[1;32m",
    "\x1b[1m",
    "\x1b[0m",
)


_CUT = "… "


def char_width(char: str) -> int:
    """The places that a terminal gives one character."""
    if unicodedata.combining(char) or unicodedata.category(char) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def widen(text: str) -> tuple[list[str], list[int]]:
    """How each character is shown, and for each (and the end) the column at which it begins."""
    shown: list[str] = []
    columns: list[int] = []
    at = 0
    for char in text:
        columns.append(at)
        if char == "\t":
            width = TAB - at % TAB
            shown.append(" " * width)
        elif char in _OBEYED or unicodedata.category(char) in {"Cc", "Cs"}:
            shown.append("\ufffd")
            width = 1
        else:
            shown.append(char)
            width = char_width(char)
        at += width
    columns.append(at)
    return shown, columns


@record
class _Mark:
    """A label on one line: the columns that it underlines, and its text where this is its last line."""

    start: int
    end: int
    text: str
    primary: bool


class Colors(Protocol):
    """The colours of one source."""

    def between(self, start: int, end: int) -> Sequence[tuple[int, int, str]]:
        """Where each run of a colour that touches these characters begins and ends, and the sequence that begins it."""


class TextRenderer:
    """Renders diagnostics, in colour or not.

    With `colors`, which is asked once for each source that is shown, lines of a source have their own colours and what
    is underlined has the colour of its line of carets.
    """

    def __init__(self, *, color: bool = False, colors: Callable[[Source], Colors | None] | None = None) -> None:
        self.color = color
        self._colors = colors if color else None
        self._known: dict[int, tuple[Source, Colors | None]] = {}

    def paint(self, text: str, color: str) -> str:
        return f"{color}{text}{_PLAIN}" if self.color and text else text

    def render(self, diagnostics: Iterable[Diagnostic]) -> str:
        return "".join(self.one(each) + "\n" for each in diagnostics)

    def one(self, diagnostic: Diagnostic) -> str:
        """One diagnostic, with a line end."""
        loud = _RED if diagnostic.severity is Severity.ERROR else _YELLOW
        head = self.paint(f"{diagnostic.severity}[{diagnostic.code.id}]", loud)
        lines = [head + self.paint(": " + _printable(diagnostic.message), _BOLD)]
        source = diagnostic.primary.span.source
        groups: dict[int, tuple[Source, list[tuple[Label, bool]]]] = {}
        for label, primary in ((diagnostic.primary, True), *((each, False) for each in diagnostic.secondary)):
            groups.setdefault(id(label.span.source), (label.span.source, []))[1].append((label, primary))
        gutter = max(
            len(str(each.line_of(max(label.span.start, label.span.end - 1))))
            for each, labels in groups.values()
            for label, _ in labels
        )
        pad = " " * gutter
        for each, labels in groups.values():
            main = labels[0][0]
            line, column = each.position(main.span.start)
            arrow = "-->" if each is source else ":::"
            lines.append(f"{pad}{self.paint(arrow, _BLUE)} {_printable(each.path)}:{line}:{column}")
            lines.append(f"{pad} {self.paint('|', _BLUE)}")
            lines.extend(self.snippet(each, labels, gutter, loud))
        notes = [("help", text) for text in diagnostic.help]
        if diagnostic.fix is not None:
            notes.append(("fix", diagnostic.fix.title))
        if notes:
            lines.append(f"{pad} {self.paint('|', _BLUE)}")
        for kind, text in notes:
            lines.append(f"{pad} {self.paint('=', _BLUE)} {self.paint(kind, _BOLD)}: {_printable(text)}")
        return "\n".join(line.rstrip() for line in lines) + "\n"

    # -- the source lines ---------------------------------------------------------------------------------------------

    def snippet(self, source: Source, labels: Sequence[tuple[Label, bool]], gutter: int, loud: str) -> list[str]:
        on_line: dict[int, list[tuple[Label, bool]]] = {}
        marks: dict[int, list[_Mark]] = {}
        rails: list[tuple[int, int, bool, str]] = []
        for label, primary in labels:
            first = source.line_of(label.span.start)
            last = source.line_of(max(label.span.start, label.span.end - 1))
            if first == last:
                on_line.setdefault(first, []).append((label, primary))
            else:
                rails.append((first, last, primary, _printable(label.text)))
                marks.setdefault(first, [])
                marks.setdefault(last, [])
        cuts: dict[int, int] = {}
        for line, here in on_line.items():
            cuts[line] = self.cut(source, line, [label for label, _ in here])
            marks[line] = [self.mark(source, line, cuts[line], label, primary) for label, primary in here]
        out: list[str] = []
        before: int | None = None
        rail_width = 2 if rails else 0
        for line in sorted(marks):
            if before is not None and line > before + 1:
                if line == before + 2:
                    out.append(self.source_line(source, before + 1, gutter, self.rail(rails, before + 1, loud)))
                else:
                    out.append(self.paint("...", _BLUE))
            before = line
            cut = cuts.get(line, 0)
            skip, shown = self.window(marks[line], cut > 0)
            places = [
                (label.span.start, max(label.span.end, label.span.start + 1), loud if primary else _BLUE)
                for label, primary in sorted(on_line.get(line, []), key=lambda each: each[1])
            ]
            out.append(self.source_line(source, line, gutter, self.rail(rails, line, loud), cut, skip, places))
            out.extend(self.underlines(shown, gutter, loud, " " * rail_width))
            for first, last, primary, text in rails:
                if last == line and text:
                    color = loud if primary else _BLUE
                    foot = "|_" + ("^" if primary else "-") + " " + text
                    out.append(f"{' ' * gutter} {self.paint('|', _BLUE)} {self.paint(foot, color)}")
                elif first == line:
                    continue
        return out

    def rail(self, rails: Sequence[tuple[int, int, bool, str]], line: int, loud: str) -> str:
        if not rails:
            return ""
        for first, last, primary, _ in rails:
            color = loud if primary else _BLUE
            if line == first:
                return self.paint("/ ", color)
            if first < line <= last:
                return self.paint("| ", color)
        return "  "

    def cut(self, source: Source, line: int, labels: Sequence[Label]) -> int:
        """How many characters of a long line are left out in front, so that the labels are among those looked at."""
        start = min(label.span.start for label in labels) - source.line_start(line)
        return max(0, start - BEFORE) if len(source.line_text(line)) > LONGEST and start > WIDEST else 0

    def source_line(
        self,
        source: Source,
        line: int,
        gutter: int,
        rail: str,
        cut: int = 0,
        skip: int = 0,
        places: Sequence[tuple[int, int, str]] = (),
    ) -> str:
        """A line of the source, without its first `cut` characters, from its column `skip` on.

        `places` have a colour of their own, which goes before that of the text.
        """
        text = source.line_text(line)
        pieces, columns = widen(text[cut : cut + LONGEST])
        first, last = bisect_left(columns, skip), bisect_right(columns, skip + WIDEST) - 1
        # A wide character that the cut would halve is left out.
        shown = " " * (columns[first] - skip)
        shown += self.colored(source, source.line_start(line) + cut + first, pieces[first:last], places)
        number = self.paint(f"{line:>{gutter}} |", _BLUE)
        more = last < len(pieces) or cut + LONGEST < len(text)
        return f"{number} {rail}{_CUT if cut or skip else ''}{shown}{' …' if more else ''}"

    def colored(self, source: Source, start: int, pieces: Sequence[str], places: Sequence[tuple[int, int, str]]) -> str:
        """The characters from `start` on as they are shown, in their colours."""
        if self._colors is None or not pieces:
            return "".join(pieces)
        paints = [""] * len(pieces)
        for begin, end, paint in (*self.colors_of(source, start, start + len(pieces)), *places):
            for at in range(max(begin - start, 0), min(end - start, len(pieces))):
                paints[at] = paint
        return self.painted(zip(pieces, paints, strict=True))

    def painted(self, characters: Iterable[tuple[str, str]]) -> str:
        """Characters, each with its colour or none, as few sequences as that needs."""
        out = ""
        for paint, run in groupby(characters, key=itemgetter(1)):
            text = "".join(character for character, _ in run)
            out += self.paint(text, paint) if paint else text
        return out

    def colors_of(self, source: Source, start: int, end: int) -> Sequence[tuple[int, int, str]]:
        if id(source) not in self._known:
            self._known[id(source)] = source, self._colors(source) if self._colors is not None else None
        colors = self._known[id(source)][1]
        return colors.between(start, end) if colors is not None else ()

    def mark(self, source: Source, line: int, cut: int, label: Label, primary: bool) -> _Mark:
        text = source.line_text(line)[cut : cut + LONGEST]
        start = label.span.start - source.line_start(line) - cut
        _, columns = widen(text)
        begin = columns[min(start, len(text))]
        end = columns[min(start + (label.span.end - label.span.start), len(text))]
        return _Mark(begin, max(end, begin + 1), _printable(label.text), primary)

    def window(self, marks: Sequence[_Mark], cut: bool) -> tuple[int, list[_Mark]]:
        """How many columns of a line are left out in front, and the marks on what is shown of it."""
        wide = any(mark.end > WIDEST for mark in marks)
        skip = max(0, min(mark.start for mark in marks) - BEFORE) if wide else 0
        lead = len(_CUT) if cut or skip else 0
        moved: list[_Mark] = []
        for mark in marks:
            start, end = (min(column - skip, WIDEST) + lead for column in (mark.start, mark.end))
            moved.append(_Mark(start, max(end, start + 1), mark.text, mark.primary))
        return skip, moved

    def underlines(self, marks: Sequence[_Mark], gutter: int, loud: str, indent: str) -> list[str]:
        """The line of carets, with the text of the rightmost label behind it and the others below."""
        if not marks:
            return []
        prefix = f"{' ' * gutter} {self.paint('|', _BLUE)} {indent}"
        ordered = sorted(marks, key=lambda mark: (mark.start, -mark.end))
        cells: list[tuple[str, str]] = []
        for mark in sorted(marks, key=lambda mark: mark.primary):
            while len(cells) < mark.end:
                cells.append((" ", ""))
            for column in range(mark.start, mark.end):
                cells[column] = ("^", loud) if mark.primary else ("-", _BLUE)
        last = ordered[-1]
        row = self.painted(cells)
        tail = " " + self.paint(last.text, loud if last.primary else _BLUE) if last.text else ""
        out = [prefix + row + tail]
        for position in range(len(ordered) - 2, -1, -1):
            mark = ordered[position]
            if not mark.text:
                continue
            stems = [each for each in ordered[: position + 1] if each.text]
            out.append(prefix + self.stems(stems, "|", loud))
            above = self.stems(stems[:-1], "|", loud)
            width = max((each.start + 1 for each in stems[:-1]), default=0)
            text = self.paint(mark.text, loud if mark.primary else _BLUE)
            out.append(prefix + above + " " * (mark.start - width) + text)
        return out

    def stems(self, marks: Sequence[_Mark], char: str, loud: str) -> str:
        out, at = "", 0
        for column, primary in sorted({mark.start: mark.primary for mark in marks}.items()):
            out += " " * (column - at) + self.paint(char, loud if primary else _BLUE)
            at = column + 1
        return out


def _printable(text: str) -> str:
    """Text from a recipe may hold control characters, which a terminal must not obey, and may be of any length."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + " …"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" if char != "\n" else " " for char in text)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or the empty text."""
    errors = sum(each.severity is Severity.ERROR for each in diagnostics)
    warnings = len(diagnostics) - errors
    parts = []
    if errors:
        parts.append(f"{errors} error{'s' if errors > 1 else ''}")
    if warnings:
        parts.append(f"{warnings} warning{'s' if warnings > 1 else ''}")
    return ", ".join(parts)
