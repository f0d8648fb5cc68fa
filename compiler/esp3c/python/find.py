"""Finds what a dotted path names, for those who only ask whether it is there.

What cannot be known (a compiled module, names made at run time) is `UNKNOWN`, never wrong.
"""

from __future__ import annotations

import keyword
from enum import StrEnum

from esp3c.python.reader import Found, Reader, reader
from esp3c.record import record
from esp3c.suggest import nearest
from esp3c.world import Module, ModuleKind, World

LONGEST = 50
"""How many parts a path may have; nothing real comes near it."""


class Status(StrEnum):
    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@record
class Lookup:
    """What a dotted path names.

    `module` is the deepest module on the way, `rest` the names behind it. When absent, `missing` is the first name that
    is not there and `near` are names that are there and look like it. When unknown, `why` says why.
    """

    path: str
    status: Status
    module: Module | None = None
    rest: tuple[str, ...] = ()
    missing: str = ""
    near: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_module(self) -> bool:
        """Whether the whole path names a module, which can be neither called nor extended."""
        return self.status is Status.FOUND and not self.rest


def look_up(world: World, path: str) -> Lookup:
    """Resolves a dotted path to a definition without importing anything."""
    return reader(world).once(("look up", path), lambda: _look_up(world, path))


def _look_up(world: World, path: str) -> Lookup:
    parts = path.split(".")
    for number, part in enumerate(parts):
        if keyword.iskeyword(part) or not part.isidentifier():
            return Lookup(path, Status.ABSENT, None, tuple(parts[number:]), part)
    if len(parts) > LONGEST:
        return Lookup(path, Status.ABSENT, None, tuple(parts), parts[0])
    module: Module | None = None
    depth = 0
    while depth < len(parts):
        deeper = world.module(".".join(parts[: depth + 1]))
        if deeper is None:
            break
        module, depth = deeper, depth + 1
    rest = tuple(parts[depth:])
    if module is None:
        known = reader(world).find(path)
        if known.why:
            return Lookup(path, Status.UNKNOWN, None, rest, why=known.why)
        near = nearest(parts[0], world.submodules(""))
        return Lookup(path, Status.ABSENT, None, rest, parts[0], tuple(near))
    reading = reader(world)
    found = reading.find(path)
    if not rest:
        # A package may have taken over a class or a function under the name of one of its modules.
        named = (parts[-1],) if found.definition is not None else ()
        return Lookup(path, Status.FOUND, module, named)
    if found.definition is not None or _is_module(found):
        return Lookup(path, Status.FOUND, module, rest)
    if found.why:
        return Lookup(path, Status.UNKNOWN, module, rest, why=found.why)
    return _absent(world, reading, path, module, rest)


def _is_module(found: Found) -> bool:
    return found.module is not None and found.module.name == found.path


def _absent(world: World, reading: Reader, path: str, module: Module, rest: tuple[str, ...]) -> Lookup:
    """Which name on the way is not there, and which ones that are look like it."""
    if module.kind is ModuleKind.NAMESPACE:
        near = nearest(rest[0], world.submodules(module.name))
        return Lookup(path, Status.ABSENT, module, rest, rest[0], tuple(near))
    if len(rest) > 1:
        first = reading.find(f"{module.name}.{rest[0]}")
        if first.definition is not None:
            members = reading.members(first.path)
            return Lookup(path, Status.ABSENT, module, rest, rest[1], tuple(nearest(rest[1], members)))
    names = [each for each in reading.names(module) if not each.startswith("_")]
    return Lookup(path, Status.ABSENT, module, rest, rest[0], tuple(nearest(rest[0], names)))
