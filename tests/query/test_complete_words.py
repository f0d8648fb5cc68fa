"""Every word of a real recipe is among the proposals for the place where it was deleted."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from esp3c.disk import DiskWorld
from esp3c.query.complete import complete
from esp3c.query.context import context
from esp3c.query.context_reading import What
from esp3c.query.in_sight import standing
from esp3c.query.view import view
from esp3c.source import Source
from esp3c.syntax.lalr import words

RECIPES = Path(__file__).parents[2] / "recipes"
SAMPLE = 50

OWN_NAMES = frozenset({"test"})
"""Blocks whose keys are names of the writer's own."""

FREE_TEXT = frozenset({"exp_tag", "vocabulary"})
"""What only the writer can know. Numbers and names of declarations are the other kinds."""


def places(text: str) -> Iterator[tuple[int, int]]:
    """The words of a recipe: names, units, what stands in quotes and in `${…}`."""
    for token in words(text):
        match token.type:
            case "NAME":
                yield token.start_pos, token.end_pos
            case "NUMBER":
                unit = re.search(r"[A-Za-z]+$", token)
                if unit is not None:
                    yield token.start_pos + unit.start(), token.end_pos
            case "STRING":
                inner = list(re.finditer(r"\$\{(\w+)\}", token))
                yield from ((token.start_pos + each.start(1), token.start_pos + each.end(1)) for each in inner)
                if not inner:
                    yield token.start_pos + 1, token.end_pos - 1


def only_the_writer_knows(recipe: Path, text: str, place: int, world: DiskWorld) -> bool:
    here = context(view(Source(str(recipe), text), world), place)
    key = standing(here.frames).place[-1:]
    if here.what is What.NAME:
        return True
    if here.what is What.KEY:
        return bool(OWN_NAMES.intersection(key))
    return here.what is What.STRING and bool(FREE_TEXT.intersection(key))


@pytest.mark.parametrize("name", ["spoken_digits", "mini_an4"])
def test_a_deleted_word_is_proposed(name: str) -> None:
    recipe = RECIPES / name / "recipe.esp"
    text = recipe.read_text(encoding="utf-8")
    world = DiskWorld(recipe.parent)
    missed, asked = [], 0
    for start, end in random.Random(3).sample(sorted(places(text)), SAMPLE):
        for typed in (0, 1):
            word = text[start:end]
            broken = text[:start] + word[:typed] + text[end:]
            if only_the_writer_knows(recipe, broken, start + typed, world):
                continue
            asked += 1
            found = complete(view(Source(str(recipe), broken), world), start + typed)
            if word not in {each.text.strip('"') for each in found.proposals}:
                missed.append((text.count("\n", 0, start) + 1, word, word[:typed]))
    assert not missed
    assert asked > SAMPLE
