"""What is said of a recipe while one of its lines is being written: the rest of the file keeps its marks.

What a line means that cannot be read is not known. Rules that need the whole file (a name is not defined, nothing uses
this) say then only what they said before. With a bracket missing, what stands in the declaration around it is a guess:
nothing is said of it but the missing bracket, and of the others only what was said before.
"""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check import RULES
from esp3c.diagnostics import Diagnostic, code_of
from esp3c.query.view import View
from esp3c.source import Span
from esp3c.syntax import errors

OF_THE_WHOLE = frozenset(code_of(rule).id for rule in RULES if getattr(rule, "needs_whole_file", False))


class Steady:
    """Remembers what was said of the last version that could be read whole."""

    def __init__(self) -> None:
        self._said: frozenset[tuple[str, str]] = frozenset()

    def kept(self, view: View, diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
        """Those of the diagnostics that are to be shown."""
        if not view.syntactic:
            self._said = frozenset(map(_said, diagnostics))
            return diagnostics
        if errors.structure_known(view.syntactic):
            return tuple(each for each in diagnostics if each.code.id not in OF_THE_WHOLE or _said(each) in self._said)
        syntactic = set(map(id, view.syntactic))
        damaged = list(_damaged(view))
        return tuple(
            each
            for each in diagnostics
            if id(each) in syntactic or (_said(each) in self._said and not _in_one(each.primary.span, damaged))
        )


def _said(diagnostic: Diagnostic) -> tuple[str, str]:
    return diagnostic.code.id, diagnostic.message


def _damaged(view: View) -> Iterable[Span]:
    """The declarations in which brackets are missing, and the text around them that belongs to none."""
    wrong = [each for each in view.syntactic if not errors.structure_known([each])]
    spans = [label.span for each in wrong for label in (each.primary, *each.secondary)]
    for declaration in view.file.declarations:
        if any(declaration.span.start <= span.end and span.start <= declaration.span.end for span in spans):
            yield declaration.span
    yield from spans


def _in_one(span: Span, places: Iterable[Span]) -> bool:
    return any(each.start <= span.start <= each.end for each in places)
