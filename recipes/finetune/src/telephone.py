"""What a telephone leaves of speech."""

from typing import Any

import numpy as np


class Telephone:
    """Takes away all of a sample's speech that is not in the band of a telephone: a `transform`.

    Args:
        lowest: Lower end of the band, in Hz.
        highest: Its upper end, in Hz.
        sample_rate: Of the speech, in Hz.
    """

    def __init__(self, lowest: float = 300.0, highest: float = 3400.0, sample_rate: int = 16_000) -> None:
        if not 0 <= lowest < highest:
            raise ValueError(f"lowest = {lowest}: the band ends at {highest} Hz")
        self.lowest = lowest
        self.highest = highest
        self.sample_rate = sample_rate

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `speech`, float32[time], of the same length."""
        speech = sample["speech"]
        frequencies = np.fft.rfftfreq(len(speech), 1 / self.sample_rate)
        band = (frequencies >= self.lowest) & (frequencies <= self.highest)
        heard = np.fft.irfft(np.fft.rfft(speech) * band, len(speech))
        return {**sample, "speech": heard.astype(np.float32)}
