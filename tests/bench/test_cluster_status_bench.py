"""The measuring of `status` works, on a run that is as it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cluster_status", Path(__file__).with_name("cluster_status.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_prints_its_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds, and both ratios; that `status` shows the run as it was made is asserted inside."""
    module = script()
    measure = module.measure
    monkeypatch.setattr(module, "measure", lambda shards: measure(shards, runs=1))

    assert module.main(["1280"]) == 0

    line = capsys.readouterr().out
    assert line.startswith("status of 1280 shards  ")
    assert " x python -c pass  " in line
    assert line.endswith(" x reading the journals\n")
