"""Literals of Python by their text, each worked out once: `ast.literal_eval` leaves garbage behind that refers to itself."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[bool, Any]:
    try:
        return True, ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        return False, str(error)


def literal(text: str) -> Any:
    """The value that a text means. It belongs to all who ask: a list is not to be changed.

    Raises:
        ValueError: the text is no literal.
    """
    fine, value = _read(text)
    if not fine:
        raise ValueError(value)
    return value
