"""The measuring of starts works, and measures what it says."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("startup", Path(__file__).with_name("startup.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_prints_its_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = script()
    measure = module.measure
    monkeypatch.setattr(module, "measure", lambda: measure(runs=1))

    assert module.main() == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "x python -c pass" in line]
    assert lines[0].startswith("python -c pass")
    assert {name for name in module.GOALS if any(line.startswith(name) and "goal" in line for line in lines)} == set(
        module.GOALS
    )


def test_what_is_called_unchanged_filled_and_empty_is_that(tmp_path: Path) -> None:
    """By what stands in the cache afterwards."""
    startup = script().Startup(tmp_path)
    commands = startup.commands()

    def entries(kind: str, folder: Path = startup.cache) -> set[str]:
        return {path.name for path in (folder / "esp3c" / kind).glob("*")}

    answers, modules = entries("check"), entries("module")
    assert answers
    assert modules
    commands["esp3c check, unchanged"]()
    assert (entries("check"), entries("module")) == (answers, modules)
    commands["esp3c check, filled"]()
    assert len(entries("check")) == len(answers) + 1
    assert entries("module") == modules
    commands["esp3c check, empty"]()
    assert set() < entries("module", startup.cache / f"empty{startup.count}") <= modules
    commands["esp3c check, off"]()
    assert len(entries("check")) == len(answers) + 1
    with pytest.raises(subprocess.CalledProcessError):
        startup.run(["false"], tmp_path)
