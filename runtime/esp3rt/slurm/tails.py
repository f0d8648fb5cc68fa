"""The end of a log, without reading what stands before it, and without what a terminal would obey.

A progress bar writes the same line again and again with a carriage return between; what it wrote last is the line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK = 8192
# What stands further from the end, in a log of nothing but one bar, is left unread.
_FURTHEST = 4 * 2**20
_AT_ONCE = 2**20
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def last_line(path: Path) -> str:
    """The last line of a log that says something; empty where there is none, or no such file."""
    try:
        with open(path, "rb") as handle:
            data = _end(handle.fileno(), _BLOCK)[1]
    except OSError:
        return ""
    return next((shown for line in reversed(data.split(b"\n")) if (shown := shown_line(line))), "")


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a log, as a terminal would show them; none where there is no such file."""
    return list(Tail(path, count).rest())


class Tail:
    """Reads a log, and later what has been added to it.

    Args:
        path: The log; it need not be there yet.
        last: Begin with so many of the last lines; None for all of them.
    """

    def __init__(self, path: Path, last: int | None = None) -> None:
        self._path = path
        self._skip = last
        self._place = 0
        self._begun = b""

    def read(self) -> Iterator[str]:
        """Yield the lines that have ended since the last call, as a terminal would show them."""
        while data := self._added():
            *lines, begun = (self._begun + data).split(b"\n")
            # Of a line that goes on and on, as that of a bar does, only the end will be shown.
            self._begun = begun if len(begun) < _AT_ONCE else begun[-_BLOCK:]
            yield from map(shown_line, lines)

    def rest(self) -> Iterator[str]:
        """Yield what there is still to read, and the last line though it has not ended."""
        yield from self.read()
        begun, self._begun = self._begun, b""
        if shown := shown_line(begun):
            yield shown

    def _added(self) -> bytes:
        try:
            with open(self._path, "rb") as handle:
                if self._skip is not None:
                    self._place, self._skip = _start_of_last(handle.fileno(), self._skip), None
                if os.fstat(handle.fileno()).st_size < self._place:
                    # It was begun anew.
                    self._place, self._begun = 0, b""
                handle.seek(self._place)
                data = handle.read(_AT_ONCE)
        except OSError:
            return b""
        self._place += len(data)
        return data


def newest(paths: Iterable[Path]) -> Path | None:
    """The log that was written to last; None where none of them says anything."""
    times = []
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        if found.st_size:
            times.append((found.st_mtime_ns, path))
    return max(times)[1] if times else None


def shown_line(line: bytes) -> str:
    """What a terminal would show of a line in the end, as plain text."""
    text = line.decode("utf-8", errors="replace")
    return next((plain for part in reversed(text.split("\r")) if (plain := plain_text(part))), "")


def plain_text(text: str) -> str:
    """Text without colours, movements of the cursor and other things that cannot be printed."""
    text = _SEQUENCES.sub("", text).replace("\t", "    ")
    return (text if text.isprintable() else "".join(char for char in text if char.isprintable())).rstrip()


def _start_of_last(file: int, count: int) -> int:
    """Where the last `count` lines of a file begin."""
    size = _BLOCK
    while True:
        start, data = _end(file, size)
        # The one that ends the last line begins none.
        ends = [match.start() for match in re.finditer(rb"\n", data[:-1])]
        if count == 0:
            return start + len(data)
        if len(ends) >= count:
            return start + ends[-count] + 1
        if start == 0 or size >= _FURTHEST:
            return start
        size *= 4


def _end(file: int, size: int) -> tuple[int, bytes]:
    """The last bytes of a file, and where they begin."""
    length = os.fstat(file).st_size
    start = max(0, length - size)
    return start, os.pread(file, length - start, start)
