"""Modules that do more than their class says: hooks, decorators, functions that are handed the object. Nothing is known then."""

from __future__ import annotations

import pytest

from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES

RECIPE = """
recipe r { system = espnet3.systems.asr.system.ASRSystem }
dataset digits { class = flow.data.Digits }
training {
  dataset { train = [digits(split = "a")]  valid = [digits(split = "b")] }
  dataloader { collate_fn = espnet3.components.data.collate.CommonCollateFn() }
  model = MODEL
  optimizer = torch.optim.AdamW()
}
stages { train }
"""

HEAD = """
from torch.nn import Module

def add_extra(module):
    module.extra = Module()

def attach(module, name, child):
    setattr(module, name, child)

def changed(cls):
    old = cls.forward
    def forward(self, **batch):
        return old(self, sound=batch["speech"])
    cls.forward = forward
    return cls

def growing(cls):
    old = cls.__init__
    def init(self):
        old(self)
        self.extra = Module()
    cls.__init__ = init
    return cls

def registered(cls):
    KNOWN[cls.__name__] = cls
    return cls

def grown(model):
    model.extra = Module()
    return model

def as_it_is(model):
    print(model)
    return model
"""

PARTS = """
class Net(Module):
    def __init__(self):
        super().__init__()
        self.encoder = Module()
        {0}
    def forward(self, speech, **batch):
        return self.encoder(speech)
"""

CALLED = """
class Net(Module):
    def __init__(self):
        super().__init__()
        self.encoder = Module()
        {0}
    def forward(self, sound):
        return self.encoder(sound)
"""

WRAPPER = """
class Around(Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        {0}
    def forward(self, **batch):
        return self.net(**batch)
"""


def said(module: str, model: str) -> list[str]:
    """The errors of a training of a model."""
    world = MemoryWorld({**MODULES, "src.net": HEAD + module})
    return [each.code.id for each in compile(Source("recipe.esp", RECIPE.replace("MODEL", model)), world).diagnostics]


def freeze(made: str) -> str:
    return f'espnet3.components.modeling.pretrained.freeze(model = {made}, only = ["extra"])'


@pytest.mark.parametrize(
    "line",
    [
        "add_extra(self)",
        "attach(self, 'extra', Module())",
        "self._modules['extra'] = Module()",
        "self.__dict__['extra'] = Module()",
        "for each in [self]: each.register_module('extra', Module())",
    ],
)
def test_a_part_may_be_stored_under_any_name_where_the_object_is_handed_on(line: str) -> None:
    assert said(PARTS.format(line), freeze("src.net.Net()")) == []


def test_a_part_that_a_decorator_or_a_function_adds_may_be_there() -> None:
    decorated = PARTS.format("pass").replace("class Net", "@growing\nclass Net")

    assert said(decorated, freeze("src.net.Net()")) == []
    assert said(PARTS.format("pass"), freeze("src.net.grown(model = src.net.Net())")) == []


@pytest.mark.parametrize(
    "line", ["pass", "super(Net, self).__init__()", "assert isinstance(self, Module)", "self.apply(len)"]
)
def test_a_part_that_is_not_there_is_found_in_a_class_that_is_plain(line: str) -> None:
    registered = PARTS.format(line).replace("class Net", "@registered\nclass Net")

    assert said(PARTS.format(line), freeze("src.net.Net()")) == ["ESP0422"]
    assert said(registered, freeze("src.net.Net()")) == ["ESP0422"]
    assert said(PARTS.format(line), freeze("src.net.as_it_is(model = src.net.Net())")) == ["ESP0422"]


OTHERWISE = [
    CALLED.format("self.register_forward_pre_hook(lambda m, a, k: ((), {'sound': k['speech']}), with_kwargs=True)"),
    CALLED.format("self.forward = self.other"),
    CALLED.format("pass")
    + "    def __call__(self, **batch):\n        return super().__call__(sound=batch['speech'])\n",
    CALLED.format("pass").replace("class Net", "@changed\nclass Net"),
]


@pytest.mark.parametrize("module", OTHERWISE)
def test_what_a_batch_must_hold_is_not_known_where_a_call_is_changed(module: str) -> None:
    """Neither of the model itself, nor of one behind a wrapper."""
    assert said(module, "src.net.Net()") == []
    assert said(module + WRAPPER.format("pass"), "src.net.Around(net = src.net.Net())") == []


@pytest.mark.parametrize(
    "line", ["add_extra(self)", "setattr(self, 'net', Module())", "self._modules['net'] = Module()"]
)
def test_what_a_wrapper_calls_is_not_known_where_it_may_be_replaced(line: str) -> None:
    assert said(CALLED.format("pass") + WRAPPER.format(line), "src.net.Around(net = src.net.Net())") == []


def test_what_a_batch_lacks_is_found_where_calls_are_plain() -> None:
    module = CALLED.format("pass") + WRAPPER.format("pass")

    assert said(module, "src.net.Net()") == ["ESP0507"]
    assert said(module, "src.net.Around(net = src.net.Net())") == ["ESP0507"]
