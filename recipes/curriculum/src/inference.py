"""From speech to text with a trained model."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from src.model import CTCReader
from src.text import CharTokens


class Recognizer:
    """A trained reader that answers with text.

    Args:
        model: The model with its weights.
        vocabulary: The characters that it was trained with.
    """

    def __init__(self, model: CTCReader, vocabulary: str) -> None:
        self.model = model.eval()
        self.tokens = CharTokens(vocabulary)

    @torch.no_grad()
    def __call__(self, speech: npt.NDArray[np.float32]) -> str:
        """The text of one utterance, float32[time]."""
        log_probs, _ = self.model.encode(torch.from_numpy(speech)[None], torch.tensor([len(speech)]))
        return self.tokens.decode(log_probs[0].argmax(-1).tolist())


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """What is written of one utterance: its name, what was recognized, and what was said."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
