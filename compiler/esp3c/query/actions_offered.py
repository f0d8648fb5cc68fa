"""All that can be offered: about a diagnostic, and at a place."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.diagnostics import Diagnostic
from esp3c.query.actions import Action, of_fix
from esp3c.query.actions_arguments import missing
from esp3c.query.actions_declare import declarations
from esp3c.query.actions_ignore import ignored
from esp3c.query.actions_lets import extracted, inlined
from esp3c.query.actions_stages import sorted_stages
from esp3c.query.view import View


def about(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    """What can be done about a diagnostic of this very text, the best first."""
    yield from of_fix(diagnostic)
    yield from missing(view, diagnostic)
    yield from declarations(view, diagnostic)
    yield from sorted_stages(view, diagnostic)
    yield from ignored(view, diagnostic)


def at(view: View, start: int, end: int) -> Iterator[Action]:
    """What can be made of the text between two places, whether or not something is wrong there."""
    yield from extracted(view, start, end)
    yield from inlined(view, start, end)
