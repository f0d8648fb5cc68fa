"""What is known of a module, as JSON and back. Text of another form gives None, never a wrong module.

Whoever keeps the text has to see to it that it comes back as it was, as the cache does with a checksum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, overload

from esp3c.python.model import Attribute, Class, Contents, Definition, Function, Handing, Imported, Parameter, Value
from esp3c.record import fields

FORMAT = 4
"""Changes with the shape of the records; what was kept in another one is read anew."""

_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (Attribute, Class, Contents, Function, Handing, Imported, Parameter, Value)
}

_OTHERS = fields(Contents)[1:]


def pack(contents: Contents) -> str:
    """A line for the module, and one for each definition."""
    names = [each.name for each in contents.definitions]
    others = [_packed(getattr(contents, each)) for each in _OTHERS]
    lines = [_text(_packed(each)) for each in contents.definitions]
    return "\n".join([_text([FORMAT, [len(line) for line in lines], names, others]), *lines])


def unpack(text: str) -> Contents | None:
    head, *lines = text.split("\n")
    try:
        version, lengths, names, others = json.loads(head)
        if version != FORMAT or len(names) != len(lines) or lengths != [len(line) for line in lines]:
            return None
        return Contents(Stored(names, lines), *map(_unpacked, others))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def named(contents: Contents, name: str) -> list[Definition]:
    """The definitions of a name, in order."""
    if isinstance(contents.definitions, Stored):
        return contents.definitions.named(name)
    return [each for each in contents.definitions if each.name == name]


class Stored(Sequence[Definition]):
    """Definitions as text; each is read when it is asked for. A large module has a thousand, and a check needs three."""

    def __init__(self, names: Sequence[str], lines: Sequence[str]) -> None:
        self._lines = lines
        self._read: dict[int, Definition] = {}
        self._places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            self._places.setdefault(name, []).append(place)

    def named(self, name: str) -> list[Definition]:
        return [self._at(place) for place in self._places.get(name, ())]

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Definition: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Definition]: ...

    def __getitem__(self, place: int | slice) -> Definition | Sequence[Definition]:
        if isinstance(place, slice):
            return tuple(self)[place]
        return self._at(range(len(self._lines))[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Stored) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _at(self, place: int) -> Definition:
        if place not in self._read:
            self._read[place] = _unpacked(json.loads(self._lines[place]))
        return self._read[place]


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


# Most values are plain: the two that follow look for those first.
_PLAIN = {str, int, bool, type(None)}


def _packed(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [each if type(each) is str else _packed(each) for each in value]
    parts = [getattr(value, name) for name in fields(value)]
    return {"": type(value).__name__, "=": [each if type(each) in _PLAIN else _packed(each) for each in parts]}


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return tuple([each if type(each) in _PLAIN else _unpacked(each) for each in value])
    if isinstance(value, dict):
        return _KINDS[value[""]](*[each if type(each) in _PLAIN else _unpacked(each) for each in value["="]])
    return value
