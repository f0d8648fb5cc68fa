"""Source text and places in it.

Every position in the compiler is a character offset into one `Source`. `Source` is the only gate from offsets to
lines and columns, so the rest of the compiler never counts newlines.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple


class Source:
    """One text and the name that a person knows it by.

    `path` is what messages show (`recipe.esp`, `--set training.seed=3`). Two sources are equal only when they are the
    same object, so that a span can carry its source cheaply.
    """

    __slots__ = ("__dict__", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    def __repr__(self) -> str:
        return f"Source({self.path!r}, {len(self.text)} characters)"

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    @property
    def line_count(self) -> int:
        return len(self._line_starts)

    def line_of(self, offset: int) -> int:
        """The 1-based line that holds the character at `offset`."""
        return bisect_right(self._line_starts, offset)

    def line_start(self, line: int) -> int:
        """The offset of the first character of a 1-based line."""
        return self._line_starts[line - 1]

    def line_text(self, line: int) -> str:
        """A 1-based line without its line ending."""
        start = self._line_starts[line - 1]
        end = self._line_starts[line] if line < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and the 1-based column, counted in characters."""
        line = self.line_of(offset)
        return line, offset - self._line_starts[line - 1] + 1


class Span(NamedTuple):
    """The characters from `start` up to, not including, `end` of one source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`, in the same source."""
        assert self.source is other.source
        return Span(self.source, self.start, max(self.end, other.end))

    def at_end(self) -> Span:
        """The empty place just behind this span."""
        return Span(self.source, self.end, self.end)

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.path}:{line}:{column}"
