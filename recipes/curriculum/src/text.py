"""Text to symbols and back, one symbol a character."""

from collections.abc import Iterable
from typing import Any

import numpy as np

BLANK = 0


class CharTokens:
    """Gives a sample the numbers of its characters in the place of its text: a `preprocessor`.

    Args:
        vocabulary: All characters, each once; they are numbered from 1, and 0 is the blank of CTC.
    """

    def __init__(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `text` as int64[characters].

        Raises:
            ValueError: The text has a character that the vocabulary lacks.
        """
        numbers = [self.vocabulary.index(character) + 1 for character in sample["text"]]
        return {**sample, "text": np.array(numbers, dtype=np.int64)}

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of a sequence of frames' symbols: repeats are one, blanks are none."""
        text, before = [], BLANK
        for number in numbers:
            if number not in (BLANK, before):
                text.append(self.vocabulary[number - 1])
            before = number
        return "".join(text)
