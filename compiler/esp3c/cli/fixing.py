"""`check --fix`: makes the changes that are certain, all that can be made, and never for the worse.

What may be fixed is with the rules: a `Fix` is attached only where there is no doubt of what was meant (`suggest.certain`
says what that is for a misspelt name). Here they are put into the text: those that do not overlap at once, in the order
of the file, then the result is checked again, until nothing changes. A fix is left out that does not take away what it is
for, or after which the text has more syntax errors than before. The file is replaced as a whole, with its mode, and only if
nobody else changed it meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esp3c.cli.common import Failure
from esp3c.cli.replacing import put
from esp3c.diagnostics import Diagnostic, Edit, Severity
from esp3c.record import record
from esp3c.source import Source

if TYPE_CHECKING:
    from esp3c.pipeline import Result

_ROUNDS = 20
_SINGLY = 50
"""Where all fixes together make it worse, so many are tried one by one."""

_MARK = b"\xef\xbb\xbf"


@record
class Fixed:
    """The text after all fixes, what came of it, and what was fixed, each as it stood when its turn came."""

    source: Source
    result: Result
    done: tuple[Diagnostic, ...]


def fix_all(source: Source, compile: Callable[[Source], Result], takes: Callable[[Diagnostic], bool]) -> Fixed:
    """Applies every fix of the diagnostics that `takes` lets through, until there is none."""
    result = compile(source)
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
            changed = Source(source.path, _edited(source.text, [edit for each in attempt for edit in _edits(each)]))
            after = compile(changed)
            if changed.text != source.text and _broken(after) <= _broken(result) and _helps(attempt, result, after):
                source, result = changed, after
                done.extend(attempt)
                break
            if len(attempt) == 1:
                refused.add(_name(attempt[0]))
    return Fixed(source, result, tuple(done))


def fixable(diagnostic: Diagnostic, source: Source) -> bool:
    """Whether a fix can be made in this very text; that of a `--set` text can only be told."""
    return diagnostic.fix is not None and all(edit.span.source is source for edit in diagnostic.fix.edits)


def replace(path: Path, before: str, after: str) -> None:
    """Puts the text of a file into its place, whole or not at all.

    Raises:
        Failure: the file does not hold `before` any more, or cannot be written.
    """
    try:
        data = path.read_bytes()
        mark = _MARK if data.startswith(_MARK) else b""
        same = data.removeprefix(_MARK) == before.encode("utf-8")
        if not same or not put(path, mark + after.encode("utf-8"), data):
            raise Failure(f"{path} was changed while it was checked; nothing was written")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror or error}") from error


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


def _edited(text: str, edits: Sequence[Edit]) -> str:
    out: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        out += [text[at : edit.span.start], edit.text]
        at = edit.span.end
    return "".join([*out, text[at:]])


def _broken(result: Result) -> int:
    """How badly a text parses."""
    return sum(each.code.family == "syntax" and each.severity is Severity.ERROR for each in result.diagnostics)


def _helps(done: Sequence[Diagnostic], before: Result, after: Result) -> bool:
    """Whether fixes took away what they are for: a comma behind an open quote is part of the text, and never enough."""
    names = set(map(_name, done))
    return sum(_name(each) in names for each in after.diagnostics) < sum(
        _name(each) in names for each in before.diagnostics
    )


def _name(diagnostic: Diagnostic) -> tuple[str, str]:
    return diagnostic.code.id, diagnostic.message
