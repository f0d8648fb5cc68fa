"""What holds for all tests."""

from __future__ import annotations

import compileall
import gc
import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Hundreds of tests start Python: none of these processes need compile the project, also where bytecode is not kept."""
    if hasattr(config, "workerinput"):
        return
    for name in ("compiler", "runtime", "espnet3", "egs3"):
        compileall.compile_dir(ROOT / name, quiet=2, rx=re.compile("/templates/"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and all that they import stay to the end: the collector need not walk them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with trainings come first: at the end, one worker would wait for another's, or train for itself once more."""
    long = {item.path for item in items if item.get_closest_marker("training")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor write what the user's own esp3c remembers."""
    os.environ["ESP3C_CACHE_DIR"] = str(tmp_path_factory.mktemp("esp3c-cache"))
