"""From speech to text with a trained checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from src.model import CTCRecognizer
from src.text import CharTokens

_PREFIX = "model."


class Recognizer:
    """A trained `CTCRecognizer` that answers with text.

    Args:
        checkpoint: What the training wrote: a Lightning checkpoint.
        vocab_size: Of the trained model.
        n_mels: Of the trained model.
        hidden_size: Of the trained model.
        vocabulary: The characters that the model was trained with.
        device: Where to compute; a GPU if there is one, by default.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint is of another model, or `vocab_size` does not fit `vocabulary`.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        vocab_size: int,
        n_mels: int = 80,
        hidden_size: int = 192,
        vocabulary: str = "0123456789 ",
        device: str | None = None,
    ) -> None:
        if vocab_size != len(vocabulary) + 1:
            raise ValueError(
                f"vocab_size = {vocab_size}, but the vocabulary {vocabulary!r} has {len(vocabulary)} characters "
                f"and the blank: {len(vocabulary) + 1} symbols"
            )
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.tokens = CharTokens(vocabulary)
        self.model = CTCRecognizer(n_mels=n_mels, hidden_size=hidden_size, vocab_size=vocab_size)
        try:
            self.model.load_state_dict(_weights(Path(checkpoint)))
        except RuntimeError as error:
            raise ValueError(
                f"{checkpoint} is not of a model with n_mels = {n_mels}, hidden_size = {hidden_size}, "
                f"vocab_size = {vocab_size}: {error}"
            ) from error
        self.model.to(self.device).eval()

    def __call__(self, speech: npt.NDArray[np.float32] | torch.Tensor) -> str:
        """Recognize one utterance.

        Args:
            speech: float32[time], at the training's sample rate.
        """
        samples = torch.as_tensor(speech, dtype=torch.float32, device=self.device)
        lengths = torch.tensor([len(samples)], device=self.device)
        (numbers,) = self.model.recognize(samples[None], lengths)
        return self.tokens.decode(numbers)


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """What is written of one utterance: its name, what was recognized, and what was said."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}


def _weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint} is not there: run the stage train first")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
