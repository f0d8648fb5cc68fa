"""Spectra."""

from typing import Any

import numpy as np


def add_spectrum(sample: dict[str, Any]) -> dict[str, Any]:
    """Adds `spectrum`, the mean energy of 64 bands."""
    energies = np.abs(np.fft.rfft(sample["waveform"], 127)).astype(np.float32)
    return {
        "clip_id": sample["clip_id"],
        "waveform": sample["waveform"],
        "spectrum": energies,
        "label": sample["label"],
    }
