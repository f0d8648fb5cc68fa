"""Ignores a diagnostic by a comment: behind its line, or above it where a text of several lines is in the way."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check import names
from esp3c.check.ignores import firm
from esp3c.diagnostics import Diagnostic, Edit, code_of
from esp3c.format.lay import COMMENT_COLUMN
from esp3c.query.actions import Action, Kind
from esp3c.query.actions_places import indent_at, line_end
from esp3c.query.view import View
from esp3c.source import Span
from esp3c.syntax.comments import DIRECTIVE, comments, directed

_PYTHON = code_of(names.undefined_python).id


def ignored(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    """The comment that ignores a diagnostic, where it can be ignored."""
    code, place = diagnostic.code.id, diagnostic.primary.span
    if firm(code) or (code == _PYTHON and "." not in place.text):
        # Nothing could be written with it; and a lone word is no path.
        return
    edit = _extended(view, code, place) or _behind(view, code, place) or _above(view, code, place)
    if edit is not None:
        yield Action(f"Ignore {code} here", Kind.FIX, (edit,), diagnostic)


def _extended(view: View, code: str, place: Span) -> Edit | None:
    """Another code for an ignore that is about the line already."""
    line = view.source.line_of(place.start)
    for comment, about in directed(view.source):
        for found in DIRECTIVE.finditer(comment.text) if about == line else ():
            if found["word"].casefold() == "ignore" and (found["codes"] or "").strip():
                written = [each.strip().upper() for each in found["codes"].split(",")]
                at = comment.start + found.start("codes") + len(found["codes"].rstrip())
                return Edit(Span(view.source, at, at), f", {code}") if code not in written else None
    return None


def _behind(view: View, code: str, place: Span) -> Edit | None:
    source = view.source
    line = source.line_of(place.start)
    text = source.line_text(line)
    end = source.line_start(line) + len(text)
    if _inside_text(view, end):
        return None
    words = f"# esp: ignore[{code}]"
    if any(comment.start < end <= comment.end for comment in comments(source)):
        return Edit(Span(source, end, end), f" {words}")
    code_end = source.line_start(line) + len(text.rstrip())
    room = " " * max(COMMENT_COLUMN - len(text.rstrip()), 2)
    return Edit(Span(source, code_end, end), room + words)


def _above(view: View, code: str, place: Span) -> Edit | None:
    source = view.source
    start = source.line_start(source.line_of(place.start))
    if _inside_text(view, start):
        return None
    return Edit(Span(source, start, start), f"{indent_at(source, start)}# esp: ignore[{code}]{line_end(source)}")


def _inside_text(view: View, at: int) -> bool:
    """Whether a place is inside a text of several lines."""
    return any(each.start_pos < at < each.end_pos for each in view.tokens if "LONG" in each.type)
