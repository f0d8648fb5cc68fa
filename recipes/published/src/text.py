"""Digits to numbers and back. 0 is CTC's blank, so the digit 0 is 1."""

from __future__ import annotations

from typing import Any

import numpy as np

DIGITS = "0123456789"


class DigitTokens:
    """A preprocessor: replaces `text` ("4 0 7") by the numbers of its digits, int64 (digits,)."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        numbers = [DIGITS.index(digit) + 1 for digit in sample["text"].split()]
        return {**sample, "text": np.array(numbers, dtype=np.int64)}


def decode(numbers: list[int]) -> str:
    """The text of CTC's best path: repeats and blanks are left out."""
    kept = [now for now, before in zip(numbers, [0, *numbers], strict=False) if now and now != before]
    return " ".join(DIGITS[number - 1] for number in kept)
