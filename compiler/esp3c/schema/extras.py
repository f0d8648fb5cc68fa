"""Packages that recipes may name and that need not be installed where they are checked."""

from __future__ import annotations

OPTIONAL_PACKAGES = {"espnet": "espnet", "espnet2": "espnet"}
"""Each package, with the extra that brings it. What is named of one that is not there is unchecked, not wrong: a recipe is
checked on other machines than those that train."""
