"""Two vocabularies for the same speech: digits, and the letters of their names."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from src.model import BLANK

DIGITS = "0123456789"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Digits:
    """Replaces a sample's `text` ("3 1 4") with one symbol a digit: a `preprocessor`."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `text` as int64[digits]."""
        return {**sample, "text": _numbers(sample["text"].replace(" ", ""), DIGITS)}

    def decode(self, numbers: Iterable[int]) -> str:
        """The digits of these symbols, with spaces between them."""
        return " ".join(DIGITS[number - BLANK - 1] for number in numbers)


class Letters:
    """Replaces a sample's `text` ("3 1 4") with the letters of what is said ("three one four"): a `preprocessor`.

    Args:
        alphabet: The letters of all names, and the space.
    """

    def __init__(self, alphabet: str = " efghinorstuvwxz") -> None:
        self.alphabet = alphabet

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `text` as int64[letters]."""
        said = " ".join(NAMES[int(digit)] for digit in sample["text"].split())
        return {**sample, "text": _numbers(said, self.alphabet)}

    def decode(self, numbers: Iterable[int]) -> str:
        """The words that these letters make; a name of a digit becomes the digit."""
        words = "".join(self.alphabet[number - BLANK - 1] for number in numbers).split()
        return " ".join(str(NAMES.index(word)) if word in NAMES else word for word in words)


def _numbers(text: str, symbols: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([symbols.index(symbol) + BLANK + 1 for symbol in text], dtype=np.int64)
