"""Short stretches of the utterances, which are all that a vocoder needs to see at once."""

import random
from typing import Any

import numpy as np


class Segment:
    """Cuts a stretch of `samples` out of an utterance's speech: a `transform`.

    It draws from Python's own generator, which every data loading worker is given a seed of its own for.

    Args:
        samples: How long the stretch is; shorter speech is continued by silence.
        shuffle: Whether the stretch is anywhere in the utterance, anew each time, or in its middle.

    Raises:
        ValueError: `samples` is no multiple of 64, the samples of one frame.
    """

    def __init__(self, samples: int, shuffle: bool) -> None:
        if samples < 64 or samples % 64:
            raise ValueError(f"samples = {samples}: a stretch has whole frames, of 64 samples each")
        self.samples = samples
        self.shuffle = shuffle

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return the utterance's name and `speech`, float32[samples]."""
        speech = np.asarray(sample["speech"], dtype=np.float32)
        speech = np.pad(speech, (0, max(0, self.samples - len(speech))))
        most = len(speech) - self.samples
        start = random.randint(0, most) if self.shuffle else most // 2
        return {"utt_id": sample["utt_id"], "speech": speech[start : start + self.samples]}
