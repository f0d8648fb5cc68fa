"""What an editor selects around a place when it is asked for more and more: from the word to the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from esp3c.query.folding import comment_run, pairs
from esp3c.query.view import View
from esp3c.record import fields
from esp3c.source import Span
from esp3c.syntax.comments import comments
from esp3c.syntax.lalr import Token

MOST = 60
"""How many steps there are at most; brackets may stand a hundred deep in each other, and nobody asks that often."""

_WORDS = {"NAME", "NUMBER"}
_TEXTS = {"STRING": 1, "LONG_STRING": 3, "SINGLE_QUOTED": 1, "UNCLOSED": 1, "UNCLOSED_LONG": 3}
_WORD = re.compile(r"\w+")
_INTERPOLATION = re.compile(r"\$\{([^{}\n]*)\}")


def around(view: View, offset: int) -> tuple[tuple[int, int], ...]:
    """The places around an offset, from the smallest to the whole file; each holds the one before it and more."""
    length = len(view.source.text)
    offset = max(0, min(offset, length))
    token = _token(view, offset)
    seed = (token.start_pos, token.end_pos) if token is not None and token.type in _WORDS else (offset, offset)
    candidates = {(0, length), seed}
    if token is not None and token.type in _TEXTS:
        candidates.update(_in_text(view, token, offset))
    candidates.update(_in_comment(view, offset))
    for pair in pairs(view):
        if pair.start > offset:
            break
        if offset <= pair.end:
            candidates.add((pair.start, pair.end))
            candidates.add(_trimmed(view.source.text, *pair.inside))
    candidates.update(_in_tree(view.file, offset))
    chain = [seed]
    for start, end in sorted(candidates, key=lambda each: each[1] - each[0]):
        last = chain[-1]
        if start <= last[0] and last[1] <= end and (start, end) != last:
            chain.append((start, end))
    if chain[0] == (offset, offset) and len(chain) > 1:
        # There is no word here: what is around comes first.
        del chain[0]
    return (*chain[: MOST - 1], chain[-1]) if len(chain) > MOST else tuple(chain)


def _token(view: View, offset: int) -> Token | None:
    """The word at an offset; where two meet, the one that is more than a sign."""
    found: Token | None = None
    for token in _near(view.tokens, offset):
        if token.start_pos <= offset <= token.end_pos and (
            found is None or (token.type in _WORDS | _TEXTS.keys() and found.type not in _WORDS)
        ):
            found = token
    return found


def _near(tokens: list[Token], offset: int) -> list[Token]:
    low, high = 0, len(tokens)
    while low < high:
        middle = (low + high) // 2
        if tokens[middle].end_pos < offset:
            low = middle + 1
        else:
            high = middle
    return tokens[low : low + 3]


def _in_text(view: View, token: Token, offset: int) -> Iterator[tuple[int, int]]:
    start, end = token.start_pos, token.end_pos
    quotes = _TEXTS[token.type]
    closing = 0 if token.type.startswith("UNCLOSED") else quotes
    yield start, end
    if not start + quotes <= offset <= end - closing:
        return
    yield start + quotes, end - closing
    yield _trimmed(view.source.text, start + quotes, end - closing)
    for found in _INTERPOLATION.finditer(token):
        if found.start() + 2 <= offset - start <= found.end() - 1:
            yield start + found.start(1), start + found.end(1)
            yield start + found.start(), start + found.end()
    yield from _word(view.source.text, start + quotes, end - closing, offset)


def _in_comment(view: View, offset: int) -> Iterator[tuple[int, int]]:
    text = view.source.text
    for comment in comments(view.source):
        if comment.start <= offset <= comment.end:
            yield comment.start, comment.end
            signs = len(comment.text) - len(comment.text.lstrip("#"))
            if comment.start + signs <= offset:
                yield _trimmed(text, comment.start + signs, comment.end)
                yield from _word(text, comment.start + signs, comment.end, offset)
            run = comment_run(view.source, offset)
            if run is not None:
                yield run
            return


def _word(text: str, start: int, end: int, offset: int) -> Iterator[tuple[int, int]]:
    first = offset
    while first > start and (text[first - 1].isalnum() or text[first - 1] == "_"):
        first -= 1
    found = _WORD.match(text, first, end)
    if found is not None and found.end() >= offset:
        yield found.span()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    inside = text[start:end]
    if not inside.strip():
        return start, end
    return start + len(inside) - len(inside.lstrip()), end - (len(inside) - len(inside.rstrip()))


def _in_tree(node: Any, offset: int) -> Iterator[tuple[int, int]]:
    """The places of all things of the syntax tree that an offset is in."""
    left: list[Any] = [node]
    while left:
        each = left.pop()
        if isinstance(each, tuple) and not isinstance(each, Span):
            left.extend(each)
            continue
        names = fields(each)
        if not names:
            continue
        span = each.span
        if span.start <= offset <= span.end:
            yield span.start, span.end
            left.extend(value for name in names if not isinstance(value := getattr(each, name), Span))
