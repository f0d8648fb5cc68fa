"""What holds for all tests."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor write what the user's own esp3c remembers."""
    os.environ["ESP3C_CACHE_DIR"] = str(tmp_path_factory.mktemp("esp3c-cache"))
