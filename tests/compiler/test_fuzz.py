"""Recipes with random edits: the compiler never raises, never points outside, never draws what it should not, never hangs."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esp3c
from esp3c.emit.files import Layout
from esp3c.pipeline import Result, compile
from esp3c.render.json import render_json
from esp3c.render.text import TextRenderer, summary
from esp3c.source import Source
from esp3c.syntax.tokens import tokenize
from support.fixtures import FIXTURES, WORLD

RECIPES = [
    path.read_text(encoding="utf-8")
    for path in (
        *sorted(FIXTURES.rglob("*.esp")),
        Path(esp3c.__file__).parent / "templates" / "tones" / "recipe.esp",
    )
]
LARGE = sorted(RECIPES, key=len)[-2:]
CHARACTERS = "{}[]()=,:.?\"'\\$#\n\r\t _-0a9é音😀\x00\x1b\u202e\u2028\ufeff²"
WORDS = [
    "recipe", "dataset", "config", "training", "inference", "metrics", "stages", "let", "parallel", "extends", "requires",
    "runs", "on", "new", "partial", "true", "false", "null", "=", ",", ":", ".", "?", "{", "}", "[", "]", "(", ")", '""',
    '"""', '"${', "${a}", "$${", '"a"', "1", "-1e9", "16kHz", "4hours", "a", "b.c", "f()", "_target_", "_partial_",
    "recipe_dir", "exp_dir", "system", "let a = a", "let b = [b]", '"${a.b}"', "parallel p = p", "config d extends d",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def edited(text: str, random: random.Random) -> str:
    """One random edit of characters, words or lines."""
    match random.randrange(10):
        case 0:
            at = random.randint(0, len(text))
            return text[:at] + random.choice(CHARACTERS) + text[at:]
        case 1:
            start = random.randint(0, len(text))
            return text[:start] + text[start + random.choice((1, 1, 1, 2, 10, 100)) :]
        case 2:
            at = random.randint(0, max(0, len(text) - 2))
            return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
        case 3:
            start = random.randint(0, len(text))
            return text[:start] + text[start : start + random.randint(1, 40)] * 2 + text[start:]
        case 4:
            return text[: random.randint(0, len(text))]
        case 5 | 6 | 7 as what:
            tokens, _ = tokenize(Source("r", text))
            if not tokens:
                return text
            one, two = random.choice(tokens), random.choice(tokens)
            start, end = one.start_pos or 0, one.end_pos or 0
            other = text[two.start_pos or 0 : two.end_pos or 0]
            middle = {5: "", 6: other, 7: f"{text[start:end]} {random.choice(WORDS)} "}[what]
            return text[:start] + middle + text[end:]
        case 8:
            lines = text.split("\n")
            at = random.randrange(len(lines))
            lines[at : at + 1] = random.choice(([], [lines[at]] * 2, [random.choice(lines), lines[at]]))
            return "\n".join(lines)
        case _:
            lines = text.split("\n")
            start, end = sorted((random.randrange(len(lines)), random.randrange(len(lines))))
            lines[start:end] = random.choice(([], lines[start:end] * 2, lines[start:end][::-1]))
            return "\n".join(lines)


def compiled(text: str, *overrides: str) -> Result:
    """Compiles, and holds what comes out against what must always hold."""
    sources = [Source(f"--set {each}", each) for each in overrides]
    result = compile(Source("recipe.esp", text), WORLD, sources, Layout("recipe.esp"))
    for each in result.diagnostics:
        assert each.message
        for label in (each.primary, *each.secondary):
            assert label.span.source.text in {text, *overrides} or label.span.source.path.endswith(".py")
            assert 0 <= label.span.start <= label.span.end <= len(label.span.source.text)
        for edit in each.fix.edits if each.fix else ():
            assert 0 <= edit.span.start <= edit.span.end <= len(edit.span.source.text)
    shown = TextRenderer().render(result.diagnostics) + summary(result.diagnostics)
    assert not CONTROL.search(shown)
    colored = re.sub(r"\x1b\[[\d;]*m", "", TextRenderer(color=True).render(result.diagnostics))
    assert [line.rstrip() for line in colored.split("\n")][:-1] == shown.split("\n")[:-1]
    json.loads(render_json(result.diagnostics))
    assert bool(result.files) == result.ok
    return result


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(RECIPES), st.integers(1, 4), st.randoms(use_true_random=False))
def test_edits_of_recipes_are_taken_whatever_they_are(text: str, edits: int, random: random.Random) -> None:
    for _ in range(edits):
        text = edited(text, random)

    compiled(text)


@pytest.mark.parametrize("seed", range(120))
def test_edits_of_the_large_recipes(seed: int) -> None:
    """With seeds that stay the same, so that a failure is found again."""
    chance = random.Random(seed)
    text = LARGE[seed % 2]
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        text = edited(text, chance)

    compiled(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(["\n", "\n", " ", "a"])), max_size=60))
def test_any_words_in_any_order(words: list[str]) -> None:
    compiled(" ".join(words))


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from(CHARACTERS), max_size=60))
def test_any_characters(text: str) -> None:
    compiled(text)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=8),
    st.sampled_from(["training", "let", "rate", "recipe", "sizes", "export"]),
)
def test_anything_may_be_set(words: list[str], head: str) -> None:
    compiled(LARGE[-1], f"{head}.{' '.join(words)}", f"{head}={' '.join(words)}")


def test_an_edit_never_makes_it_much_slower() -> None:
    text = LARGE[-1]

    def seconds(text: str) -> float:
        times = []
        for _ in range(4):
            begun = time.process_time()
            compile(Source("recipe.esp", text), WORLD)
            times.append(time.process_time() - begun)
        return min(times)

    usual = max(seconds(text), 0.01)
    chance = random.Random(7)
    for _ in range(25):
        assert seconds(edited(edited(text, chance), chance)) < 12 * usual


@pytest.mark.parametrize(
    "one, many",
    [
        ("let a{0} = nothing{0}\n", 600),
        ("config c{0} {{ a = [1 2] }}\n", 600),
        ("config c{0} {{ a = }}\n", 600),
        ('let a{0} = "${{nothing{0}}}"\n', 600),
        ("training {{ nothing{0} = 1 }}\n", 600),
        ("config c{0} extends nothing{0} {{ }}\n", 300),
        ("parallel p{0} = local(n_worker = {0})\n", 600),
        ("let a{0} = [\n", 600),
        ("}} ] )\n", 600),
        ("let a = 1\n", 600),
        ("let a{0} = torch.nothing{0}()\n", 600),
        ("config c{0} {{ x = y  y = x }}\n", 300),
    ],
)
def test_many_mistakes_take_time_in_proportion(one: str, many: int) -> None:
    """Twice as many, twice as long: with room for what is shared, and none for a square."""

    def seconds(count: int) -> float:
        text = "".join(one.format(number) for number in range(1000, 1000 + count))
        times = []
        for _ in range(2):
            begun = time.process_time()
            compile(Source("recipe.esp", text), WORLD)
            times.append(time.process_time() - begun)
        return min(times)

    assert seconds(4 * many) < 4 * 2.2 * max(seconds(many), 0.02)
