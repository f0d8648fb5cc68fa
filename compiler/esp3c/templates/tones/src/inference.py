"""The trained model for inference, and what is written for each item."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from src.model import ToneReader
from src.text import WordTokens


class Reader:
    """Loads a checkpoint; called with a wave, it returns the words that it reads."""

    def __init__(self, checkpoint: str, notes: str, hidden_size: int, vocab_size: int) -> None:
        self.tokens = WordTokens(notes)
        self.model = ToneReader(hidden_size, vocab_size).eval()
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        self.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})

    @torch.inference_mode()
    def __call__(self, speech: np.ndarray[Any, Any] | torch.Tensor) -> str:
        scores = self.model.scores(torch.as_tensor(speech, dtype=torch.float32)[None])
        return self.tokens.decode(scores[0].argmax(-1).tolist())


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """One line of `hyp.scp` and one of `ref.scp`."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
