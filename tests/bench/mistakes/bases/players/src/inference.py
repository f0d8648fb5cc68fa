"""From mel spectra to speech."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.model import Generator


class Speaker:
    """A trained generator."""

    def __init__(self, checkpoint: str | Path, generator: Generator) -> None:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        prefix = "model.generator."
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        generator.load_state_dict(own)
        self.generator = generator.eval()

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.generator(torch.from_numpy(mel)[None])[0].numpy()


def to_wav(data: dict[str, Any], model_output: np.ndarray, idx: int) -> dict[str, Any]:
    """The speech that was made."""
    return {"utt_id": data["utt_id"], "wav": model_output}
