"""Makes the clips."""

from pathlib import Path
from typing import Any

import numpy as np

from espnet3.components.data.dataset_builder import DatasetBuilder


class SoundsBuilder(DatasetBuilder):
    """Makes `clips` noises a split."""

    def is_source_prepared(self, **settings: Any) -> bool:
        return True

    def prepare_source(self, **settings: Any) -> None:
        pass

    def is_built(self, recipe_dir: str | Path = ".", clips: int = 100) -> bool:
        return (Path(recipe_dir) / "data" / "done").is_file()

    def build(self, recipe_dir: str | Path = ".", clips: int = 100) -> None:
        data = Path(recipe_dir) / "data"
        for split in ("train", "valid", "test"):
            (data / split).mkdir(parents=True, exist_ok=True)
            for number in range(clips):
                draw = np.random.default_rng([number, len(split)])
                waveform = draw.standard_normal(draw.integers(800, 1600)).astype(np.float32)
                np.savez(data / split / f"{split}{number:04d}.npz", waveform=waveform, label=number % 10)
        (data / "done").touch()
