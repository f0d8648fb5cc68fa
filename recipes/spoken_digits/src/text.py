"""Text to symbols and back, one symbol a character."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from src.model import BLANK


class CharTokens:
    """Replaces a sample's `text` with the numbers of its characters: a `preprocessor`.

    The characters of `vocabulary` are numbered from 1; 0 is the blank of CTC. A model therefore needs
    `vocab_size = len(vocabulary) + 1`.

    Args:
        vocabulary: All characters that texts may have, each once.

    Raises:
        ValueError: A character stands twice in `vocabulary`.
    """

    def __init__(self, vocabulary: str) -> None:
        twice = sorted({character for character in vocabulary if vocabulary.count(character) > 1})
        if twice:
            raise ValueError(f"vocabulary {vocabulary!r} has {twice[0]!r} twice; each character stands once")
        self.vocabulary = vocabulary
        self._numbers = {character: number for number, character in enumerate(vocabulary, BLANK + 1)}

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `text` as int64[characters].

        Raises:
            ValueError: The text has a character that the vocabulary lacks.
        """
        text = sample["text"]
        unknown = sorted(set(text) - set(self.vocabulary))
        if unknown:
            raise ValueError(
                f"the text {text!r} of {sample.get('utt_id', 'a sample')} has {unknown[0]!r}, which is not in "
                f"the vocabulary {self.vocabulary!r}"
            )
        numbers = [self._numbers[character] for character in text]
        return {**sample, "text": np.array(numbers, dtype=np.int64)}

    def decode(self, numbers: Iterable[int]) -> str:
        """The text whose characters have these numbers."""
        return "".join(self.vocabulary[number - BLANK - 1] for number in numbers)
