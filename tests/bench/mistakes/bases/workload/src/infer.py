"""From a waveform to a tag."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.model import Tagger


class TrainedTagger:
    """A trained tagger."""

    def __init__(self, checkpoint: str | Path, n_tags: int, width: int = 64) -> None:
        self.model = Tagger(n_tags, width)
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        self.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        spectrum = torch.from_numpy(np.abs(np.fft.rfft(waveform, 127)).astype(np.float32))
        with torch.no_grad():
            return self.model.head(self.model.body(spectrum)).numpy()


def name_tag(data: dict[str, Any], model_output: np.ndarray, idx: int) -> dict[str, Any]:
    """The tag that was heard, the right one, and all scores."""
    return {
        "clip_id": data["clip_id"],
        "guess": int(model_output.argmax()),
        "truth": data["label"],
        "scores": model_output,
    }
