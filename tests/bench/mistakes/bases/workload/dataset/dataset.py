"""Reads the clips."""

from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset


class Sounds(Dataset[dict[str, Any]]):
    """One split: `clip_id`, `waveform` as float32[time], and `label`."""

    def __init__(self, split: str = "train", recipe_dir: str | Path = ".") -> None:
        self.clips = sorted((Path(recipe_dir) / "data" / split).glob("*.npz"))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        with np.load(self.clips[index]) as clip:
            return {"clip_id": self.clips[index].stem, "waveform": clip["waveform"], "label": int(clip["label"])}
