"""What is done to the training set's samples, anew in each epoch."""

import random
from typing import Any

import numpy as np


class RandomGain:
    """Makes a sample's speech louder or softer by a random amount: a `transform`.

    It draws from Python's own generator, which every data loading worker is given a seed of its own for, so that
    the same run draws the same gains.

    Args:
        max_db: The most by which the level changes, up or down, in dB.

    Raises:
        ValueError: `max_db` is negative.
    """

    def __init__(self, max_db: float) -> None:
        if max_db < 0:
            raise ValueError(f"max_db = {max_db}: the range of levels cannot be negative")
        self.max_db = max_db

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `speech`, float32[time], at another level."""
        gain = 10.0 ** (random.uniform(-self.max_db, self.max_db) / 20.0)
        return {**sample, "speech": np.asarray(sample["speech"], dtype=np.float32) * np.float32(gain)}
