"""Diagnostics: facts about a recipe, before any of them is prose on a screen.

A `Diagnostic` is data. The renderers in `esp3c.render` turn the same data into text, JSON and what else is needed;
nothing here knows about colours, terminals or line drawing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

from esp3c.record import record
from esp3c.source import Span


class Severity(StrEnum):
    """How bad it is. Only errors make `esp3c check` fail."""

    ERROR = "error"
    WARNING = "warning"


@record
class Code:
    """A stable name of one kind of mistake, with the page that `esp3c explain` prints."""

    id: str
    title: str
    severity: Severity
    docstring: str

    @property
    def page(self) -> str:
        # Only pages need `inspect`, which takes a while to import.
        from inspect import cleandoc

        return cleandoc(self.docstring)

    @property
    def family(self) -> str:
        return FAMILIES[self.id[3:5]]


FAMILIES = {
    "01": "syntax",
    "02": "names",
    "03": "keys",
    "04": "targets",
    "05": "flow",
    "06": "stages",
    "07": "providers",
    "08": "resources",
    "09": "publication",
    "10": "safety",
}


@record
class Label:
    """A place and what is to be said about it; empty text underlines only."""

    span: Span
    text: str = ""


@record
class Edit:
    """Replaces the text of `span` by `text`."""

    span: Span
    text: str


@record
class Fix:
    """A change that certainly is what was meant."""

    title: str
    edits: tuple[Edit, ...]


@record
class Diagnostic:
    """One mistake: its code, what is wrong, where, what else is involved, and what to do."""

    code: Code
    message: str
    primary: Label
    secondary: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()
    fix: Fix | None = None

    @property
    def severity(self) -> Severity:
        return self.code.severity


Explained = TypeVar("Explained", bound=Callable[..., Any])


def code_of(function: Callable[..., Any]) -> Code:
    """The code that `explained` put on a function."""
    code = getattr(function, "code", None)
    assert isinstance(code, Code), function
    return code


def explained(id: str, title: str, severity: Severity = Severity.ERROR) -> Callable[[Explained], Explained]:
    """Gives the decorated function a `Code` whose page is the function's docstring.

    The docstring is the documentation: it says what is wrong, why it matters, and shows an example and its remedy.
    """
    assert re.fullmatch(r"ESP(0[1-9]|10)\d\d", id), id

    def decorate(function: Explained) -> Explained:
        assert function.__doc__, f"{id} has no page"
        function.code = Code(id, title, severity, function.__doc__)  # type: ignore[attr-defined]
        return function

    return decorate


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by place, the same mistake at the same place once, and errors before warnings there."""
    seen: dict[tuple[int, int, int, str, str], Diagnostic] = {}
    for each in diagnostics:
        span = each.primary.span
        seen.setdefault((id(span.source), span.start, span.end, each.code.id, each.message), each)
    return sorted(
        seen.values(),
        key=lambda each: (
            each.primary.span.start,
            each.severity is Severity.WARNING,
            each.primary.span.end,
            each.code.id,
        ),
    )
