"""Whatever stands in a file, everything that editors ask about its structure has an answer, and the answers hold together."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.pipeline import compile
from esp3c.query.actions_offered import about, at
from esp3c.query.fixes import applied
from esp3c.query.folding import folds
from esp3c.query.formatting import typed, within
from esp3c.query.hints import hints
from esp3c.query.lenses import lenses
from esp3c.query.selection import around
from esp3c.query.semantic import painted
from esp3c.query.view import View, view
from esp3c.source import Source
from support.fixtures import FIXTURES, WORLD

TEXTS = [
    (FIXTURES / name).read_text(encoding="utf-8")
    for name in (
        "ok/whole_language.esp",
        "ok/resources.esp",
        "bad/syntax/five_mistakes.esp",
        "bad/stages/missing_config.esp",
    )
]
ODD = [
    "",
    "\n",
    "{",
    "}",
    '"""',
    "let",
    "let a =",
    "# 😀",
    "\r",
    'training { é = "😀${a}" }',
    "\ufeff",
    "a.b.",
    "stages { train on",
    "[" * 300,
]


def hold(here: View, chance: random.Random, offsets: int) -> None:
    text = here.source.text
    words = painted(here)
    assert all(one.end <= other.start for one, other in itertools.pairwise(words))
    assert all(0 <= each.start < each.end <= len(text) for each in words)
    assert all(0 <= each.start < each.end <= len(text) for each in folds(here))
    assert all(0 <= each.offset <= len(text) for each in hints(here, 0, len(text)))
    lenses(here)
    for offset in [0, len(text), *(chance.randint(0, len(text)) for _ in range(offsets))]:
        chain = around(here, offset)
        assert all(a[0] >= b[0] and a[1] <= b[1] and a != b for a, b in itertools.pairwise(chain)), offset
        assert all(start <= offset <= end for start, end in chain) and chain[-1] == (0, len(text))
        until = min(len(text), offset + chance.randint(0, 40))
        for action in at(here, offset, until):
            applied(text, action.edits)
        for sign in "\n})]":
            applied(text, typed(here, offset, sign))
        within(here, offset, until)
    for each in compile(here.source, WORLD).diagnostics:
        for action in about(here, each):
            applied(text, action.edits)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts(text: str) -> None:
    hold(view(Source("recipe.esp", text), WORLD), random.Random(1), len(text))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(0, 2**32), st.sampled_from(["\n", "\r\n"]))
def test_a_recipe_with_a_piece_missing(text: str, seed: int, line_end: str) -> None:
    chance = random.Random(seed)
    start = chance.randrange(len(text))
    broken = text[:start] + text[start + chance.choice([1, 1, 3, 20, 200]) :]

    hold(view(Source("recipe.esp", broken.replace("\n", line_end)), WORLD), chance, 6)
