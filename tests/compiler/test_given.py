"""Functions that give back what they are given are seen through only where that is plain."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from esp3c.check.flow_given import given_back
from esp3c.disk import DiskWorld
from esp3c.python.reader import reader
from esp3c.python.types import Instance, type_of
from esp3c.schema.contracts import PARTS
from esp3c.world import MemoryWorld

TEXT = """
from typing import TypeVar, Any
import torch
from torch.nn import Module

M = TypeVar("M", bound=torch.nn.Module)
N = TypeVar("N", bound="Module")
Any2 = TypeVar("Any2", int, str)

def by_type(path: str, model: M) -> M: ...
def two_of_them(model: M, teacher: M) -> M: ...
def of_another(model: M) -> N: ...
def by_body(model, passes=2):
    for _ in range(passes):
        model.reset()
    return model
def either(model, other, first):
    return model if first else other
def two_returns(model, other):
    if other:
        return other
    return model
def changed(model):
    model = Module(model)
    return model
def unpacked(model):
    model, rest = model
    return model
def walrus(model):
    if (model := find(model)):
        pass
    return model
def a_constant():
    return model
def yielding(model):
    yield model
    return model
@cached(3)
def decorated(model: M) -> M:
    return model
"""

MODULES = {
    "src.giving": TEXT,
    "torch": "from torch import nn\n",
    "torch.nn": "from torch.nn.modules.module import Module\n",
    "torch.nn.modules.module": "class Module: ...\n",
}


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("by_type", "model"),
        ("two_of_them", ""),
        ("of_another", ""),
        ("by_body", "model"),
        ("either", ""),
        ("two_returns", ""),
        ("changed", ""),
        ("unpacked", ""),
        ("walrus", ""),
        ("a_constant", ""),
        ("yielding", ""),
        ("decorated", ""),
    ],
)
def test_what_a_function_gives_back(name: str, parameter: str) -> None:
    assert given_back(reader(MemoryWorld(MODULES)), f"src.giving.{name}") == parameter


def test_a_bound_type_variable_takes_what_it_is_bound_to() -> None:
    """`M = TypeVar("M", bound=Module)` takes modules; one without a bound may take anything."""
    reading = reader(MemoryWorld(MODULES))
    module = reading.world.module("src.giving")
    assert module is not None

    assert type_of(reading, module, "M") == type_of(reading, module, "N") == Instance("torch.nn.modules.module.Module")
    assert not isinstance(type_of(reading, module, "Any2"), Instance)


def test_functions_around_models_are_as_the_schema_has_them(tmp_path: Path) -> None:
    """What the compiler knows of `load_pretrained` and `freeze` is what they are."""
    from espnet3.components.modeling import pretrained

    reading = reader(DiskWorld(tmp_path))
    for path, arguments in PARTS.items():
        function = getattr(pretrained, path.rpartition(".")[2])

        assert given_back(reading, path) == "model"
        assert set(arguments) <= set(inspect.signature(function).parameters)
