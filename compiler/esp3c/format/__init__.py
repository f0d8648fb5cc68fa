"""The one form of a recipe. No options: the same tree and comments give the same text.

The rules:

- Two spaces a level, lines of at most 120 characters. A bracket that does not fit is broken, one item a line, with a
  comma behind each item of a list or call; numbers of a list go on as many lines as they need.
- A block stays broken if it was, and so does a list or call whose first item stands on a line of its own. A list or call
  holds a single value of several lines tight: `[{ … }]`.
- `key = value` settings, named arguments, fields, `let`s, `parallel`s and clauses of stages that stand under each other
  are aligned. An empty line, a comment, a value of several lines and a block end such a table; a name that is twice as
  long as all above it, and longer by more than four, begins a new one, but not among arguments.
- `key { … }` for `key = { … }`, no commas in blocks, `requires … runs … on …`, and a call for a block with `_target_`.
- At most one empty line between things, none at the start and end of a block; a declaration whose block is broken is
  set off by empty lines.
- Comments stay with what they stand beside. At the end of a line they begin in column 58, or two spaces behind longer
  code.
- What stands on a line that an ignore is about stays on one line together, however long that is. Where that cannot be,
  the declaration is left as it is written.
- Line ends are those of the first line. Text, numbers and comments are as they were written.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import accumulate, islice, takewhile

from esp3c.collector import collector_paused
from esp3c.diagnostics import Diagnostic, Edit
from esp3c.format.covered import uncovered
from esp3c.format.lay import lay_file
from esp3c.format.read import read
from esp3c.format.same import same
from esp3c.record import record
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.parse import parse

MOST_COMPARED = 500
"""How many lines `edits` compares one by one; the time for more grows with their square."""


class Unfaithful(Exception):
    """The formatted text would not say what the source says. A mistake of the formatter, never of the source."""


@record
class Formatted:
    """The text in its one form, or None with the syntax errors that stand in the way."""

    text: str | None
    diagnostics: tuple[Diagnostic, ...]


def format_source(source: Source) -> Formatted:
    """Formats a whole file.

    Raises:
        Unfaithful: the result did not pass the check against the source.
    """
    with collector_paused():
        file, diagnostics = parse(source)
        if diagnostics:
            return Formatted(None, tuple(diagnostics))
        text = _print(source, file)
        printed = Source(source.path, text)
        again, wrong = parse(printed)
        lost = uncovered((source, file), (printed, again)) if not wrong else frozenset()
        if lost:
            # What an ignore is about would be on another line: such declarations are left as they are.
            text = _print(source, file, lost)
            printed = Source(source.path, text)
            again, wrong = parse(printed)
        if wrong or not same((source, file), (printed, again)):
            raise Unfaithful(source.path)
        return Formatted(text, ())


def format_text(source: Source) -> str | None:
    """The text in its one form, or None where it has syntax errors."""
    return format_source(source).text


def edits(source: Source) -> tuple[Edit, ...] | None:
    """The changes of whole lines that format a text, in order; None where it has syntax errors."""
    text = format_text(source)
    return changes(source, text) if text is not None else None


def changes(source: Source, text: str) -> tuple[Edit, ...]:
    """The changes of whole lines that make another text of a source, in order."""
    old, new = lines_of(source.text), lines_of(text)
    places = [0, *accumulate(map(len, old))]
    # Most of the lines of a text that is being worked on are as they were.
    start = sum(1 for _ in takewhile(_same_lines, zip(old, new, strict=False)))
    most = min(len(old), len(new)) - start
    end = sum(1 for _ in islice(takewhile(_same_lines, zip(reversed(old), reversed(new), strict=False)), most))
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    codes = [("replace", 0, len(old), 0, len(new))] if old or new else []
    if len(old) <= MOST_COMPARED:
        codes = [each for each in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if each[0] != "equal"]
    return tuple(
        Edit(Span(source, places[start + first], places[start + last]), "".join(new[from_:to]))
        for _, first, last, from_, to in codes
    )


def _same_lines(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def lines_of(text: str) -> list[str]:
    """The lines of a text, each with its end. Only `\\n` ends a line, as everywhere in the compiler."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _print(source: Source, file: ast.File, verbatim: frozenset[int] = frozenset()) -> str:
    first = source.text.find("\n")
    ends = "\r\n" if first > 0 and source.text[first - 1] == "\r" else "\n"
    lines = [str(line) for line in lay_file(read(source, file, verbatim))]
    # A text may hold a `\r` before a line end of its own; that one has its `\r\n` already.
    return "".join(line + ("\n" if line.endswith("\r") and ends == "\r\n" else ends) for line in lines)
