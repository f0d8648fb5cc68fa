"""What code refuses is read from it only where that is certain."""

from __future__ import annotations

import inspect
import random
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from esp3c.disk import DiskWorld
from esp3c.python.known import Known, Maybe, Row
from esp3c.python.reader import Reader
from esp3c.python.refusals import Given, refusal
from esp3c.world import MemoryWorld
from support.packages import SEARCH


def given(value: object, name: str) -> Maybe:
    if isinstance(value, list):
        return Known(Row(tuple(given(each, name) for each in value), "recipe"), frozenset({name}))
    return Known(value, frozenset({name}))


def refused(text: str, path: str = "m.f", /, **values: object) -> set[str] | None:
    found = refusal(
        Reader(MemoryWorld({"m": text})), path, Given({key: given(each, key) for key, each in values.items()})
    )
    return set(found.names) if found is not None else None


def function(*lines: str, parameters: str = "x, y=2") -> str:
    return f"LIMIT = 5\nKINDS = ('a', 'b')\ndef f({parameters}):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    "lines",
    [
        ("if x < 0: raise ValueError",),
        ("if not 0 <= x <= 1: raise ValueError",),
        ("assert x > 0",),
        ("if x >= 0:", "    return", "raise ValueError"),
        ("z = -x", "if z > LIMIT - 5: raise ValueError"),
        ("if isinstance(x, str) or x < y - 2: raise ValueError",),
        ("for each in (1, x):", "    assert each > 0"),
        ("if len([x, y]) == 2 and any(each < 0 for each in (x, y)): raise ValueError",),
        ("if unknown(y) and x > 0: pass", "if x < 0: raise ValueError"),
        ("x = abs(x) if x > 0 else x", "assert min(x, 3) >= 0"),
        ("if x == 0: pass", "elif x > 0: pass", "else: raise ValueError"),
    ],
    ids=str,
)
def test_what_is_certain_is_refused(lines: tuple[str, ...]) -> None:
    assert refused(function(*lines), x=-1) is not None
    assert refused(function(*lines), x=1) is None


@pytest.mark.parametrize(
    "lines",
    [
        ("x = clean(x)", "if x < 0: raise ValueError"),
        ("if ready(): return", "if x < 0: raise ValueError"),
        ("try:", "    if x < 0: raise ValueError", "except ValueError: x = 0"),
        ("if ready() and x < 0: raise ValueError",),
        ("if ready(): x = 1", "if x < 0: raise ValueError"),
        ("global x", "if x < 0: raise ValueError"),
        ("with suppress(ValueError):", "    if x < 0: raise ValueError"),
        ("def g():", "    if x < 0: raise ValueError"),
        ("if x < 0: yield 1", "raise ValueError"),
        ("while ready():", "    x += 1", "assert x > 0"),
        ("if (x := 3) < 0: raise ValueError",),
        ("limits = [3]", "limits.append(x)", "assert len(limits) == 1"),
        ("if isinstance(x, Number) and x < 0 and odd(x): raise ValueError",),
    ],
    ids=str,
)
def test_what_is_not_certain_is_not(lines: tuple[str, ...]) -> None:
    assert refused(function(*lines), x=-1) is None


def test_the_parameters_that_matter_are_named() -> None:
    text = function("if x and y <= 0: raise ValueError", parameters="x, y=0, z=1")

    assert refused(text, x=True) == {"x", "y"}
    assert refused(text, x=True, y=1) is None
    assert refused(text, x=True, y=-1, z=3) == {"x", "y"}


CLASSES = """
class Base:
    least = 0
    def __init__(self, rate, **options):
        self.rate = rate
        self.look()
    def look(self):
        if self.rate < self.least: raise ValueError(f"rate is {self.rate}")

class Plain(Base):
    def __init__(self, size=3, **options):
        super().__init__(**options)
        self.size = size

class Higher(Base):
    least = 5

class Held(Base):
    @property
    def rate(self): return 1
    @rate.setter
    def rate(self, value): ...

class Changed(Base):
    def look(self): self.rate = 1

class Made:
    def __new__(cls, rate): return 3
    def __init__(self, rate): assert rate > 0

def make(rate): return Plain(rate=rate)
"""


def test_bases_methods_and_attributes_are_followed() -> None:
    assert refused(CLASSES, "m.Base", rate=-1) == {"rate"}
    assert refused(CLASSES, "m.Plain", size=1, rate=-1) == {"rate"}
    assert refused(CLASSES, "m.make", rate=-1) == {"rate"}
    assert refused(CLASSES, "m.Higher", rate=3) == {"rate"}
    assert refused(CLASSES, "m.Plain", rate=3) is None
    assert refused(CLASSES, "m.Higher", rate=6) is None
    assert refused(CLASSES, "m.Held", rate=-1) is None
    assert refused(CLASSES, "m.Changed", rate=-1) is None
    assert refused(CLASSES, "m.Made", rate=-1) is None


VALUES: list[Any] = [
    0, 1, 2, 3, 4, 8, -1, 0.0, 0.1, 0.5, 1.0, 1.5, -0.5, True, False, None, "a", "mean", "min", "max", "same", "zeros",
    "cos", "step", "epoch", "macro", [0.9, 0.99], [1, 2], [3], [],
]  # fmt: skip


def test_what_is_said_to_be_refused_is(tmp_path: Path) -> None:
    """Objects of torch and Lightning, made for real with values by chance."""
    import lightning.pytorch.callbacks as callbacks
    import torch
    from omegaconf import OmegaConf

    chance, reading, count, wrong = random.Random(7), Reader(DiskWorld(tmp_path, SEARCH)), 0, []
    for module in (torch.nn, torch.optim, torch.optim.lr_scheduler, callbacks):
        for name, made in sorted(vars(module).items()) * 2:
            if not inspect.isclass(made) or name.startswith("_"):
                continue
            try:
                parameters = inspect.signature(made).parameters.values()
            except (TypeError, ValueError):
                continue
            layer = torch.nn.Linear(2, 2)
            late = {"params": list(layer.parameters()), "optimizer": torch.optim.SGD(layer.parameters(), lr=0.1)}
            supplied = {each.name: late[each.name] for each in parameters if each.name in late}
            named = [each for each in parameters if each.kind in (1, 3) and each.name not in late]
            values = {
                each.name: chance.choice(VALUES)
                for each in named
                if each.default is each.empty or chance.random() < 0.25
            }
            known = {key: given(each, key) for key, each in values.items()}
            if refusal(reading, f"{module.__name__}.{name}", Given({**known, **dict.fromkeys(supplied)})) is None:
                continue
            count += 1
            real = {key: OmegaConf.create(each) if isinstance(each, list) else each for key, each in values.items()}
            with warnings.catch_warnings(), suppress(Exception):
                warnings.simplefilter("ignore")
                made(**supplied, **real)
                wrong.append((name, values))
    assert not wrong
    assert count > 25
