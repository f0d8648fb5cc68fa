"""Whether two texts say the same: the check that every formatted text has to pass before anybody gets it."""

from __future__ import annotations

from typing import Any

from esp3c.format.target import target_call
from esp3c.record import fields
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.comments import comments


def same(one: tuple[Source, ast.File], other: tuple[Source, ast.File]) -> bool:
    """Whether two files have the same tree, numbers to the letter, and the same comments in the same order."""
    return _comments(one[0]) == _comments(other[0]) and meaning(one[1]) == meaning(other[1])


def _comments(source: Source) -> list[str]:
    return [comment.text.rstrip() for comment in comments(source)]


def meaning(node: Any) -> Any:
    """A tree without its places, and with the block form of a call as the call that it is."""
    match node:
        case tuple():
            return tuple(meaning(each) for each in node)
        case ast.Number() | ast.Quantity():
            return (type(node).__name__, node.span.text)
        case ast.Block():
            call = target_call(node)
            if call is not None:
                arguments = tuple((setting.key.dotted, meaning(setting.value)) for setting in call.settings)
                return ("Call", call.path, arguments, call.partial, None)
        case ast.Call(path, arguments, partial, block):
            named = tuple((each.name.text if each.name else None, meaning(each.value)) for each in arguments)
            return ("Call", path.dotted, named, partial, meaning(block))
    names = fields(node)
    if not names:
        return node
    values = (getattr(node, name) for name in names)
    return (type(node).__name__, *(meaning(value) for value in values if not isinstance(value, Span)))
