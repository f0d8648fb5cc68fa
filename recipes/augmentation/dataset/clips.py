"""Reads the clips that `builder` has built: an ordinary torch dataset that adds noise to what it gives."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from .audio import read_wav
from .builder import SPLITS, read_rows


class Clips(Dataset[dict[str, Any]]):
    """One split of the clips.

    An item is a dict with

    - `utt_id`: str,
    - `speech`: float32[time], 0.6 seconds at 8 kHz,
    - `text`: str, a digit.

    Args:
        split: `labelled`, `pseudo` (labelled by a machine), `valid` or `fast`.
        noisy: Whether an item gets white noise, anew each time: 10 to 30 dB below its power.
        recipe_dir: The recipe's folder, which holds `data`.

    Raises:
        ValueError: There is no such split.
        FileNotFoundError: The data has not been built.
    """

    def __init__(self, split: str, noisy: bool = False, recipe_dir: str | Path = ".") -> None:
        if split not in SPLITS:
            raise ValueError(f"Clips has no split {split!r}; it has {', '.join(SPLITS)}")
        self._folder = Path(recipe_dir) / "data" / "clips"
        self._rows = read_rows(self._folder, split)
        self.noisy = noisy

    def __len__(self) -> int:
        """The number of clips."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item number `index`."""
        row = self._rows[index]
        speech, _ = read_wav(self._folder / row["wav"])
        if self.noisy:
            level = float(np.sqrt(np.mean(speech**2))) * 10 ** (-random.uniform(10.0, 30.0) / 20.0)
            speech = speech + level * np.random.standard_normal(len(speech)).astype(np.float32)
        return {"utt_id": row["utt_id"], "speech": speech, "text": row["text"]}
