"""Noise for training."""

import random
from typing import Any

import numpy as np


class AddNoise:
    """White noise at a level of `snr_db`, in a share `probability` of the samples."""

    def __init__(self, snr_db: float, probability: float = 1.0) -> None:
        self.snr_db = snr_db
        self.probability = probability

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        if random.random() >= self.probability:
            return sample
        speech = np.asarray(sample["speech"], dtype=np.float32)
        scale = float(speech.std()) * 10.0 ** (-self.snr_db / 20.0)
        noise = np.random.default_rng().standard_normal(len(speech)).astype(np.float32)
        return {**sample, "speech": speech + scale * noise}


def reverse(sample: dict[str, Any]) -> dict[str, Any]:
    """Speech played backwards."""
    return {**sample, "speech": sample["speech"][::-1]}
