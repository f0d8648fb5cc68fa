"""What can be done about a diagnostic, or with what stands at a place: changes of the text, each with its title.

Those that are certain come with the diagnostics. What is put in by the others is a beginning: where it may bring a mistake of
its own, `sure` is false, and whoever offers it checks the text that it makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from esp3c.diagnostics import Diagnostic, Edit
from esp3c.record import record


class Kind(StrEnum):
    """The kinds of the Language Server Protocol."""

    FIX = "quickfix"
    EXTRACT = "refactor.extract"
    INLINE = "refactor.inline"


@record
class Action:
    """A change. `preferred`: it certainly is what was meant."""

    title: str
    kind: Kind
    edits: tuple[Edit, ...]
    diagnostic: Diagnostic | None = None
    preferred: bool = False
    sure: bool = True


def of_fix(diagnostic: Diagnostic) -> Iterator[Action]:
    """The fix that a rule itself has."""
    if diagnostic.fix is not None:
        title = diagnostic.fix.title[:1].upper() + diagnostic.fix.title[1:]
        yield Action(title, Kind.FIX, diagnostic.fix.edits, diagnostic, preferred=True)
