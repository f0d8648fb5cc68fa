"""Where one is writing, by the words before the place alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from esp3c.query.context import Context, behind, context
from esp3c.query.context_reading import What
from esp3c.query.known import known
from esp3c.schema import types as t
from support.marks import PYTHON, RECIPE, marked, seen

RECIPES = Path(__file__).parents[2] / "recipes"
DATASET = "dataset digits { class = dataset.dataset.Digits }\n"


def here(text: str) -> Context:
    plain, (place,) = marked(text)
    return context(seen(plain), place)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("|", What.DECLARATION),
        ("tra|", What.DECLARATION),
        ("let x = 3\n|", What.DECLARATION),
        ("training { }\n\n|", What.DECLARATION),
        ("recipe |", What.NAME),
        ("config low |", What.EXTENDS),
        ("config low | training {", What.EXTENDS),
        ("config low extends |", What.BASE),
        ("config low extends tr|aining { }", What.BASE),
        ("let x = |", What.VALUE),
        ("parallel here = |", What.VALUE),
        ("recipe a { sy|", What.KEY),
        ("training { trainer { max_epochs = 3  acc|", What.KEY),
        ("training { trainer { max_epochs = |", What.VALUE),
        ("training { trainer { max_epochs =\n    |", What.VALUE),
        ("training { trainer { max_epochs : |", What.VALUE),
        ("training { model = src.model.|", What.VALUE),
        ("training { model = partial |", What.VALUE),
        ("training { optimizer = a.B(|", What.ARGUMENT),
        ("training { optimizer = a.B(x = [1, 2], |", What.ARGUMENT),
        ("training { optimizer = a.B(x = [1, |", What.VALUE),
        ("training { optimizer = a.B(x = |", What.VALUE),
        ("training { optimizer = a.B(l = 1)\n  |", What.KEY),
        ("dataset d { sample { a: |", What.TYPE),
        ("dataset d { sample { a?: |", What.TYPE),
        ("dataset d { sample { a: float32[|", What.DIMENSION),
        ("dataset d { sample { a: float32[time, |", What.DIMENSION),
        ("dataset d { sample { a: str  |", What.KEY),
        ("stages { |", What.STAGE),
        ("stages { train\n  |", What.STAGE),
        ("stages { train |", What.CLAUSE),
        ("stages { train on gpu |", What.CLAUSE),
        ("stages { train requires |", What.REQUIRED),
        ("stages { train requires a, |", What.REQUIRED),
        ("stages { train runs |", What.RUN),
        ("stages { train runs src.|", What.RUN),
        ("stages { train on |", What.MACHINE),
        ("stages { train on gpu { run|", What.KEY),
        ('training { exp_tag = "a|"', What.STRING),
        ('training { exp_tag = "a|', What.STRING),
        ('training { exp_tag = "a"| }', What.KEY),
        ('training { exp_tag = """a|', What.STRING),
        ('training { exp_tag = "${ex|"', What.INTERPOLATION),
        ('training { exp_tag = "${a} $${ex|"', What.STRING),
        ('training { exp_tag = "${a}/${ex|"', What.INTERPOLATION),
        ("parallel p = slurm(time = 9|", What.UNIT),
        ("parallel p = slurm(time = 9m|in)", What.UNIT),
        ("parallel p = slurm(time = 9|0min)", What.NUMBER),
        # A bracket above that is not closed ends where a line stands no deeper.
        ("training {\n  model = a.B(x = 1\n  opt|", What.KEY),
        ("training {\n  model = a.B(x = 1\n  optimizer = c.D(|", What.ARGUMENT),
        ("training {\n  model = a.B(x = [1, 2\n  trainer { max|", What.KEY),
        ("training {\n  model = a.B(\n  optimizer = 1\n  |", What.KEY),
        ("training {\n  model = a.B(\n    |", What.ARGUMENT),
        ("training {\n  model = a.B(\n  |", What.ARGUMENT),
        ("training {\n  model = a.B(x = 1,\n  |", What.ARGUMENT),
        ("training { # a |", What.COMMENT),
        ("# a |\ntraining { }", What.COMMENT),
    ],
)
def test_what_may_be_written(text: str, what: What) -> None:
    assert here(text).what is what


def test_the_word_and_what_stands_before_it() -> None:
    text = "training { model = src.model.Reco|gnizer(n_mels = 80) }"
    found = here(text)
    plain, (place,) = marked(text)
    assert (found.path, found.word) == (("src", "model"), "Reco")
    assert plain[found.start : found.end] == "Recognizer"
    assert found.start + len(found.word) == place


@pytest.mark.parametrize(
    ("text", "word", "closed"),
    [
        ('training { exp_tag = "a|b"', "ab", True),
        ('training { exp_tag = "a|b)]', "ab", False),
        ('training { exp_tag = "${exp_|dir}/x"', "exp_dir", True),
        ('training { exp_tag = "${exp_|dir/x"', "exp_dir", False),
    ],
)
def test_in_text_the_word_ends_where_its_sign_should_stand(text: str, word: str, closed: bool) -> None:
    found, (plain, _) = here(text), marked(text)
    assert (plain[found.start : found.end], found.closed) == (word, closed)


def test_brackets_know_what_is_given_before_and_behind() -> None:
    text = "training { a.b = 1  new c.d = 2  e { x = 1 }  | = 3  f = g.h(i = 1)  k { l = 1 }  m: n  o.p = [q] }"
    plain, (place,) = marked(text)
    view = seen(plain)
    found = context(view, place)
    assert found.frame.given == ["a.b", "c.d", "e"]
    assert behind(view, found) == {"f", "k", "m", "o.p"}


def test_behind_the_last_bracket_nothing_is_given() -> None:
    plain, (place,) = marked("training { trainer { | } seed = 3 }\nlet a = 1")
    view = seen(plain)
    assert behind(view, context(view, place)) == frozenset()


def test_behind_an_open_bracket_the_block_is_known() -> None:
    found = here("training {\n  model = a.B(x = 1\n  trainer { max_epochs = 1  |")
    assert [frame.words for frame in found.frames[1:]] == [("training",), ("trainer",)]


def test_new_and_partial_are_seen() -> None:
    assert here("config a extends training { new |").new
    assert here("config a extends training { new tr|ainer.x = 1").new
    assert not here("config a extends training { trainer.x = 1  |").new
    assert here("let a = partial tor|").partial


def test_what_the_schema_knows() -> None:
    def at(text: str) -> tuple[str, t.Type | None]:
        plain, (place,) = marked(text)
        view = seen(plain)
        found = context(view, place)
        inside = known(view.recipe, found.frames, found.path if found.what is What.KEY else ())
        return inside.block.name if inside.block is not None else "", inside.type

    assert at("training { trainer { |")[0] == "trainer"
    assert at("training { trainer.|")[0] == "trainer"
    assert at("training { }\nconfig low extends training { trainer { |")[0] == "trainer"
    assert at("parallel p = slurm(|")[0] == "slurm"
    assert at(DATASET + "training { dataset { train = [digits() { |")[0] == "dataset entry"
    assert at("stages { mine { |")[0] == "workload"
    assert at("inference { output_artifacts { wave { |")[0] == "artifact"
    assert at("training { dataset = espnet3.components.data.data_organizer.DataOrganizer(|")[0] == "dataset"
    assert at("training { scheduler_interval = |")[1] == t.OneOf(("step", "epoch"))
    assert at("training { dataloader { train { batch_size = 1  shuffle = |")[1] == t.either(t.BOOL, t.NULL)
    assert at("training { optimizers { a { interval = |")[1] is None


def test_every_place_has_an_answer() -> None:
    """Also where a piece is missing."""
    chance = random.Random(7)
    for path in sorted(RECIPES.glob("*/recipe.esp"))[:4]:
        text = path.read_text(encoding="utf-8")
        for _ in range(2):
            start = chance.randrange(len(text))
            broken = (text[:start] + text[start + chance.randrange(60) :]).replace(
                "\n", chance.choice(("\n", "\r\n", "\n🎉"))
            )
            view = seen(broken)
            for place in range(0, len(broken) + 1, 7):
                found = context(view, place)
                assert found.start <= max(place, found.start) <= max(found.end, place)
                assert found.frames[0].opener == ""
                known(view.recipe, found.frames, found.path)
                behind(view, found)


def test_a_place_outside_of_the_text_is_none() -> None:
    view = seen(RECIPE)
    assert context(view, len(RECIPE) + 40).what is What.DECLARATION
    assert context(seen(""), 0).what is What.DECLARATION
    assert PYTHON
