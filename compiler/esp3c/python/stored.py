"""What is known of a module, as JSON and back. Text that is not what `pack` wrote gives None, never a wrong module."""

from __future__ import annotations

import json
from typing import Any

from esp3c.python.model import Attribute, Class, Contents, Function, Handing, Imported, Parameter, Value
from esp3c.record import fields

FORMAT = 1
"""Changes with the shape of the records; what was kept in another one is read anew."""

_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (Attribute, Class, Contents, Function, Handing, Imported, Parameter, Value)
}


def pack(contents: Contents) -> str:
    return json.dumps([FORMAT, _packed(contents)], separators=(",", ":"))


def unpack(text: str) -> Contents | None:
    try:
        version, packed = json.loads(text)
        contents = _unpacked(packed) if version == FORMAT else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return contents if isinstance(contents, Contents) else None


def _packed(value: Any) -> Any:
    names = fields(value)
    if names:
        return {"": type(value).__name__, "=": [_packed(getattr(value, name)) for name in names]}
    if isinstance(value, tuple):
        return [_packed(each) for each in value]
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_unpacked, value))
    if isinstance(value, dict):
        return _KINDS[value[""]](*map(_unpacked, value["="]))
    return value
