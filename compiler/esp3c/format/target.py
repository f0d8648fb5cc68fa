"""The block form of a call: `{ _target_ = torch.optim.AdamW  lr = 1e-3 }` means `torch.optim.AdamW(lr = 1e-3)`."""

from __future__ import annotations

import re

from esp3c.record import record
from esp3c.syntax import ast
from esp3c.syntax.grammar import CONSTANTS

_NAME = re.compile(r"[^\W\d]\w*")
# In front of a value these are words of the language.
_NOT_FIRST = {*CONSTANTS, "partial"}


@record
class TargetCall:
    """The call that a block means: its path, and the settings that are the arguments."""

    path: str
    partial: bool
    settings: tuple[ast.Setting, ...]


def target_call(block: ast.Block) -> TargetCall | None:
    """The call that means exactly what the block means, or None where there is none.

    There is none where an entry could not be an argument: a dotted or quoted key, a sample field, `new`, a key that
    stands twice, a `_partial_` that is not `true` or `false`, a `_target_` that is not a path.
    """
    settings: dict[str, ast.Setting] = {}
    for entry in block.entries:
        if not isinstance(entry, ast.Setting) or entry.new or len(entry.key.parts) > 1:
            return None
        name = entry.key.parts[0]
        if name.text in settings or name.text in _NOT_FIRST or not _NAME.fullmatch(name.span.text):
            return None
        settings[name.text] = entry
    target, partial = settings.pop("_target_", None), settings.pop("_partial_", None)
    path = _path(target.value) if target is not None else None
    if path is None:
        return None
    if partial is not None and not (isinstance(partial.value, ast.Constant) and partial.value.value is not None):
        return None
    return TargetCall(path, partial is not None and partial.value == _true(partial.value), tuple(settings.values()))


def _true(value: ast.Value) -> ast.Constant:
    return ast.Constant(True, value.span)


def _path(value: ast.Value) -> str | None:
    match value:
        case ast.Reference(path=path, block=None):
            parts = [part.text for part in path.parts]
        case ast.Text(plain=str(plain)):
            parts = plain.split(".")
        case _:
            return None
    if parts[0] in _NOT_FIRST or not all(_NAME.fullmatch(part) and part.isidentifier() for part in parts):
        return None
    return ".".join(parts)
