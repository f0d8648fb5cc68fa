"""What can be said at once of an edit in a long recipe: of the config that is being written, without all the others.

The whole recipe is checked afterwards. What it says more, of other declarations, comes a little later.
"""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.diagnostics import Diagnostic, Edit, Fix, Label
from esp3c.ir import Config, Recipe
from esp3c.query.view import View
from esp3c.record import changed, record
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
        return (*self.kept, *(each for each in found if start <= each.primary.span.start <= end))


def part(view: View, said: Said) -> Part | None:
    """What an edit touches; None where that is not one config, so that only the whole says what it means."""
    if not errors.structure_known(view.syntactic):
        return None
    start, behind, by = _edit(said.text, view.source.text)
    touched = [each for each in view.file.declarations if each.span.start <= behind + by and start <= each.span.end]
    if len(touched) != 1 or not isinstance(touched[0], ast.ConfigDeclaration):
        return None
    place, config = touched[0].span, view.recipe.configs.get(touched[0].name.text)
    if (
        config is None
        or config.name_span != touched[0].name.span
        or not place.start <= start <= behind + by <= place.end
    ):
        return None
    old = (place.start, place.end - by)
    kept = tuple(
        _moved(each, view.source, said.text, behind, by)
        for each in said.diagnostics
        if not old[0] <= each.primary.span.start <= old[1]
    )
    return Part(_reduced(view.recipe, config), place, kept)


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


def _reduced(recipe: Recipe, config: Config) -> Recipe:
    names = {config.name, *(each.name for each in recipe.configs.values() if each.well_known)}
    while config.extends is not None and config.extends in recipe.configs and config.extends not in names:
        config = recipe.configs[config.extends]
        names.add(config.name)
    stages = tuple(each for each in recipe.stages if set(each.needs) <= names)
    configs = {name: each for name, each in recipe.configs.items() if name in names}
    return changed(recipe, configs=configs, stages=stages, answers={})


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
