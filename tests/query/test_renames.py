"""Other names, everywhere where they stand, and nothing else changed."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.diagnostics import Edit
from esp3c.pipeline import compile
from esp3c.query.occurrences import index
from esp3c.query.renames import Refused, applied, prepare, rename
from esp3c.source import Source
from esp3c.world import World
from support.fixtures import WORLD as FIXTURE_WORLD
from support.fixtures import ok_fixtures
from support.marks import RECIPE, WORLD, at, marked, seen


def renamed(text: str, mark: str, new: str) -> str:
    return applied(text, rename(seen(text), at(text, mark), new))


@pytest.mark.parametrize(
    ("mark", "new", "expected"),
    [
        ("hidden_size = s|ize)", "width", ["let width  = sizes", "hidden_size = width)"]),
        ("let wor|ds", "list", ["let list = ", "list = list }"]),
        ("sizes = { hid|den", "width", ["{ width = 192", "sizes.width"]),
        ("dataset sp|oken", "digits", ["dataset digits {", "train = [digits(", "seen = digits("]),
        ("train        on g|pu", "big", ["parallel big = slurm", "infer        on big", "label_all    on big"]),
        ("config sm|all", "tiny", ["config tiny extends training", "requires tiny"]),
        ("train_sm|all  requires", "train_tiny", ["train_tiny  requires small"]),
        ("label_a|ll { beam", "mark_all", ["mark_all { beam = 3 }", "mark_all    on gpu"]),
        ("recipe dig|its", "numbers", ["recipe numbers {"]),
    ],
)
def test_a_name_is_changed_everywhere(mark: str, new: str, expected: list[str]) -> None:
    text = renamed(RECIPE, mark, new)
    for each in expected:
        assert each in text
    assert len(seen(text).recipe.facts) == len(seen(RECIPE).recipe.facts)


def test_names_in_text_are_changed_too() -> None:
    text = 'let here = "x"\ntraining { a = "${here}/${ here }" b = "here $${here}" c = """\n  ${here}\n  """ }\n'
    assert renamed(text, "let he|re", "there") == (
        'let there = "x"\ntraining { a = "${there}/${ there }" b = "here $${here}" c = """\n  ${there}\n  """ }\n'
    )


def test_the_same_name_gives_no_edits() -> None:
    assert rename(seen(RECIPE), at(RECIPE, "hidden_size = s|ize)"), "size") == ()


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        ("src.model.Recog|nizer(n_mels = 80", "is Python"),
        ("trainer { max_ep|ochs", "is a key of `trainer`"),
        ("Recognizer(n_me|ls = 80", "is an argument of `src.model.Recognizer`"),
        ("|training {\n  dataset", "is a config that ESPnet3 has"),
        ("requires |training, export", "is a config that ESPnet3 has"),
        ("  create_da|taset", "is a stage that ESPnet3 has"),
        ("runs tr|ain", "is a stage of the System"),
        ("path = \"${exp_d|ir}", "is a key that every config has"),
        ("utt_id: str  spe|ech", "is a field of the items that `spoken` has in Python"),
        ("op|set = 17", "is read in Python, by the stage `export_onnx`"),
        ('se|en = spoken(split = "test")', "is read by ESPnet3 under this name"),
        ("= slu|rm(", "is a word of the language"),
            ("recipe| digits", "there is no name here"),
    ],
)  # fmt: skip
def test_names_that_the_recipe_did_not_make_stay(mark: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        prepare(seen(RECIPE), at(RECIPE, mark))


@pytest.mark.parametrize(
    ("mark", "new", "why"),
    [
        ("let wor|ds", "a b", "is no name"),
        ("let wor|ds", "1st", "is no name"),
        ("let wor|ds", "", "is no name"),
        ("let wor|ds", "null", "is a word of the language"),
        ("let wor|ds", "rate", "there is a let `rate` already"),
        ("let wor|ds", "spoken", "there is a dataset `spoken` already"),
        ("dataset sp|oken", "inference", "there is a config `inference` already"),
        ("config sm|all", "metrics", "is a config that ESPnet3 has"),
        ("dataset sp|oken", "slurm", "is a machine backend"),
        ("train_sm|all  requires", "label_all", "there is a stage `label_all` already"),
        ("train_sm|all  requires", "measure", "is a stage that the System has"),
        ("train_sm|all  requires", "class", "a stage cannot be called `class`"),
        ("train_sm|all  requires", "trainSmall", "is not a name for a stage: write it in snake_case: `train_small`"),
        ("label_a|ll { beam", "optimizer", "`training` has a key `optimizer`|`small` has a key `optimizer`"),
        ("config sm|all", "kleiné", "cannot be the name of a declaration"),
        ("dataset sp|oken", "import", "cannot be the name of a declaration: a word of Python"),
        ("sizes = { hid|den", "heads", "there is a key `heads` beside `hidden` already"),
        # Another name would then mean something else.
        ("let wor|ds", "data_dir", "in line 4 would mean something else"),
        ("hidden_size = s|ize)", "n_mels", "in line 23 would mean something else"),
    ],
)
def test_a_new_name_has_to_fit(mark: str, new: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        rename(seen(RECIPE), at(RECIPE, mark), new)


def test_a_name_that_python_reads_is_not_changed_here_alone() -> None:
    own = RECIPE.replace("espnet3.systems.base.system.BaseSystem", "src.system.Own").replace(
        "config export", "config lists"
    )
    with pytest.raises(Refused, match=r"`src\.system\.Own` reads the config as `lists_config`"):
        prepare(seen(own), at(own, "config li|sts"))

    method = own.replace("  create_dataset\n", "  prepare_list\n")
    with pytest.raises(Refused, match="is a method of the recipe's System"):
        prepare(seen(method), at(method, "prepare_l|ist"))

    text, (place,) = marked(
        "training { average_weights { count = 3 } }\nstages { avera|ge_weights requires training runs src.stages.average }\n"
    )
    with pytest.raises(Refused, match=r"`src\.stages\.average` may read the settings"):
        prepare(seen(text), place)


def test_a_key_that_goes_whole_to_python_stays() -> None:
    text, (place,) = marked(
        "let all = { si|ze = 1 }\nlet one = all.size\ntraining { model = src.model.Recognizer(layers = all) }\n"
    )
    with pytest.raises(Refused, match="`all` is handed on whole, and `size` with it"):
        prepare(seen(text), place)


def test_a_key_of_a_base_is_changed_in_all_that_take_it_over() -> None:
    text = (
        "config base { width = 1  deep { inner = 2 } }\nconfig low extends base { width = 3  deep.inner = 4 }\n"
        "config other extends base { deep = x.Y(inner = 5) }\nlet a = low.width\nlet b = base.deep.inner\n"
    )
    assert renamed(text, "config base { wi|dth", "size") == text.replace("width", "size")
    assert renamed(text, "base.deep.in|ner", "core") == (
        "config base { width = 1  deep { core = 2 } }\nconfig low extends base { width = 3  deep.core = 4 }\n"
        "config other extends base { deep = x.Y(inner = 5) }\nlet a = low.width\nlet b = base.deep.core\n"
    )


# -- any name of any recipe -----------------------------------------------------------------------------------------------

RECIPES: list[tuple[str, str, World]] = [
    ("marks", RECIPE, WORLD),
    *((path.stem, path.read_text(encoding="utf-8"), FIXTURE_WORLD) for path in ok_fixtures() if path.stem != "ignores"),
]


@cache
def open_to_change(number: int) -> tuple[tuple[int, ...], Counter[str]]:
    """The places of the names of a recipe that can be changed, and what there is to say of it."""
    _, text, world = RECIPES[number]
    places: list[int] = []
    read = seen(text, world)
    for each in index(read).all:
        try:
            places.append(prepare(read, each.span.start).span.start)
        except Refused as refused:
            assert "`" in str(refused)
    return tuple(places), codes(text, world)


def codes(text: str, world: World) -> Counter[str]:
    return Counter(each.code.id for each in compile(Source("recipe.esp", text), world).diagnostics)


NAMING = {"ESP0603"}
NEW = [
    "prepare_fresh",
    "lr",
    "training_low",
    "exp_dir",
    "model",
    "split",
    "src",
    "é1",
    "seed",
    "export",
    "hidden_size",
    "on",
]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_after_a_renaming_there_is_the_same_to_say(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(RECIPES) - 1))
    _, text, world = RECIPES[number]
    places, before = open_to_change(number)
    place, new = data.draw(st.sampled_from(places)), data.draw(st.sampled_from(NEW))
    read = seen(text, world)
    try:
        edits = rename(read, place, new)
    except Refused as refused:
        assert f"`{new}`" in str(refused) and new != "prepare_fresh"
        return
    if not edits:
        assert prepare(read, place).name == new
        return
    changed = applied(text, edits)
    after = codes(changed, world)
    # That a stage is named by a verb is said of its new name, and nothing else is.
    assert set(before - after) | set(after - before) <= NAMING
    back = rename(seen(changed, world), moved(place, edits, new), edits[0].span.text)
    assert applied(changed, back) == text


def moved(offset: int, edits: tuple[Edit, ...], new: str) -> int:
    """Where a place is after edits before it."""
    return offset + sum(len(new) - len(each.span.text) for each in edits if each.span.start < offset)
