"""What one entry of a split does to its samples, and what all of them share."""

import random
from typing import Any

import numpy as np

from dataset.audio import at_speed, first_word, resampled

Sample = dict[str, Any]


def to_clip(sample: Sample, sample_rate: int, seconds: float, source_rate: int = 16_000) -> Sample:
    """Make a clip of a whole utterance: a transform for data of another sample rate.

    Args:
        sample: `speech`, float32[time], and `text`, its digits.
        sample_rate: Of the clip, in Hz.
        seconds: Its length.
        source_rate: Of the utterance, in Hz.
    """
    # No more than is kept is resampled.
    beginning = first_word(sample["speech"], source_rate, 1.1 * seconds)
    clip = first_word(resampled(beginning, source_rate, sample_rate), sample_rate, seconds)
    return {**sample, "speech": clip, "text": sample["text"].split()[0]}


def to_changed_clip(
    sample: Sample, sample_rate: int, seconds: float, max_speed: float, max_db: float, source_rate: int = 16_000
) -> Sample:
    """The same with another speed and another level, drawn anew each time.

    Args:
        sample: As for `to_clip`.
        sample_rate, seconds: Of the clip.
        max_speed: The largest change of the speed: 0.1 is from 0.9 to 1.1 times as fast.
        max_db: The largest change of the level, up or down.
        source_rate: Of the utterance, in Hz.
    """
    gain = 10.0 ** (random.uniform(-max_db, max_db) / 20.0)
    beginning = first_word(sample["speech"], source_rate, (1.2 + max_speed) * seconds)
    speech = at_speed(beginning, 1.0 + random.uniform(-max_speed, max_speed)) * np.float32(gain)
    return to_clip({**sample, "speech": speech}, sample_rate, seconds, source_rate)


class LabelAndDither:
    """The preprocessor of all splits: adds `label`, the digit as a number, and a little noise, as quantization has it.

    Args:
        dither: The standard deviation of the noise; a step of 16-bit audio is 3e-5.
    """

    def __init__(self, dither: float = 3e-5) -> None:
        self.dither = dither

    def __call__(self, sample: Sample) -> Sample:
        """Return `sample` with `label` (int) and dithered `speech`."""
        noise = np.random.standard_normal(len(sample["speech"])).astype(np.float32)
        return {**sample, "speech": sample["speech"] + np.float32(self.dither) * noise, "label": int(sample["text"])}
