"""Diagnostics as workflow commands, which GitHub Actions turns into annotations on the lines of a change.

    ::error file=recipe.esp,line=4,endLine=4,col=13,endColumn=22,title=ESP0301::unknown key `max_epoch` in `trainer`

Columns are given for places on one line only: GitHub refuses them over several. What stands in no file (a `--set` text,
standard input) has no `file`, and its place is said in words.
"""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.diagnostics import Diagnostic
from esp3c.render.places import file_of, plain, sentences
from esp3c.source import Span


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """One command a line, in the order of the diagnostics."""
    return "".join(_command(each) + "\n" for each in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    span = diagnostic.primary.span
    place = _place(span)
    lines = list(sentences(diagnostic))
    if not place:
        lines.insert(0, f"in {plain(str(span))}")
    lines += [f"{plain(str(each.span))}: {plain(each.text)}" for each in diagnostic.secondary if each.text]
    properties = {**place, "title": diagnostic.code.id}
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{diagnostic.severity} {written}::{_data(chr(10).join(lines))}"


def _place(span: Span) -> dict[str, str]:
    file = file_of(span.source)
    if file is None:
        return {}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    place = {"file": file, "line": str(line), "endLine": str(end_line)}
    if line == end_line:
        place |= {"col": str(column), "endColumn": str(max(end_column, column + 1))}
    return place


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
