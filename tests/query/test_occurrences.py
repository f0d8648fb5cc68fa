"""Where the names of a recipe stand, and what they stand for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.query.occurrences import Role, index
from esp3c.query.references import references
from esp3c.query.view import view
from esp3c.query.ways import Sort, way
from esp3c.resolve.scopes import Declared, Owner, Scaffold, Target
from esp3c.resolve.shapes import Shape
from esp3c.source import Source
from esp3c.syntax import ast
from support.any_recipe import recipe, spaced
from support.fixtures import FIXTURES, ok_fixtures
from support.marks import RECIPE, WORLD, at, seen


def lines(text: str, mark: str) -> list[str]:
    """The references of what a mark is at: line, role, text."""
    view_of = seen(text)
    return [
        f"{each.span.source.position(each.span.start)[0]} {each.role} {each.span.text}"
        for each in references(view_of, at(text, mark))
    ]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("let si|zes =", ["2 declared sizes", "3 used sizes"]),
        ("size  = sizes.hid|den", ["2 declared hidden", "3 used hidden"]),
        ("hidden_size = s|ize)", ["3 declared size", "23 used size"]),
        ("[sp|oken(split = \"valid\")", ["12 declared spoken", "20 used spoken", "21 used spoken", "37 used spoken"]),
        ("train        on g|pu", ["44 declared gpu", "48 used gpu", "50 used gpu", "51 used gpu"]),
        ("requires sm|all", ["30 declared small", "49 used small"]),
        ("|training {\n  dataset", ["18 declared training", "30 used training", "38 used training", "38 used training",
                         "51 used training", "52 used training"]),
        # A key of the base, the config that takes it over, and who refers to it.
        ("max_lr = optimizer.|lr", ["24 declared lr", "25 used lr", "32 set lr"]),
        ("trainer.max_ep|ochs", ["26 declared max_epochs", "31 set max_epochs"]),
        ("training.model.n_m|els", ["23 declared n_mels", "38 used n_mels"]),
        # The name of a stage, and the settings that stand under it.
        ("label_al|l    on gpu", ["27 declared label_all", "51 declared label_all"]),
        ("runs tra|in", ["49 used train"]),
        ("sample { utt_id: str  spe|ech", ["15 declared speech", "39 used speech"]),
        ("${exp|_dir}/model.onnx", ["42 used exp_dir"]),
        ("list = wor|ds", ["4 declared words", "42 used words"]),
        # Every part of a path has its own places.
        ("src|.text.clean", ["20 used src", "23 used src", "38 used src", "51 used src", "51 used src", "52 used src"]),
        ("system  = espnet3.sys|tems", ["7 used systems"]),
        ('exp_tag = "ct|c"', []),
    ],
)  # fmt: skip
def test_all_places_of_a_name_are_found(mark: str, expected: list[str]) -> None:
    assert lines(RECIPE, mark) == expected


def test_a_key_in_a_block_of_its_own_is_another_one() -> None:
    text = (
        "training { a { b = 1 } c = a.b }\nconfig low extends training { a = { b = 2 } }\nconfig own { b = 3 d = b }\n"
    )

    assert lines(text, "c = a.|b }") == ["1 declared b", "1 used b", "2 set b"]
    assert lines(text, "d = |b }") == ["3 declared b", "3 used b"]

    replaced = "training { a = x.Y(b = 1) }\nconfig low extends training { a = x.Z(b = 2) }\n"
    assert lines(replaced, "x.Z(|b") == ["2 declared b"]


def test_what_stands_for_nothing_is_told_apart() -> None:
    known = index(seen("training { a = nowhere  b = some.where }\nstages { x on nobody requires none }\n"))

    unknown = [each.span.text for each in known.all if each.thing.sort is Sort.UNKNOWN]
    assert unknown == ["nowhere", "nobody", "none"]
    assert [each.thing.name for each in known.all if each.thing.sort is Sort.PYTHON] == ["some", "some.where"]


def test_an_argument_knows_what_it_is_given_to() -> None:
    text = 'dataset d { class = a.B }\ntraining { dataset { train = d(split = "x") { name = "y" } } m = c.D(e = 1) }\n'
    given_to = {each.span.text: each.call.name for each in index(seen(text)).all if each.call is not None}

    assert given_to == {"split": "d", "e": "c.D"}


def values(owner: Owner) -> list[tuple[tuple[str, ...], tuple[str | int, ...]]]:
    """Every dotted name of an owner, with the place at which it stands."""
    found: list[tuple[tuple[str, ...], tuple[str | int, ...]]] = []

    def visit(shape: Shape, place: tuple[str | int, ...]) -> None:
        if isinstance(shape.value, ast.Reference) and shape.value.block is None:
            found.append((tuple(part.text for part in shape.value.path.parts), place))
        for name, child in shape.children.items():
            visit(child, (*place, name))
        for number, item in enumerate(shape.items):
            visit(item, (*place, number))

    visit(owner.root, ())
    return found


def same_as_the_compiler(text: str) -> int:
    """Compares every way with what the compiler says of the whole name; how many there were."""
    names = index(view(Source("recipe.esp", text), WORLD)).names
    owners = [*names.configs.values(), *names.lets.values(), *names.datasets.values(), *names.parallels.values()]
    count = 0
    for owner in owners:
        for parts, place in values(owner):
            mine, theirs = way(names, parts, owner, place), names.look_up(parts, owner, place)
            count += 1
            match theirs:
                case None:
                    assert mine is None, parts
                case Target():
                    assert mine is not None and mine.value is not None and len(mine.things) == len(parts), parts
                    assert (mine.value.owner, mine.value.place) == (theirs.owner, theirs.place)
                    assert mine.value.shape is theirs.shape
                case Declared() | Scaffold():
                    assert mine is not None and mine.value is None and mine.things[-1].name == theirs.name
    return count


def test_a_way_ends_where_the_compiler_says() -> None:
    texts = [RECIPE, *(path.read_text(encoding="utf-8") for path in ok_fixtures())]
    assert sum(map(same_as_the_compiler, texts)) > 50
    bad = [path.read_text(encoding="utf-8") for path in (FIXTURES / "bad" / "names").glob("*.esp")]
    assert sum(map(same_as_the_compiler, bad)) > 10


@settings(max_examples=25, deadline=None)
@given(recipe, st.randoms(use_true_random=False))
def test_any_recipe_has_its_names_in_order(words: list[str], chance: object) -> None:
    text = spaced(words, chance)  # type: ignore[arg-type]
    same_as_the_compiler(text)
    read = seen(text)
    known = index(read)
    found = known.all
    for one, other in pairwise(found):
        assert one.span.start < one.span.end <= other.span.start
    for each in found:
        assert known.at(each.span.start) == each
        assert each in known.of(each.thing)
        assert each.role in Role
