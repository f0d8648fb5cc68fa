"""A value is only called refused where every call with it comes to the line that refuses it."""

from __future__ import annotations

import pytest

from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES


def codes_of(python: str, call: str) -> list[str]:
    world = MemoryWorld({**MODULES, "src.here": python})
    text = f"recipe r {{ system = espnet3.systems.base.system.BaseSystem }}\nconfig own {{ it = src.here.{call} }}\n"
    unused = {"ESP0205"}
    return [each.code.id for each in compile(Source("r.esp", text), world).diagnostics if each.code.id not in unused]


REFUSAL = "    if mode not in {0}:\n        raise ValueError(mode)\n"
FUNCTION = "def f(mode, early=True):\n"


def test_a_value_that_is_refused() -> None:
    assert codes_of(FUNCTION + REFUSAL.format("('a', 'b')"), 'f(mode = "c")') == ["ESP0415"]
    assert codes_of("MODES = ['a', 'b']\n" + FUNCTION + REFUSAL.format("MODES"), 'f(mode = "c")') == ["ESP0415"]


@pytest.mark.parametrize(
    "python",
    [
        FUNCTION + "    if early:\n        return\n" + REFUSAL.format("('a', 'b')"),
        FUNCTION + "    mode = mode.lower().strip('_')\n" + REFUSAL.format("('a', 'b', 'c')"),
        "MODES = {'a': 1}\nMODES['c'] = 2\n" + FUNCTION + REFUSAL.format("MODES"),
        "MODES = ['a']\ndef add(mode):\n    MODES.append(mode)\nadd('c')\n" + FUNCTION + REFUSAL.format("MODES"),
        "MODES = {'a'}\nMODES |= {'c'}\n" + FUNCTION + REFUSAL.format("MODES"),
    ],
    ids=["behind a return", "changed before", "a key is added", "an item is added", "joined with more"],
)
def test_a_value_that_may_be_taken(python: str) -> None:
    mode = "C" if "lower" in python else "c"

    assert codes_of(python, f'f(mode = "{mode}")') == []


def test_a_pydantic_model_makes_a_number_of_text() -> None:
    assert codes_of("from pydantic import BaseModel\nclass M(BaseModel):\n    size: int\n", 'M(size = "3")') == []


def test_a_class_method_makes_the_class_that_was_asked() -> None:
    python = (
        "class A:\n    def __init__(self, a): ...\n    @classmethod\n    def make(cls, **k):\n        return cls(**k)\n"
        "class B(A):\n    def __init__(self, b): ...\n"
    )

    assert codes_of(python, "B.make(b = 1)") == []
    assert codes_of(python, "A.make(b = 1)") == ["ESP0403", "ESP0402"]
