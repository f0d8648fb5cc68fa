"""What holds for all tests."""

from __future__ import annotations

import compileall
import gc
import os
import re
from collections.abc import Generator
from importlib.util import find_spec

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Hundreds of tests start Python: none of these processes need compile the project, also where bytecode is not kept."""
    if hasattr(config, "workerinput"):
        return
    for name in ("esp3c", "esp3rt", "espnet3", "egs3"):
        spec = find_spec(name)
        assert spec is not None and spec.submodule_search_locations
        for place in spec.submodule_search_locations:
            compileall.compile_dir(place, quiet=2, rx=re.compile("templates"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and all that they import stay to the end: the collector need not walk them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor write what the user's own esp3c remembers."""
    os.environ["ESP3C_CACHE_DIR"] = str(tmp_path_factory.mktemp("esp3c-cache"))
