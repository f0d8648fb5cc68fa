"""What can be said at once of an edit in a long recipe: of the config that is being written, without all the others.

The whole recipe is checked afterwards. What it says more, of other declarations, comes a little later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from esp3c.check import names
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of
from esp3c.ir import Recipe
from esp3c.query.view import View
from esp3c.record import changed, record
from esp3c.resolve import resolve
from esp3c.source import Source, Span
from esp3c.syntax import ast, errors


@record
class Said:
    """What was said of a whole text."""

    text: str
    diagnostics: tuple[Diagnostic, ...]


@record
class Part:
    """The recipe with the configs that an edit touches and those that they hang on.

    `place` is the declaration that was edited, `kept` what was said of the others, at their places of now.
    """

    recipe: Recipe
    place: Span
    kept: tuple[Diagnostic, ...]

    def with_new(self, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """What was said of the others, and what is said now of the one that was edited."""
        start, end = self.place.start, self.place.end
        new = (each for each in found if start <= each.primary.span.start <= end and each.code.id != UNUSED)
        return (*self.kept, *new)


UNUSED = code_of(names.unused).id
"""Whether anything uses a config, only the whole recipe knows."""


def part(view: View, said: Said) -> Part | None:
    """What an edit touches; None where that is not one config, so that only the whole says what it means."""
    if not errors.structure_known(view.syntactic):
        return None
    start, behind, by = _edit(said.text, view.source.text)
    touched = [each for each in view.file.declarations if each.span.start <= behind + by and start <= each.span.end]
    if len(touched) != 1 or not isinstance(touched[0], ast.ConfigDeclaration):
        return None
    edited, place = touched[0], touched[0].span
    if not edited.name.span.end < start <= behind + by <= place.end:
        return None
    old = (place.start, place.end - by)
    kept = tuple(
        _moved(each, view.source, said.text, behind, by)
        for each in said.diagnostics
        if not old[0] <= each.primary.span.start <= old[1]
        or (each.code.id == UNUSED and each.primary.span.end <= start)
    )
    return Part(resolve(_reduced(view.file, edited), view.world), place, kept)


def _edit(old: str, new: str) -> tuple[int, int, int]:
    """Where two texts begin to differ, where in the old one they end to, and how much longer the new one is."""
    most = min(len(old), len(new))
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if old[:middle] == new[:middle]:
            low = middle
        else:
            high = middle - 1
    start, low, high = low, 0, most - low
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle :] == new[len(new) - middle :]:
            low = middle
        else:
            high = middle - 1
    return start, len(old) - low, len(new) - len(old)


def _reduced(file: ast.File, edited: ast.ConfigDeclaration) -> ast.File:
    """The file with those configs of one's own alone that the edited one names, also on the way through others."""
    named: dict[str, list[Named]] = {}
    for each in file.declarations:
        if not isinstance(each, ast.StagesDeclaration | ast.RecipeDeclaration):
            named.setdefault(each.name.text, []).append(each)
    known: set[int] = set()
    left: list[Named] = [edited, *(each for same in named.values() for each in same if _stays(each))]
    while left:
        each = left.pop()
        if id(each) not in known:
            known.add(id(each))
            left.extend(other for word in _WORD.findall(each.span.text) for other in named.get(word, ()))
    gone = {each.name.text for same in named.values() for each in same if id(each) not in known}
    kept = (
        _lines(each, gone) for each in file.declarations if isinstance(each, ast.StagesDeclaration) or _kept(each, gone)
    )
    return ast.File(tuple(kept), file.span)


Named = ast.ConfigDeclaration | ast.DatasetDeclaration | ast.ParallelDeclaration | ast.LetDeclaration
_WORD = re.compile(r"[^\W\d]\w*")


def _stays(declaration: Named) -> bool:
    return not isinstance(declaration, ast.ConfigDeclaration) or declaration.well_known


def _kept(declaration: ast.Declaration, gone: set[str]) -> bool:
    return not isinstance(declaration, ast.ConfigDeclaration) or declaration.name.text not in gone


def _lines(declaration: ast.Declaration, gone: set[str]) -> ast.Declaration:
    """Of the stages those that work with configs that are there."""
    if not isinstance(declaration, ast.StagesDeclaration):
        return declaration
    lines = (
        each for each in declaration.stages if not any(name.text in gone for names in each.requires for name in names)
    )
    return changed(declaration, stages=tuple(lines))


def _moved(diagnostic: Diagnostic, source: Source, old: str, behind: int, by: int) -> Diagnostic:
    """A diagnostic of the text before, at its places in this one."""

    def span(each: Span) -> Span:
        if each.source.text is not old and each.source.text != old:
            return each
        move = by if each.start >= behind else 0
        return Span(source, each.start + move, each.end + (by if each.end >= behind else 0))

    def label(each: Label) -> Label:
        return Label(span(each.span), each.text)

    fix = diagnostic.fix
    if fix is not None:
        fix = Fix(fix.title, tuple(Edit(span(each.span), each.text) for each in fix.edits))
    return changed(
        diagnostic,
        primary=label(diagnostic.primary),
        secondary=tuple(map(label, diagnostic.secondary)),
        fix=fix,
    )
