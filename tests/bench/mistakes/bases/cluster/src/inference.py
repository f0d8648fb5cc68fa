"""From speech to text."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.model import DeepCTC
from src.text import Letters


class Recognizer:
    """A trained model that answers with text."""

    def __init__(self, checkpoint: str | Path, model: DeepCTC, alphabet: str) -> None:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
        self.model = model.eval()
        self.letters = Letters(alphabet)

    def __call__(self, speech: np.ndarray) -> str:
        samples = torch.as_tensor(speech)[None]
        scores, _ = self.model.encode(samples, torch.tensor([samples.shape[1]]))
        return self.letters.decode(scores[0].argmax(-1).unique_consecutive().tolist())


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """A line of each file."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
