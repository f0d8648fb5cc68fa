"""Correct calls on the libraries that recipes use get no diagnostic.

The calls stand in `tests/fixtures/calls`, a recipe a library. Each was made for real, or bound to the signature that the
installed library has.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from esp3c.disk import DiskWorld, read_recipe
from esp3c.pipeline import compile
from support.packages import SEARCH, readable

CALLS = Path(__file__).parent.parent / "fixtures" / "calls"
RECIPES = sorted(CALLS.glob("*.esp"))
# A call on a Python path: at least one dot before the bracket.
CALL = re.compile(r"\b[A-Za-z_]\w*(?:\.\w+)+\(")


def skip_without(library: str) -> None:
    if library in ("transformers", "speechbrain") and not readable(library):
        pytest.skip(f"the sources of {library} are not installed")


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_correct_calls_have_no_diagnostic(path: Path) -> None:
    skip_without(path.stem)

    result = compile(read_recipe(path, path.name), DiskWorld(CALLS, SEARCH))

    said = [
        f"{path.name}:{each.primary.span.source.line_of(each.primary.span.start)}: {each.code.id} {each.message}"
        for each in result.diagnostics
    ]
    assert said == []


def test_there_are_many_calls() -> None:
    counts = {path.stem: len(CALL.findall(path.read_text(encoding="utf-8"))) for path in RECIPES}

    assert sum(counts.values()) >= 120
    assert all(count >= 15 for count in counts.values()), counts


def sources() -> dict[str, ModuleType]:
    """The modules of a recipe, taken away."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "src"}


@pytest.fixture
def own_src(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`src` is that of the calls, for this test alone."""
    kept = sources()
    monkeypatch.syspath_prepend(str(CALLS))
    yield
    sources()
    sys.modules.update(kept)


def test_the_objects_are_made_for_real(own_src: None) -> None:
    """What the recipes of torch, torchmetrics and Hydra call for exists once their YAML is instantiated."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from esp3c.emit.files import Layout

    for name in ("hydra", "torch", "torchmetrics"):
        path = CALLS / f"{name}.esp"
        result = compile(read_recipe(path, path.name), DiskWorld(CALLS), (), Layout(path.name))
        (text,) = [file.text for file in result.files if file.path == "conf/calls.yaml"]
        config = OmegaConf.merge({"exp_dir": "exp"}, OmegaConf.create(text))
        for key, value in config.items():
            if OmegaConf.is_dict(value):
                assert instantiate(value) is not None, key
