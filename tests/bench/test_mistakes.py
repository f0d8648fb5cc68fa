"""Seeded mistakes are found at the right line with the right cause, and correct recipes get no diagnostic."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from esp3c.diagnostics import FAMILIES


def script() -> ModuleType:
    path = Path(__file__).parent / "mistakes" / "run.py"
    spec = importlib.util.spec_from_file_location("seeded_mistakes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["seeded_mistakes"] = module
    spec.loader.exec_module(module)
    return module


RUN = script()
MISTAKES = RUN.mistakes()
BASES = sorted({each.base for each in MISTAKES if each.possible})


@pytest.fixture(scope="module")
def bench() -> Any:
    """One for all: the modules of the libraries are read once."""
    return RUN.Bench()


def test_there_are_mistakes_of_every_family() -> None:
    seeded = Counter(each.family for each in MISTAKES)

    assert len(MISTAKES) >= 140
    assert set(seeded) == set(FAMILIES.values())
    assert min(seeded.values()) >= 10


def test_names_of_mistakes_are_unique() -> None:
    assert [name for name, count in Counter((each.family, each.name) for each in MISTAKES).items() if count > 1] == []


def test_every_edit_changes_its_recipe() -> None:
    """Also those of packages that are not installed."""
    for each in MISTAKES:
        assert each.edits and each.says, each.name
        for file in {edit.file for edit in each.edits}:
            text = (each.recipe.parent / file).read_text(encoding="utf-8")
            assert RUN.mutated(each, file, text) != text
        recipe = RUN.mutated(each, each.recipe.name, each.recipe.read_text(encoding="utf-8"))
        assert RUN.expected_lines(each, recipe)


@pytest.mark.parametrize("base", BASES)
def test_a_correct_recipe_has_no_diagnostic(bench: Any, base: str) -> None:
    assert [each.message for each in bench.original(base)] == []


def test_mistakes_are_found_at_their_line_with_their_cause(bench: Any) -> None:
    """Every third of them, which takes a third of the time; `make bench` goes through all."""
    results = [bench.check(each) for each in MISTAKES[::3] if each.possible]

    right = sum(each.right_cause for each in results)

    assert right >= RUN.NEEDED * len(results), "\n" + RUN.table(results)


def test_a_mistake_that_is_not_there_is_not_counted(bench: Any) -> None:
    """The judge is strict: without an edit nothing is found, and a word that no message has makes another cause."""
    (mistake,) = RUN.read(
        "keys", "[one]\nbase  spoken_digits\n-   seed    = 2026\n+   sead    = 2026\nsays  seed, xyzzy\n"
    )
    found = bench.check(mistake)

    assert (found.found, found.right_line, found.right_cause) == (True, True, False)

    mistake.says = [["seed"]]
    assert bench.check(mistake).right_cause
    mistake.families = ["safety"]
    assert not bench.check(mistake).right_cause
    mistake.lines = ["dataset digits {"]
    assert not bench.check(mistake).right_line
