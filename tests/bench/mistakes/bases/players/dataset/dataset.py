"""Reads the clips."""

from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset


class Clips(Dataset[dict[str, Any]]):
    """One split: `utt_id`, `mel` as float32[frames, 40], `speech` as float32[time]."""

    def __init__(self, split: str, recipe_dir: str | Path = ".", crop: float | None = None) -> None:
        self.paths = sorted((Path(recipe_dir) / "data" / split).glob("*.npz"))
        self.crop = crop

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        with np.load(self.paths[index]) as arrays:
            return {"utt_id": self.paths[index].stem, "mel": arrays["mel"], "speech": arrays["speech"]}
