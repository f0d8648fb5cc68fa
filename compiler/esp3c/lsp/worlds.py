"""The worlds of the folders whose recipes are open: each lives until something that it looked at has changed on disk."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path

from esp3c.disk import DiskWorld, Store
from esp3c.looks import unchanged

LOOK_AGAIN = 1.0
"""Seconds after which the disk is asked again whether anything has changed."""

RENEWED = 2_000
"""After so many questions a world is made anew: it keeps an answer for every name that was ever half typed."""

_MOST_KEPT = 4_000
_MOST_BYTES = 8_000_000


class Kept:
    """A store in memory before one on disk. What a keystroke asks is kept in memory alone."""

    def __init__(self, behind: Store | None) -> None:
        self._behind = behind
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, kind: str, key: str) -> bytes | None:
        found = self._kept.get((kind, key))
        if found is not None:
            self._kept.move_to_end((kind, key))
            return found
        if self._behind is None:
            return None
        found = self._behind.get(kind, key)
        if found is not None:
            self._keep(kind, key, found)
        return found

    def put(self, kind: str, key: str, data: bytes) -> None:
        self._keep(kind, key, data)
        if self._behind is not None and kind != "settled":
            self._behind.put(kind, key, data)

    def _keep(self, kind: str, key: str, data: bytes) -> None:
        before = self._kept.pop((kind, key), b"")
        self._kept[kind, key] = data
        self._bytes += len(data) - len(before) + (0 if before else len(key))
        while len(self._kept) > _MOST_KEPT or self._bytes > _MOST_BYTES:
            (_, name), gone = self._kept.popitem(last=False)
            self._bytes -= len(gone) + len(name)


class Worlds:
    def __init__(self, store: Store | None = None) -> None:
        self._store = Kept(store)
        self._worlds: dict[Path, DiskWorld] = {}
        self._looked: dict[Path, float] = {}
        self._asked: dict[Path, int] = {}

    def of(self, folder: Path) -> DiskWorld:
        """The world of the recipes in a folder; a new one where a module, or what was looked for, has changed."""
        world, now = self._worlds.get(folder), time.monotonic()
        if world is not None and now - self._looked[folder] >= LOOK_AGAIN:
            self._looked[folder] = now
            seen = world.looks.seen()
            # Where something is too young to tell, what is asked for is what is there now.
            if seen is None or not unchanged(seen):
                world = None
        self._asked[folder] = self._asked.get(folder, 0) + 1
        if world is None or self._asked[folder] > RENEWED:
            self._asked[folder] = 0
            world = self._worlds[folder] = DiskWorld(folder, store=self._store)
            self._looked[folder] = now
        return world

    def look_again(self) -> None:
        """Has the disk asked at the next question: somebody said that files have changed."""
        self._looked = dict.fromkeys(self._looked, float("-inf"))

    def forget(self, folder: Path) -> None:
        """Lets a world go that no open recipe needs any more."""
        self._worlds.pop(folder, None)
        self._looked.pop(folder, None)
        self._asked.pop(folder, None)
