"""`check --watch`: checks again whenever the recipe changes, or Python that the check looked at.

Files are asked for their size and times a few times a second, so it works on every file system, and with editors that
put a new file in the place of the old one. A file that is not there is waited for. Where a module was looked for in the
recipe's folder and not found, the names in that folder are watched, so that the check is made again once it is there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from esp3c.world import Module, ModuleKind

if TYPE_CHECKING:
    from esp3c.disk import DiskWorld
    from esp3c.source import Source

INTERVAL = 0.3
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


class RecordingWorld:
    """A world that keeps which files and folders its answers came from."""

    def __init__(self, world: DiskWorld) -> None:
        self._world = world
        self.places: set[str] = set()

    def module(self, name: str) -> Module | None:
        found = self._world.module(name)
        if found is not None and found.kind is ModuleKind.SOURCE:
            self.places.add(found.place)
        elif found is None:
            self.places.add(os.path.join(self._world.recipe_dir, *name.split(".")[:-1]))
        return found

    def source(self, module: Module) -> Source | None:
        return self._world.source(module)

    def stub(self, module: Module) -> Module | None:
        found = self._world.stub(module)
        if found is not None:
            self.places.add(found.place)
        return found

    def has(self, path: str) -> bool | None:
        self.places.add(os.path.join(self._world.recipe_dir, path))
        return self._world.has(path)

    def beside(self, path: str) -> list[str]:
        return self._world.beside(path)

    def submodules(self, name: str) -> list[str]:
        return self._world.submodules(name)

    def recall(self, module: Module) -> str | None:
        return self._world.recall(module)

    def settled(self, question: str) -> bool:
        return self._world.settled(question)

    def settle(self, question: str, modules: Collection[Module]) -> None:
        self._world.settle(question, modules)

    def remember(self, module: Module, known: str) -> None:
        self._world.remember(module, known)


def watch(check: Callable[[], Collection[str]], interval: float = INTERVAL) -> int:
    """Calls `check`, which returns the places that it read, again and again until Ctrl-C; 0 then."""
    try:
        while True:
            began = time.time_ns()
            if sys.stdout.isatty():
                sys.stdout.write(_CLEAR)
            places = check()
            sys.stdout.flush()
            print("watching; Ctrl-C ends", file=sys.stderr, flush=True)
            before = {place: _stamp(place) for place in places}
            if any(_later(stamp, began) for stamp in before.values()):
                # Saved while it was being checked.
                continue
            while all(_stamp(place) == stamp for place, stamp in before.items()):
                time.sleep(interval)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 0


def _stamp(place: str) -> Any:
    """What changes when a file does; of a folder, the names in it that Python could mean."""
    try:
        found = os.stat(place)
        if os.path.isdir(place):
            return frozenset(name for name in os.listdir(place) if name.endswith(".py") or "." not in name)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _later(stamp: Any, moment: int) -> bool:
    # The clock of a file system goes a little behind. A time that is still to come says nothing.
    return isinstance(stamp, tuple) and moment - 10_000_000 <= stamp[0] <= time.time_ns()
