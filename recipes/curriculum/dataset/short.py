"""The spoken digits that are easy: those of few digits."""

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from espnet3.components.data.dataset_module import load_dataset_module


class ShortDigits(Dataset[dict[str, Any]]):
    """The utterances of a split of the spoken digits that have few digits.

    Args:
        split: A split of the spoken digits.
        most_digits: How many digits an utterance may have.
        recipe_dir: The recipe's folder, which holds `data`.

    Raises:
        ValueError: No utterance is that short.
    """

    def __init__(self, split: str, most_digits: int, recipe_dir: str | Path = ".") -> None:
        self._digits = load_dataset_module("spoken_digits/asr", recipe_dir).Dataset(split=split, recipe_dir=recipe_dir)
        texts = [self._digits[index]["text"] for index in range(len(self._digits))]
        self._chosen = [index for index, text in enumerate(texts) if len(text.split()) <= most_digits]
        if not self._chosen:
            raise ValueError(f"no utterance of {split} has {most_digits} digits or fewer")

    def __len__(self) -> int:
        """The number of short utterances."""
        return len(self._chosen)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item number `index`: `utt_id`, `speech` float32[time] and `text`."""
        sample: dict[str, Any] = self._digits[self._chosen[index]]
        return sample
