"""Objects that come from class methods and factory functions are followed to their class, and only where it is plain."""

from __future__ import annotations

import pytest

from esp3c.check.flow_made import made_by
from esp3c.python.reader import reader
from esp3c.world import MemoryWorld

TEXT = """
import torch
from torch.nn import Module

class Net(Module):
    def __init__(self, size): ...
    def forward(self, speech):
        return speech
    @classmethod
    def small(cls, size=2):
        return cls(size)
    @classmethod
    def loaded(cls, path) -> "Net":
        return torch.load(path)
    @classmethod
    def itself(cls) -> Self:
        net = read()
        return net
    @staticmethod
    def at_rest() -> Module:
        net = Net(3)
        net = net.to("cuda")
        return net.eval()
    def method(self) -> Net:
        return self

class Wide(Net): ...

class Outline(Module):
    def forward(self, speech):
        raise NotImplementedError

def make(kind):
    return Net.small(3)

def chosen(kind):
    return Net(1) if kind == "net" else Outline()

def either(kind) -> Net:
    if kind:
        return Net(1)
    return Wide(2)

def registered(kind) -> Net:
    return REGISTRY[kind](3)

def given(cls) -> Net:
    return cls(3)

def outlined(path) -> Outline:
    return torch.load(path)

def inside():
    from nets import Wide
    return Wide(4)

@unknown
def decorated():
    return Net(1)

def endless():
    return endless()
"""

PLAIN = {
    "Net": "nets.Net", "Net.small": "nets.Net", "Wide.small": "nets.Wide", "Net.loaded": "nets.Net", "Net.itself": "nets.Net",
    "Net.at_rest": "nets.Net", "make": "nets.Net", "inside": "nets.Wide",
}  # fmt: skip


def world() -> MemoryWorld:
    nn = "from torch.nn.modules.module import Module\n"
    return MemoryWorld({"nets": TEXT, "torch": "", "torch.nn": nn, "torch.nn.modules.module": "class Module: ...\n"})


@pytest.mark.parametrize("name", PLAIN)
def test_a_factory_leads_to_its_class(name: str) -> None:
    assert made_by(reader(world()), f"nets.{name}") == PLAIN[name]


@pytest.mark.parametrize(
    "name", ["Net.method", "chosen", "either", "registered", "given", "outlined", "decorated", "endless", "absent"]
)
def test_a_factory_that_chooses_or_hides_its_class_says_nothing(name: str) -> None:
    assert made_by(reader(world()), f"nets.{name}") == ""
