"""Reads the recordings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.utils.data


class Commands(torch.utils.data.Dataset[dict[str, Any]]):
    """One split: `utt_id`, `speech` as float32[time], `text`."""

    def __init__(self, split: str, commands: Sequence[str], recipe_dir: str | Path = ".") -> None:
        self.paths = sorted((Path(recipe_dir) / "data" / split).glob("*.npy"))
        self.commands = list(commands)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self.paths[index]
        return {
            "utt_id": path.stem,
            "speech": np.load(path).astype(np.float32),
            "text": self.commands[index % len(self.commands)],
        }
