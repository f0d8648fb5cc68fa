"""Whether the ignores of a text are still about what they were about, after it has been formatted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from esp3c.record import fields
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.comments import comments, directed


def uncovered(one: tuple[Source, ast.File], other: tuple[Source, ast.File]) -> frozenset[int]:
    """The declarations, by number, of which something has left the line that an ignore is about."""
    before, after = (_directives(source) for source, _ in (one, other))
    lost: set[int] = set()
    if not before or before.keys() != after.keys():
        return frozenset()
    for number, old, new in zip(count(), one[1].declarations, other[1].declarations, strict=False):
        was, now = list(_leaves(old)), list(_leaves(new))
        if len(was) != len(now):
            # A call that was written as a block: what of it is what cannot be told.
            if any(one[0].line_of(old.span.start) <= line <= one[0].line_of(old.span.end) for line in before.values()):
                lost.add(number)
            continue
        for then, here in zip(was, now, strict=True):
            line, place = one[0].line_of(then.start), other[0].line_of(here.start)
            if any(line == covered and place != after[which] for which, covered in before.items()):
                lost.add(number)
                break
    return frozenset(lost)


def _directives(source: Source) -> dict[int, int]:
    """The line that each directive is about, by its number among all comments."""
    found = {comment.start: line for comment, line in directed(source)}
    numbered = enumerate(comments(source)) if found else ()
    return {number: found[comment.start] for number, comment in numbered if comment.start in found}


def _leaves(node: Any) -> Iterator[Span]:
    """The places of all names and plain values, in order."""
    if isinstance(node, tuple):
        for each in node:
            yield from _leaves(each)
        return
    names = fields(node)
    inner = [value for name in names if not isinstance(value := getattr(node, name), Span)]
    if names and not any(isinstance(each, tuple) or fields(each) for each in inner):
        yield node.span
        return
    for each in inner:
        yield from _leaves(each)
