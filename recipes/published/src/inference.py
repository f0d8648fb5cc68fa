"""The trained model for inference, and what is written for each utterance."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from src.model import DigitReader
from src.text import decode


class Reader:
    """Loads a checkpoint; called with float32[time] at 16 kHz, it returns the digits that it hears."""

    def __init__(self, checkpoint: str, bands: int, hidden_size: int) -> None:
        self.model = DigitReader(bands, hidden_size).eval()
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        self.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})

    @torch.inference_mode()
    def __call__(self, speech: np.ndarray[Any, Any] | torch.Tensor) -> str:
        wave = torch.as_tensor(speech, dtype=torch.float32)[None]
        scores, _ = self.model.scores(wave, torch.tensor([wave.shape[1]]))
        return decode(scores[0].argmax(-1).tolist())


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """One line of `hyp.scp` and one of `ref.scp`."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
