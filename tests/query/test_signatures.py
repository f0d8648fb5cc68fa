"""What the call around a place takes, and what its docstring says of it."""

from __future__ import annotations

import pytest

from esp3c.python.reader import reader
from esp3c.query.signatures import Help, literal, signature_help
from esp3c.query.signatures_docs import described, docstring, plain, read
from esp3c.world import MemoryWorld
from support.marks import PYTHON, RECIPE, marked, seen

MODULES = {
    **PYTHON,
    "src.many": (
        "from typing import overload\n"
        "class Either:\n"
        "    @overload\n    def __init__(self, size: int) -> None: ...\n"
        "    @overload\n    def __init__(self, path: str, *, strict: bool = True) -> None: ...\n"
        "    def __init__(self, *args, **kwargs): ...\n"
        "def gain(sample, max_db: float, floor=0.0):\n"
        '    """Changes the level.\n\n    :param float max_db: the largest change,\n        in decibels\n'
        '    :param floor: the lowest level\n    :return: the sample\n    """\n'
        "def open_one(name, **kwargs): ...\n"
    ),
}
WORLD = MemoryWorld(MODULES)

RECOGNIZER = "Recognizer(n_mels: int = 80, hidden_size: int = 192, layers: 'Layers | None' = None)"


def helped(text: str) -> Help | None:
    plain_text, (place,) = marked(text)
    return signature_help(seen(plain_text, WORLD), place)


def shown(text: str) -> tuple[str, str]:
    found = helped(text)
    assert found is not None
    return found.ways[found.active].label, found.parameter


@pytest.mark.parametrize(
    ("text", "label", "active"),
    [
        ("let a = src.model.Recognizer(|)", RECOGNIZER, "n_mels"),
        ("let a = src.model.Recognizer(n_mels = 1, |)", "", "hidden_size"),
        ("let a = src.model.Recognizer(hidden_size = |", "", "hidden_size"),
        ("let a = src.model.Recognizer(la|", "", "layers"),
        ("let a = src.model.Recognizer(n_mels = [1, |", "", "n_mels"),
        ("training { optimizer = torch.optim.AdamW(|", "AdamW(lr: float = 0.001, weight_decay: float = 0.01)", "lr"),
        ("training { scheduler = torch.optim.lr_scheduler.OneCycleLR(|", "OneCycleLR(max_lr, total_steps=None)", "max_lr"),
        ("training { model = partial src.model.Recognizer(|", "", "n_mels"),
        ("let a = f(x = src.text.clean(|", "clean(text: str, lower=True)", "text"),
        ("let a = src.many.open_one(|", "open_one(name, …)", "name"),
        ("training { dataset { train = [d() { transform = src.many.gain(|", "gain(max_db: float, floor=0.0)", "max_db"),
    ],
)  # fmt: skip
def test_the_signature_and_the_argument_at_the_cursor(text: str, label: str, active: str) -> None:
    found, parameter = shown("dataset d { class = dataset.dataset.Digits }\n" + text)
    assert parameter == active
    if label:
        assert found == label


def test_datasets_builders_and_machines() -> None:
    text = RECIPE.replace('spoken(split = "valid")', "spoken(|)")
    assert shown(text) == ("Digits(split: str, size: int = 3)".replace("Digits", "spoken"), "split")
    assert shown(RECIPE.replace("Builder(utterances = 200)", "Builder(|)")) == (
        "Builder(utterances: int = 10)",
        "utterances",
    )
    label, parameter = shown("parallel a = local(n_shards = |")
    assert label == "local(n_workers: an int = 1, n_shards: an int = a few for each worker)"
    assert parameter == "n_shards"


def test_overloads_are_ways_of_their_own() -> None:
    found = helped("let a = src.many.Either(|")
    assert found is not None
    assert [way.label for way in found.ways] == ["Either(size: int)", "Either(path: str, strict: bool = True)"]
    assert shown('let a = src.many.Either(path = "a", |') == ("Either(path: str, strict: bool = True)", "strict")


def test_parameters_have_their_place_and_their_text() -> None:
    found = helped("let a = src.model.Recognizer(|)")
    assert found is not None and found.summary == "Reads digits."
    way = found.ways[0]
    pieces = {way.label[start:end]: told for start, end, told in way.parameters}
    assert pieces["n_mels: int = 80"] == "how many bands."
    assert pieces["hidden_size: int = 192"] == "the width."


@pytest.mark.parametrize(
    "text",
    [
        "let a = |", "let a = [1, |]", "training { |", "# a.B(|", "let a = nowhere.at.All(|", "let a = src.text.clean() |",
        "training { model = src.model.Recognizer(layers = { a = | }) }",
    ],
)  # fmt: skip
def test_where_nothing_is_called_nothing_is_shown(text: str) -> None:
    assert helped(text) is None


def test_every_place_has_an_answer() -> None:
    for text in (RECIPE, RECIPE[:700] + RECIPE[731:]):
        view = seen(text, WORLD)
        found = [signature_help(view, place) for place in range(0, len(text), 3)]
        assert any(each is not None for each in found)
        assert all(each.parameter in {*each.ways[each.active].names, ""} or each.parameter for each in found if each)


# -- docstrings ---------------------------------------------------------------------------------------------------------------

GOOGLE = """\
Trains.

A second paragraph.

Args:
    lr (float, optional): learning rate
        (default: 1e-3)
    params, more: several: with a colon

    *rest: what is left

Returns:
    nothing: at all
"""

NUMPY = """\
Trains.

Parameters
----------
lr : float, optional
    learning rate
params
    what to train

Returns
-------
loss : float
"""

SPHINX = """\
Trains :class:`~torch.nn.Module`.

:param lr: learning rate
    of the optimizer
:type lr: float
:param dict params: what to train
:returns: nothing
"""


def test_three_styles_of_docstrings() -> None:
    found = read(GOOGLE)
    assert found.summary == "Trains."
    assert found.parameters == {
        "lr": "learning rate (default: 1e-3)", "params": "several: with a colon", "more": "several: with a colon",
        "rest": "what is left",
    }  # fmt: skip
    assert read(NUMPY).parameters == {"lr": "learning rate", "params": "what to train"}
    found = read(SPHINX)
    assert found.summary == "Trains `Module`."
    assert found.parameters == {"lr": "learning rate of the optimizer", "params": "what to train"}


def test_docstrings_are_read_from_the_text() -> None:
    reading = reader(WORLD)
    assert described(reading, "src.many.gain").parameters == {
        "max_db": "the largest change, in decibels", "floor": "the lowest level",
    }  # fmt: skip
    module = WORLD.module("src.text")
    assert module is not None
    assert docstring(reading, module, 1) == "Makes a text plain."
    assert docstring(reading, module, 99) == "" and docstring(reading, module, 2) == ""
    assert described(reading, "nowhere.at.All").summary == ""


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    return 1\n", "def f(a,\n      b='x)'):\n    # why\n\n    'Says.'\n", "class A: ...\n'no'\n",
        "def f(", "class A:\n    f'no {1}'\n", "class A:\n    b'no'\n", "def f():\n    '''open\n",
    ],
)  # fmt: skip
def test_only_a_docstring_is_one(text: str) -> None:
    world = MemoryWorld({"m": text})
    module = world.module("m")
    assert module is not None
    assert docstring(reader(world), module, 1) == ("Says." if "Says" in text else "")


def test_long_texts_are_cut() -> None:
    assert plain("word " * 400).endswith("…") and len(plain("word " * 400)) <= 600
    assert plain("see :func:`a.b` and ``c``") == "see `b` and `c`"


@pytest.mark.parametrize(
    ("python", "recipe"),
    [
        ("1e-3", "1e-3"), ("-1", "-1"), ("True", "true"), ("None", "null"), ("'a'", '"a"'), ("(0.9, 0.98)", "[0.9, 0.98]"),
        ("'${x}\"'", '"$${x}\\""'), ("float('inf')", ""), ("1e999", ""), ("{}", ""), ("x", ""), ("[None, f]", ""),
    ],
)  # fmt: skip
def test_defaults_as_a_recipe_writes_them(python: str, recipe: str) -> None:
    assert literal(python) == recipe
