"""Words to numbers and back. 0 is CTC's blank, so the first word is 1."""

from __future__ import annotations

from typing import Any

import numpy as np


class WordTokens:
    """A preprocessor: replaces `text` by the numbers of its words, int64 (words,)."""

    def __init__(self, notes: str) -> None:
        self.words = notes.split()

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        numbers = [self.words.index(word) + 1 for word in sample["text"].split()]
        return {**sample, "text": np.array(numbers, dtype=np.int64)}

    def decode(self, numbers: list[int]) -> str:
        """The text of CTC's best path: repeats and blanks are left out."""
        kept = [now for now, before in zip(numbers, [0, *numbers], strict=False) if now and now != before]
        return " ".join(self.words[number - 1] for number in kept)
