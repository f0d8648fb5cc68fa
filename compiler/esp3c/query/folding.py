"""What of a recipe can be folded away: brackets, long texts, runs of comments, and regions.

It is read from the words alone, so that it holds while a bracket is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from weakref import WeakKeyDictionary

from esp3c.query.view import View
from esp3c.record import record
from esp3c.source import Source, Span
from esp3c.syntax.brackets import balance
from esp3c.syntax.comments import comments
from esp3c.syntax.grammar import CLOSERS, OPENERS


class Part(StrEnum):
    """What folds."""

    BRACKET = "bracket"
    TEXT = "text"
    COMMENT = "comment"
    REGION = "region"


@record
class Fold:
    """What disappears: `start` is behind what stays in front (the opening bracket, the first line of a comment), `end` before
    what stays behind it.
    """

    what: Part
    start: int
    end: int


@record
class Pair:
    """A bracket: the place before its opening sign and the one behind its closing sign.

    `closed`: it stands in the text. Of one that is missing, `end` is where the text inside ends.
    """

    start: int
    end: int
    closed: bool

    @property
    def inside(self) -> tuple[int, int]:
        return self.start + 1, self.end - 1 if self.closed else self.end


_PAIRS: WeakKeyDictionary[View, tuple[Pair, ...]] = WeakKeyDictionary()


def pairs(view: View) -> tuple[Pair, ...]:
    """The brackets of a recipe with their partners, by where they begin. Those without a partner get one by the indentation."""
    found = _PAIRS.get(view)
    if found is None:
        found = _PAIRS[view] = tuple(sorted(_pairs(view), key=lambda each: each.start))
    return found


def _pairs(view: View) -> Iterator[Pair]:
    tokens, _ = balance(view.source, list(view.tokens))
    left: list[int] = []
    # Where the last word that stands in the text ends.
    behind = 0
    for token in tokens:
        if token.type in CLOSERS:
            left.append(token.start_pos)
        elif token.type in OPENERS and left:
            closed = token.end_pos > token.start_pos
            start = left.pop()
            yield Pair(start, token.end_pos if closed else max(behind, start + 1), closed)
        if token.end_pos > token.start_pos:
            behind = max(behind, token.end_pos)


_REGION = re.compile(r"#+\s*#?(?P<end>end)?region\b", re.IGNORECASE)


def folds(view: View) -> tuple[Fold, ...]:
    """Everything that can be folded and has several lines, from the start of the text to its end."""
    found = [Fold(Part.BRACKET, *each.inside) for each in pairs(view)]
    for token in view.tokens:
        if token.type in {"LONG_STRING", "UNCLOSED_LONG"}:
            closing = 3 if token.type == "LONG_STRING" else 0
            found.append(Fold(Part.TEXT, token.start_pos + 3, token.end_pos - closing))
    found.extend(_comments(view.source))
    several = [each for each in found if "\n" in view.source.text[each.start : each.end]]
    return tuple(sorted(several, key=lambda each: (each.start, -each.end)))


def _comments(source: Source) -> Iterator[Fold]:
    regions: list[Span] = []
    run: list[Span] = []
    for comment in comments(source):
        line = source.line_of(comment.start)
        alone = not source.text[source.line_start(line) : comment.start].strip()
        marked = _REGION.match(comment.text) if alone else None
        if run and (not alone or marked or line != source.line_of(run[-1].start) + 1):
            yield from _run(run)
            run = []
        if marked and marked["end"]:
            if regions:
                yield Fold(Part.REGION, regions.pop().end, comment.end)
        elif marked:
            regions.append(comment)
        elif alone:
            run.append(comment)
    yield from _run(run)


def _run(run: list[Span]) -> Iterator[Fold]:
    if len(run) > 1:
        yield Fold(Part.COMMENT, run[0].end, run[-1].end)


def comment_run(source: Source, at: int) -> tuple[int, int] | None:
    """The comments on lines of their own, one under the other, that a place is in: where they begin and end."""
    runs: list[tuple[int, int]] = []
    last = 0
    for comment in comments(source):
        line = source.line_of(comment.start)
        if source.text[source.line_start(line) : comment.start].strip():
            continue
        if runs and line == last + 1:
            runs[-1] = (runs[-1][0], comment.end)
        else:
            runs.append((comment.start, comment.end))
        last = line
    return next((each for each in runs if each[0] <= at <= each[1]), None)
