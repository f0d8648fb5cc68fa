"""Looks at the disk and at Python's finders, and knows afterwards what was seen.

Every answer is asked for once and kept, so that what is told at the end is what the answers came from. `seen` gives it
as plain data, and `unchanged` says in a later process whether looking again would give the same answers: also where
nothing was found, since a file may have appeared there. Nothing is imported; nothing here raises `OSError`.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import Any

Facts = tuple[int, int, int, int, int]
"""What changes when somebody writes to a file or a folder: times of the content and of the entry (ns), size, inode, device."""

# A file system may give two changes within this time the same time stamp.
_TICK_NS = 2_000_000_000

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder"}


class Looks:
    """Everything that was looked at since the object was made."""

    def __init__(self) -> None:
        self._begun = time.time_ns()
        # By path, what is there: "file", "folder", "other", or "" for nothing.
        self._kinds: dict[str, str] = {}
        self._facts: dict[str, Facts | None] = {}
        self._entries: dict[str, list[tuple[str, bool]]] = {}
        self._specs: dict[str, list[Any] | None] = {}
        # What the contents, and not only the presence, was asked of.
        self._opened: set[str] = set()

    def is_file(self, path: str) -> bool:
        return self._kind(path) == "file"

    def is_folder(self, path: str) -> bool:
        return self._kind(path) == "folder"

    def facts(self, path: str) -> Facts | None:
        """What changes when the file does, or None where there is none."""
        self._kind(path)
        self._opened.add(path)
        return self._facts[path]

    def settled(self, path: str) -> bool:
        """Whether the file is old enough for any later change to show in its facts."""
        facts = self.facts(path)
        return facts is None or max(facts[:2]) < self._begun - _TICK_NS

    def read(self, path: str, most: int) -> bytes | None:
        """The bytes of a file, or None where it cannot be read or has more than `most`."""
        if self.facts(path) is None:
            return None
        try:
            with open(path, "rb") as handle:
                data = handle.read(most + 1)
        except OSError:
            return None
        return data if len(data) <= most else None

    def entries(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, and whether each is a folder; none where it cannot be read."""
        if folder not in self._entries:
            self._entries[folder] = self._listed(folder) if self.facts(folder) is not None else []
        return self._entries[folder]

    def spec(self, name: str) -> tuple[str, list[str]] | None:
        """Where Python's own finders have a top-level module: its file, "" for none, and the folders of its modules."""
        if name not in self._specs:
            self._specs[name] = _spec(name)
        found = self._specs[name]
        return (found[0], found[1]) if found is not None else None

    def seen(self) -> dict[str, Any] | None:
        """What was looked at, as JSON has it; None where something changed so lately that a change could hide."""
        if not all(map(self.settled, list(self._opened))):
            return None
        kinds: dict[str, list[str]] = {}
        for path, kind in self._kinds.items():
            if path not in self._opened:
                kinds.setdefault(kind, []).append(path)
        # Lists, as they come back from JSON: what is seen is compared with them.
        facts = {path: list(found) if (found := self._facts[path]) is not None else None for path in self._opened}
        return {"kinds": kinds, "facts": facts, "specs": self._specs}

    def _kind(self, path: str) -> str:
        if path not in self._kinds:
            self._kinds[path], self._facts[path] = _look(path)
        return self._kinds[path]

    def _listed(self, folder: str) -> list[tuple[str, bool]]:
        found: list[tuple[str, bool]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    # Where a link leads may change without a change of the folder.
                    is_folder = self.is_folder(entry.path) if entry.is_symlink() else entry.is_dir()
                    found.append((entry.name, is_folder))
        except OSError:
            return []
        return found


def unchanged(seen: dict[str, Any]) -> bool:
    """Whether everything that `Looks.seen` told of is still as it was."""
    if any(_look(path)[0] != kind for kind, paths in seen["kinds"].items() for path in paths):
        return False
    for path, facts in seen["facts"].items():
        found = _look(path)[1]
        if (list(found) if found is not None else None) != facts:
            return False
    return all(_spec(name) == found for name, found in seen["specs"].items())


def _look(path: str) -> tuple[str, Facts | None]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return "", None
    facts = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
    return _KINDS.get(stat.S_IFMT(found.st_mode), "other"), facts


def _spec(name: str) -> list[Any] | None:
    """The finders of editable installs have to be asked: what they look at, only they know."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is None:
            continue
        try:
            spec = find(name, None)
        except (ImportError, ValueError, AttributeError):
            continue
        if spec is not None:
            return [spec.origin or "", [str(each) for each in spec.submodule_search_locations or ()]]
    return None
