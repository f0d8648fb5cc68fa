"""The measuring of speed works, and what it measures grows in proportion."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest


def script() -> ModuleType:
    path = Path(__file__).with_name("check_speed.py")
    spec = importlib.util.spec_from_file_location("check_speed", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_speed"] = module
    spec.loader.exec_module(module)
    return module


def test_the_script_prints_its_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = script()
    monkeypatch.setattr(module, "cold_start", partial(module.cold_start, times=1))

    assert module.main(["150", "300"]) == 0

    shown = capsys.readouterr().out
    assert "lines/s" in shown
    assert "times as long" in shown
    assert "cold: `python -c pass`" in shown


def test_a_recipe_of_the_length_that_was_asked_for() -> None:
    for lines in (200, 1000):
        assert script().recipe(lines).count("\n") == pytest.approx(lines, rel=0.3)


def test_time_grows_in_proportion() -> None:
    """By the best of several looks at both, in turns: what else runs on the machine makes single ones longer."""
    module = script()
    small, large = (module.Source("recipe.esp", module.recipe(lines)) for lines in (600, 2400))
    looks = [
        [module.seconds(partial(module.compile, each, module.WORLD), times=1) for each in (small, large)]
        for _ in range(7)
    ]
    first, second = (min(each) for each in zip(*looks, strict=True))

    assert module.compile(large, module.WORLD).ok
    assert second / first < 1.6 * large.line_count / small.line_count
