"""Recipes in the colours of a terminal: the sixteen that every theme of a terminal has made readable."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

from esp3c.highlight.lexer import EspLexer

PLAIN = "\x1b[0m"

MOST = 200_000
"""Characters of a text that are read for their colours, so that a mistake in a huge recipe is shown no later."""

# The nearest of a token's kind and the kinds that it belongs to counts.
_PAINTS = {
    Comment: "\x1b[2m",
    Comment.Special: "\x1b[36m",
    Keyword: "\x1b[35m",
    Keyword.Constant: "\x1b[33m",
    Keyword.Type: "\x1b[33m",
    Name.Attribute: "\x1b[36m",
    Name.Builtin: "\x1b[34m",
    Name.Builtin.Pseudo: "\x1b[35m",
    Name.Class: "\x1b[34m",
    Name.Function: "\x1b[34m",
    Number: "\x1b[33m",
    String: "\x1b[32m",
    String.Escape: "\x1b[33m",
    String.Interpol: "\x1b[33m",
}


def _paint(kind: _TokenType) -> str:
    found: _TokenType | None = kind
    while found is not None:
        if found in _PAINTS:
            return _PAINTS[found]
        found = found.parent
    return ""


class Colors:
    """The colours of one text, found from its beginning on and only as far as they are asked for."""

    def __init__(self, text: str) -> None:
        self._tokens = EspLexer().get_tokens_unprocessed(text[:MOST])
        self._starts: list[int] = []
        self._runs: list[tuple[int, int, str]] = []
        self._end = 0

    def between(self, start: int, end: int) -> list[tuple[int, int, str]]:
        """The runs of one colour that touch these characters: where each begins and ends, and the sequence for it."""
        while self._end < end:
            token = next(self._tokens, None)
            if token is None:
                self._end = max(self._end, end)
                break
            at, kind, text = token
            self._end = at + len(text)
            paint = _paint(kind)
            if paint and text:
                self._starts.append(at)
                self._runs.append((at, self._end, paint))
        first = max(0, bisect_right(self._starts, start) - 1)
        return [run for run in self._runs[first : bisect_left(self._starts, end)] if run[1] > start]


def painted(text: str) -> str:
    """A whole text in colour. No colour goes over the end of a line."""
    out: list[str] = []
    for _, kind, value in EspLexer().get_tokens_unprocessed(text):
        paint = _paint(kind)
        out.append(re.sub(r"[^\n]+", rf"{paint}\g<0>{PLAIN}", value) if paint else value)
    return "".join(out)


_EXAMPLE = re.compile(r"^ {4}.*(?:\n+ {4}.*)*$", re.MULTILINE)
_PYTHON = re.compile(r" *(?:@|(?:def|class|from|import|return)\b)")


def painted_page(page: str) -> str:
    """A page of text with its indented recipes in colour. Its indented Python stays as it is."""
    return _EXAMPLE.sub(lambda found: found[0] if _PYTHON.match(found[0]) else painted(found[0]), page)
