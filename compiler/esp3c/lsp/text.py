"""Text as the protocol sees it: lines, positions in units of an encoding, and edits.

Language Server Protocol 3.17, "Text Documents": a line ends with `\\n`, `\\r\\n` or `\\r`, and the column of a position
counts code units of the encoding that client and server have agreed upon, UTF-16 unless they said otherwise.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from lsprotocol import types

LINE_END = re.compile(r"\r\n|\n|\r")


def _utf16(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)


def _utf8(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


UNITS: dict[str, Callable[[str], int]] = {"utf-8": _utf8, "utf-16": _utf16, "utf-32": len}


class Lines:
    """Offsets of one text and positions of the protocol, both ways."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self.encoding = encoding
        self._units = UNITS[encoding]
        self._plain = text.isascii() or encoding == "utf-32"
        if "\r" in text:
            self._starts = [0, *(found.end() for found in LINE_END.finditer(text))]
        else:
            self._starts = list(accumulate((len(line) + 1 for line in text.split("\n")[:-1]), initial=0))

    def position(self, offset: int) -> types.Position:
        """The position of a character; of the text's end for an offset behind it."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        column = offset - start if self._plain else self._units(self.text[start:offset])
        return types.Position(line, column)

    def offset(self, position: types.Position) -> int:
        """The offset of a position. Behind the end of a line or of the text it is that end, as the protocol says."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[max(0, position.line)]
        end = self._end(position.line)
        if self._plain:
            return min(start + position.character, end)
        left = position.character
        for offset in range(start, end):
            if left <= 0:
                return offset
            left -= self._units(self.text[offset])
        return end

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))

    def _end(self, line: int) -> int:
        """Where a line ends, before what ends it."""
        if line + 1 >= len(self._starts):
            return len(self.text)
        end = self._starts[line + 1]
        return end - 2 if self.text[end - 2 : end] == "\r\n" else end - 1


Change = types.TextDocumentContentChangePartial | types.TextDocumentContentChangeWholeDocument


def edited(lines: Lines, changes: Sequence[Change]) -> Lines:
    """The text after the changes, each of which is about the text that the one before it left."""
    for change in changes:
        if isinstance(change, types.TextDocumentContentChangePartial):
            start = lines.offset(change.range.start)
            end = max(start, lines.offset(change.range.end))
            lines = Lines(lines.text[:start] + change.text + lines.text[end:], lines.encoding)
        else:
            lines = Lines(change.text, lines.encoding)
    return lines
