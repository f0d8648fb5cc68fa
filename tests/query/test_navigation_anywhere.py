"""Every question has an answer at every place, whatever is wrong with the text."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.disk import DiskWorld
from esp3c.lsp.documents import uri_of
from esp3c.query.definitions import declaration, definition
from esp3c.query.generated import writings
from esp3c.query.hover import hover
from esp3c.query.hover_parts import markdown, plain
from esp3c.query.links import links
from esp3c.query.references import references
from esp3c.query.renames import Refused, prepare, rename
from esp3c.query.symbols import symbols
from esp3c.query.type_definitions import type_definition
from esp3c.query.view import View, view
from esp3c.source import Source
from support.fixtures import FIXTURES, WORLD
from support.marks import RECIPE
from support.marks import WORLD as OWN

DIGITS = Path(__file__).parents[2] / "recipes" / "spoken_digits" / "recipe.esp"
TEXTS = [RECIPE, (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")]


def ask(read: View, offset: int) -> None:
    found = hover(read, offset)
    if found is not None:
        assert found.span.start <= offset <= found.span.end
        assert markdown(found.parts, uri_of) and plain(found.parts)
    for leads in (definition(read, offset), type_definition(read, offset), declaration(read, offset)):
        if leads is not None:
            assert leads.origin.start <= offset <= leads.origin.end
            for goal in leads.goals:
                assert 0 <= goal.name.start <= goal.name.end <= len(goal.name.source.text)
                assert goal.whole.start <= goal.name.start and goal.name.end <= goal.whole.end
    here = references(read, offset)
    assert not here or any(each.span.start <= offset <= each.span.end for each in here)
    try:
        assert prepare(read, offset).span.start <= offset
    except Refused as refused:
        assert str(refused)


@pytest.mark.parametrize("text", TEXTS, ids=["own", "whole_language"])
def test_every_place_of_a_recipe(text: str) -> None:
    read = view(Source("recipe.esp", text), OWN if text is RECIPE else WORLD)
    for offset in range(-1, len(text) + 2):
        ask(read, offset)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(TEXTS), st.randoms(use_true_random=False))
def test_every_place_of_a_broken_one(text: str, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 1, 4, 30]))
        put = chance.choice(
            ["", "", "{", "}", '"', ".", " = ", "é😀", "\r\n", "${", "${}", "let x = ", "requires", '""']
        )
        text = text[:start] + put + text[end:]
    read = view(Source("recipe.esp", text), OWN)
    for outline in symbols(read.file):
        assert outline.name
    assert all(each.path for each in links(read))
    writings(read)
    offsets = sorted(chance.sample(range(len(text) + 1), min(120, len(text) + 1)))
    for offset in offsets:
        ask(read, offset)
    try:
        rename(read, chance.choice(offsets), chance.choice(["fresh", "training", "lr", ""]))
    except Refused as refused:
        assert str(refused)


def test_answers_are_quick() -> None:
    text = DIGITS.read_text(encoding="utf-8")
    read = view(Source(str(DIGITS), text), DiskWorld(DIGITS.parent))
    for question in (hover, definition, type_definition, references):
        for offset in range(0, len(text), 7):
            question(read, offset)
        took: list[float] = []
        for offset in range(0, len(text), 3):
            begun = time.perf_counter()
            question(read, offset)
            took.append(time.perf_counter() - begun)
        assert sorted(took)[int(len(took) * 0.95)] < 0.015, question.__name__
