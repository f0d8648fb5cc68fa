"""From speech to digits with any of the trained models."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from espnet3.components.modeling.pretrained import load_pretrained

from src.lora import LoraModel
from src.model import BLANK, Reader


class Decoder(Protocol):
    """What knows the text of symbols."""

    def decode(self, numbers: list[int]) -> str:
        """The text of these symbols."""


@dataclass(frozen=True)
class Hypothesis:
    """What was heard: symbols, their text, and the mean probability of the frames' best symbols."""

    numbers: list[int]
    text: str
    confidence: float


class Recognizer:
    """A trained model that answers with a hypothesis.

    Args:
        model: The model as the training made it, but for its weights. Corrections of low rank are merged into it.
        checkpoint: What the training wrote.
        tokens: The preprocessor of the training, which knows the symbols.
    """

    def __init__(self, model: nn.Module, checkpoint: str, tokens: Decoder) -> None:
        load_pretrained(model, checkpoint)
        merged = model.merge() if isinstance(model, LoraModel) else model
        assert isinstance(merged, Reader)
        self.model = merged.eval()
        self.tokens = tokens

    @torch.no_grad()
    def __call__(self, speech: Any) -> Hypothesis:
        """Read one utterance, float32[time].

        The best symbol of each frame is taken, repeats and blanks are left out.
        """
        samples: Tensor = torch.as_tensor(speech, dtype=torch.float32)
        log_probs, _ = self.model.encode(samples[None], torch.tensor([len(samples)]))
        best, path = log_probs[0].max(-1)
        path = path.unique_consecutive()
        numbers = path[path != BLANK].tolist()
        return Hypothesis(numbers, self.tokens.decode(numbers), float(best.exp().mean()))


def build_output(data: dict[str, Any], model_output: Hypothesis, idx: int) -> dict[str, str]:
    """What is written of one utterance: its name, what was recognized and how surely, and what was said."""
    return {
        "utt_id": data["utt_id"],
        "hyp": model_output.text,
        "ref": data["text"],
        "confidence": f"{model_output.confidence:.3f}",
    }
