"""What is said at once of an edit in one config is what the whole check says of it."""

from __future__ import annotations

import pytest

from esp3c.diagnostics import Diagnostic
from esp3c.ir import Recipe
from esp3c.pipeline import judge
from esp3c.query.damage import Steady
from esp3c.query.partial import Said, part
from esp3c.query.view import View, view
from esp3c.source import Source
from esp3c.world import MemoryWorld

RECIPE = """\
recipe r { system = espnet3.systems.base.system.BaseSystem }
training { trainer { max_epochs = 3 } }
config one { a = 1  b = c }
config two { a = 1 }
config three extends training { trainer.max_epochs = 4 }
stages { train }
"""
WORLD = MemoryWorld({"espnet3.systems.base.system": "class BaseSystem:\n    def train(self): ...\n"})


Marks = list[tuple[str, str, int]]


def judged(read: View, recipe: Recipe) -> tuple[Diagnostic, ...]:
    steps = judge(read.source, recipe, WORLD, read.syntactic, part=recipe is not read.recipe, guess=True)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: tuple[Diagnostic, ...] = end.value.diagnostics
            return made


def shown(diagnostics: tuple[Diagnostic, ...]) -> Marks:
    return sorted((each.code.id, each.message, each.primary.span.start) for each in diagnostics)


def both(before: str, after: str) -> tuple[Marks | None, Marks]:
    """What is said at once after an edit, and what the whole check says then."""
    steady, first = Steady(), view(Source("r", before), WORLD)
    said = Said(before, steady.kept(first, judged(first, first.recipe)))
    read = view(Source("r", after), WORLD)
    touched = part(read, said)
    whole = shown(steady.kept(read, judged(read, read.recipe)))
    if touched is None:
        return None, whole
    found = steady.kept(read, touched.with_new(judged(read, touched.recipe)))
    assert all(each.primary.span.source is read.source for each in found)
    return shown(found), whole


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_epochs = 4", "max_epoch = 4"),
        ("max_epochs = 4", 'max_epochs = "four"'),
        ("config two { a = 1", "config two { a = nothing"),
        ("config two { a = 1", "config two { a ="),
        ("b = c", "b = a"),
        ("trainer { max_epochs = 3", "trainer { max_epochs = nought"),
    ],
)
def test_an_edit_in_a_config_is_judged_as_in_the_whole(old: str, new: str) -> None:
    before, _ = both(RECIPE, RECIPE.replace("a = 1 }\nconfig three", "a = 2 }\nconfig three"))
    at_once, whole = both(RECIPE, RECIPE.replace(old, new, 1))
    assert at_once == whole != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stages { train", "stages { trian"),
        ("config two { a = 1 }", "config two { a = 1 "),
        ("recipe r", "recipe s"),
    ],
)
def test_what_only_the_whole_can_tell(old: str, new: str) -> None:
    assert both(RECIPE, RECIPE.replace(old, new, 1))[0] is None
