"""The measuring of runners works, and compares what gives the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def test_the_script_prints_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """All three, each beside its reference; that both give the same is asserted inside."""
    spec = importlib.util.spec_from_file_location("bench_shards", Path(__file__).with_name("shards.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.main(["--quick"]) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "goal" in line]
    assert lines == ["overhead", "infer", "2"]
