"""Makes the changes that are certain, all that can be made, and never for the worse.

What may be fixed is with the rules: a `Fix` is attached only where there is no doubt of what was meant (`suggest.certain`
says what that is for a misspelt name). Here they are put into the text: those that do not overlap at once, in the order
of the file, then the result is checked again, until nothing changes. A fix is left out that does not take away what it is
for, or after which the text has more syntax errors than before.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from esp3c.diagnostics import Diagnostic, Edit, Severity
from esp3c.source import Source

_ROUNDS = 20
_SINGLY = 50
"""Where all fixes together make it worse, so many are tried one by one."""


if TYPE_CHECKING:
    # Making a protocol takes longer than all else here, and every check imports this.
    class Checked(Protocol):
        """What came of a check."""

        @property
        def diagnostics(self) -> tuple[Diagnostic, ...]: ...


_Result = TypeVar("_Result", bound="Checked")


def mended(
    source: Source, check: Callable[[Source], _Result], takes: Callable[[Diagnostic], bool]
) -> tuple[Source, _Result, tuple[Diagnostic, ...]]:
    """Applies every fix of the diagnostics that `takes` lets through, until there is none.

    Returns:
        The text after all fixes, what its check said, and what was fixed, each as it stood when its turn came.
    """
    result = check(source)
    done: list[Diagnostic] = []
    refused: set[tuple[str, str]] = set()
    for _ in range(_ROUNDS):
        batch = _batch(
            [
                each
                for each in result.diagnostics
                if takes(each) and _name(each) not in refused and fixable(each, source)
            ]
        )
        if not batch:
            break
        for attempt in (batch, *([each] for each in batch[:_SINGLY])):
            changed = Source(source.path, applied(source.text, [edit for each in attempt for edit in _edits(each)]))
            after = check(changed)
            if changed.text != source.text and _broken(after) <= _broken(result) and _helps(attempt, result, after):
                source, result = changed, after
                done.extend(attempt)
                break
            if len(attempt) == 1:
                refused.add(_name(attempt[0]))
    return source, result, tuple(done)


def fixable(diagnostic: Diagnostic, source: Source) -> bool:
    """Whether a fix can be made in this very text; that of a `--set` text can only be told."""
    return diagnostic.fix is not None and all(edit.span.source is source for edit in diagnostic.fix.edits)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """A text after changes that do not overlap."""
    out: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        out += [text[at : edit.span.start], edit.text]
        at = edit.span.end
    return "".join([*out, text[at:]])


def worse(before: Iterable[Diagnostic], after: Iterable[Diagnostic]) -> bool:
    """Whether a text has an error that the one before it had not, or one of a kind more often."""
    was, now = (Counter(each.code.id for each in found if each.severity is Severity.ERROR) for found in (before, after))
    return any(count > was[code] for code, count in now.items())


def _batch(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """As many as do not touch each other, in the order of the text."""
    chosen: list[Diagnostic] = []
    taken: list[tuple[int, int]] = []
    for each in diagnostics:
        spans = [(edit.span.start, edit.span.end) for edit in _edits(each)]
        if not any(_touches(taken, start, end) for start, end in spans):
            chosen.append(each)
            for span in spans:
                insort(taken, span)
    return chosen


def _touches(taken: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether a place overlaps one of these, or begins where one does; they are in order and do not overlap."""
    at = bisect_left(taken, (start, 0))
    before_it = at > 0 and taken[at - 1][1] > start
    return before_it or (at < len(taken) and (taken[at][0] == start or taken[at][0] < end))


def _edits(diagnostic: Diagnostic) -> tuple[Edit, ...]:
    return diagnostic.fix.edits if diagnostic.fix is not None else ()


def _broken(result: Checked) -> int:
    """How badly a text parses."""
    return sum(each.code.family == "syntax" and each.severity is Severity.ERROR for each in result.diagnostics)


def _helps(done: Sequence[Diagnostic], before: Checked, after: Checked) -> bool:
    """Whether fixes took away what they are for: a comma behind an open quote is part of the text, and never enough."""
    names = set(map(_name, done))
    return sum(_name(each) in names for each in after.diagnostics) < sum(
        _name(each) in names for each in before.diagnostics
    )


def _name(diagnostic: Diagnostic) -> tuple[str, str]:
    return diagnostic.code.id, diagnostic.message
