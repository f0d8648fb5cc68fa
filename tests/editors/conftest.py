"""What the tests of editors have in common."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from editors.neovim.driver import Neovim

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"


@pytest.fixture
def neovim(tmp_path: Path) -> Iterator[Neovim]:
    """A Neovim of its own, in a home of its own. It and all that it started are gone when the test ends."""
    program = shutil.which("nvim")
    if program is None:
        pytest.skip("without Neovim; `python tests/editors/install.py` installs it")
    driver = Neovim(program, tmp_path / "home")
    yield driver
    driver.close()
