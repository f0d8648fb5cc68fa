"""Journals: what happened, an event a line, in a file for each writer.

A file has one writer, so nobody waits for a lock, and nothing is asked of the file system but that what was appended is
there when the file is opened the next time. That holds on the network file systems of clusters, where SQLite's write-ahead
log does not work at all and its other journals need locks that such systems have or have not. A writer opens and closes the
file for each event for the same reason: what is closed is seen by whoever opens it next.

A writer that is killed leaves half a line at most, which readers pass over.

Readers put the events of all writers in order by their times, and clocks of machines differ. So nobody says that something
happened before what it has read or written: a process that reads the journals of a folder, or writes to one, and then writes,
writes a later time, whatever its clock says.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

SUFFIX = ".jsonl"
_TICK = 0.001
# Of each folder: the earliest time that what this process writes there may have.
_earliest: dict[str, float] = {}


class Event(NamedTuple):
    """Something that happened.

    Attributes:
        kind: What.
        writer: Who says so.
        time: When, in seconds since 1970 by the writer's clock, and later than all that the writer had read.
        data: What is said of it.
    """

    kind: str
    writer: str
    time: float
    data: dict[str, Any]


class Journal:
    """The journal of one writer in a folder of journals.

    Args:
        folder: The folder; it is made.
        writer: A name that nobody else has.
    """

    def __init__(self, folder: Path, writer: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / (writer + SUFFIX)
        self._whole = not self.path.exists()
        self._folder = os.path.abspath(folder)

    def write(self, kind: str, *, sure: bool = False, **data: Any) -> None:
        """Add an event.

        Args:
            kind: What happened.
            sure: Bring it to the disk before going on: the machine may fail.
            data: What is said of it; plain values.

        Raises:
            OSError: The disk is full, say. A later event begins on a line of its own.
        """
        now = round(max(time.time(), _earliest.get(self._folder, 0.0)), 3)
        _earliest[self._folder] = now + _TICK
        line = json.dumps({"e": kind, "t": now, **data}, ensure_ascii=False) + "\n"
        # What was there before may end in half a line.
        text = line if self._whole else "\n" + line
        self._whole = False
        with open(self.path, "ab", buffering=0) as handle:
            data_left = memoryview(text.encode())
            while data_left:
                data_left = data_left[handle.write(data_left) :]
            if sure:
                os.fsync(handle.fileno())
        self._whole = True


class Reader:
    """Reads the journals of a folder, and later what has been added to them.

    Args:
        folder: The folder.
        prefix: Only those of writers whose name begins so.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self._folder = folder
        self._prefix = prefix
        self._places: dict[str, int] = {}

    def read(self) -> Iterator[Event]:
        """Yield what was added since the last call; in order for each writer, writer by writer."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return
        for name in sorted(names):
            if name.endswith(SUFFIX) and name.startswith(self._prefix):
                yield from self._added(name)

    def read_one(self, journal: Journal) -> Iterator[Event]:
        """Yield what was added to one journal of the folder; the others are not looked at."""
        yield from self._added(journal.path.name)

    def _added(self, name: str) -> Iterator[Event]:
        place = self._places.get(name, 0)
        try:
            # Opened each time: only then does a network file system ask whether there is more.
            with open(self._folder / name, "rb") as handle:
                if os.fstat(handle.fileno()).st_size == place:
                    return
                handle.seek(place)
                data = handle.read()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        self._places[name] = place + end
        writer = name.removesuffix(SUFFIX)
        lines = [line for line in data[:end].decode(errors="replace").split("\n") if line]
        events = []
        for found in _parsed(lines):
            try:
                events.append(Event(found.pop("e"), writer, float(found.pop("t")), found))
            except (KeyError, TypeError, ValueError, AttributeError):
                # Somebody else's file.
                continue
        folder = os.path.abspath(self._folder)
        newest = max((event.time for event in events), default=0.0)
        _earliest[folder] = max(newest + _TICK, _earliest.get(folder, 0.0))
        yield from events


def _parsed(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Each line as JSON, without those that are none: half lines of writers that were killed."""
    try:
        # All at once takes half the time.
        together = json.loads(f"[{','.join(lines)}]")
        if len(together) == len(lines):
            return list(together)
    except ValueError:
        pass
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found
