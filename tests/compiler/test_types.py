"""Annotations as types, and values of a recipe against them."""

from __future__ import annotations

import pytest

from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld

HEAD = """\
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Optional, Tuple, TypedDict, TypeVar, Union
import torch.nn as nn

T = TypeVar("T")
Size = Union[int, Tuple[int, int]]
Mode = Literal["linear", "cubic"]

class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Word(enum.StrEnum):
    A = enum.auto()

class Shape(TypedDict):
    width: int

class Part(nn.Module): ...
class Other: ...
class Called:
    def __call__(self, x): ...

def helper(x): ...
LIMIT = 3
"""

OTHERS = {"torch.nn": "from torch.nn.modules.module import Module\n", "torch.nn.modules.module": "class Module: ...\n"}

FITS = [
    ("int", "3"), ("float", "3"), ("float", "1e-3"), ("bool", "true"), ("str", '"a"'), ("str", '"${seed} a"'),
    ("int | None", "null"), ("Optional[int]", "null"), ("Optional[int]", "3"), ("Union[int, str]", '"a"'),
    ('Literal["a", "b"]', '"a"'), ("Literal[1, 2]", "2"), ("Mode", '"cubic"'), ("Mode | None", "null"),
    ("Sequence[int]", "[1, 2]"), ("List[float]", "[1, 2.5]"), ("list", '[1, "a"]'), ("Iterable[str]", '"abc"'),
    ("Tuple[int, str]", '[1, "a"]'), ("tuple[int, ...]", "[1, 2, 3]"), ("Size", "3"), ("Size", "[3, 5]"),
    ("Dict[str, int]", "{ a = 1 }"), ("Mapping[str, Any]", '{ a = "b" }'), ("dict", "{ }"), ("Shape", "{ width = 3 }"),
    ("Path", '"a/b"'), ("str | Path", '"a"'), ("Callable", "src.here.helper"), ("Callable[[int], int]", "partial src.here.helper()"),
    ("Callable", "src.here.Called()"), ("nn.Module", "src.here.Part()"), ("type[nn.Module]", "src.here.Part"),
    ("Color", '"red"'), ("Color", '"RED"'), ("Annotated[int, 3]", "3"), ("'int'", "3"), ("T", '"anything"'),
    ("Any", "3"), ("object", "[1]"), ("'Nowhere'", "3"), ("int", "null"), ("float", "16kHz"), ("List[List[int]]", "[[1], [2]]"),
]  # fmt: skip

WRONG = [
    ("int", '"3"'), ("int", "true"), ("int", "3.5"), ("float", "true"), ("float", '"1e-3"'), ("bool", "1"), ("bool", '"yes"'),
    ("str", "3"), ("int | None", '"a"'), ("Union[int, str]", "1.5"), ("Union[int, str]", "[1]"), ('Literal["a", "b"]', '"c"'),
    ("Literal[1, 2]", "3"), ("Literal[1]", "true"), ("Mode", '"cubics"'), ("Sequence[int]", '[1, "a"]'), ("List[str]", '"abc"'),
    ("List[float]", "{ a = 1 }"), ("Tuple[int, str]", "[1]"), ("Tuple[int, int]", '[1, "a"]'), ("Size", '"3"'),
    ("Size", "[1, 2, 3]"), ("Dict[str, int]", "[1]"), ("Dict[str, int]", '{ a = "b" }'), ("Shape", "{ heigth = 3 }"),
    ("Shape", "{ }"), ("Shape", '{ width = "a" }'), ("Path", "3"), ("Callable", '"relu"'), ("Callable", "3"),
    ("nn.Module", "src.here.Other()"), ("nn.Module", "3"), ("nn.Module", '"relu"'), ("nn.Module", "src.here.Part"),
    ("type[nn.Module]", "src.here.Part()"), ("type[nn.Module]", "src.here.Other"), ("Color", '"green"'), ("int", "src.here.helper"),
    ("str", "src.here.Part()"), ("Annotated[int, 3]", '"a"'), ("'int'", '"a"'), ("List[List[int]]", "[[1], 2]"),
]  # fmt: skip


def codes(annotation: str, value: str, default: str = "") -> list[str]:
    text = HEAD + f"def target(*, a: {annotation}{' = ' + default if default else ''}): ...\n"
    if value == "null" and not default and "None" not in annotation and "Optional" not in annotation:
        text = HEAD + f"def target(*, a: {annotation} = None): ...\n"
    world = MemoryWorld({**OTHERS, "src.here": text})
    recipe = (
        f"recipe r {{ system = nothing.at.All seed = 1 }}\ntraining {{ fit {{ x = src.here.target(a = {value}) }} }}\n"
    )
    found = compile(Source("recipe.esp", recipe), world).diagnostics
    return [each.code.id for each in found if each.code.id.startswith("ESP04")]


@pytest.mark.parametrize("annotation, value", FITS)
def test_a_value_that_fits(annotation: str, value: str) -> None:
    assert codes(annotation, value) == []


@pytest.mark.parametrize("annotation, value", WRONG)
def test_a_value_that_does_not_fit(annotation: str, value: str) -> None:
    assert codes(annotation, value) == ["ESP0404"]


@pytest.mark.parametrize(
    "annotation, default, value, expected",
    [
        ("float", '"auto"', '"auto"', []),
        ("int", "None", "null", []),
        ("int", "3", "null", ["ESP0404"]),
        ("Mode", '"linear"', '"nearest"', ["ESP0404"]),
    ],
)
def test_the_default_is_always_taken(annotation: str, default: str, value: str, expected: list[str]) -> None:
    assert codes(annotation, value, default) == expected


def test_a_link_is_followed_to_the_value_that_it_stands_for() -> None:
    world = MemoryWorld({**OTHERS, "src.here": HEAD + "def target(a: int): ...\n"})
    recipe = 'recipe r { system = nothing.at.All }\ntraining { fit { x = src.here.target(a = fit.y)  y = "3" } }\n'

    found = [each for each in compile(Source("recipe.esp", recipe), world).diagnostics if each.code.id == "ESP0404"]

    assert [each.primary.span.text for each in found] == ["fit.y"]
