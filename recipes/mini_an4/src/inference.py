"""From speech to text with a trained checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from src.model import CTCRecognizer
from src.text import SentencepieceTokens

_PREFIX = "model."


class Recognizer:
    """A trained `CTCRecognizer` that answers with text.

    Args:
        checkpoint: What the training wrote: a Lightning checkpoint.
        tokenizer: The SentencePiece model that the training used.
        n_mels: Of the trained model.
        hidden_size: Of the trained model.
        vocab_size: Of the trained model.
        device: Where to compute; a GPU if there is one, by default.

    Raises:
        FileNotFoundError: There is no such checkpoint, or no such tokenizer.
        ValueError: The checkpoint is of another model, or `vocab_size` does not fit the tokenizer.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        tokenizer: str | Path,
        n_mels: int,
        hidden_size: int,
        vocab_size: int,
        device: str | None = None,
    ) -> None:
        self.tokens = SentencepieceTokens(tokenizer)
        if vocab_size != self.tokens.vocab_size:
            raise ValueError(
                f"vocab_size = {vocab_size}, but {tokenizer} has {self.tokens.vocab_size - 1} pieces, which with "
                f"the blank make {self.tokens.vocab_size} symbols"
            )
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
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
            speech: float32[time], at 16 kHz.
        """
        samples = torch.as_tensor(speech, dtype=torch.float32, device=self.device)
        lengths = torch.tensor([len(samples)], device=self.device)
        (symbols,) = self.model.recognize(samples[None], lengths)
        return self.tokens.decode(symbols)


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """What is written of one utterance: its name, what was recognized, and what was said."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}


def _weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint} is not there: run the stage train first")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
