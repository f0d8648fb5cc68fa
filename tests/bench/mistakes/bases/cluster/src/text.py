"""Letters as numbers."""

from typing import Any

import numpy as np


class Letters:
    """Replaces `text` by the numbers of its letters; 0 is the blank."""

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        numbers = [self.alphabet.index(letter) + 1 for letter in sample["text"]]
        return {**sample, "text": np.array(numbers, dtype=np.int64)}

    def decode(self, numbers: list[int]) -> str:
        return "".join(self.alphabet[number - 1] for number in numbers if number)
