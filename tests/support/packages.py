"""Packages whose sources tests read without importing them, in a folder that Python does not look into."""

from __future__ import annotations

import sys
from pathlib import Path

READ = Path(sys.prefix) / "read"
TESTS = Path(__file__).resolve().parent.parent
SEARCH = [*(path for path in sys.path if path and Path(path).resolve() != TESTS), str(READ)]
"""Where a world of the tests looks for modules."""


def readable(package: str) -> bool:
    """Whether the sources of a package are installed, to be imported or only to be read."""
    return any((Path(folder) / package / "__init__.py").is_file() for folder in SEARCH)
