"""The first digit of a clip, by a trained checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from src.model import FirstDigit

_PREFIX = "model."


class Classifier:
    """A trained `FirstDigit` that answers with a digit.

    Args:
        checkpoint: What the training wrote: a Lightning checkpoint.
        length: Of a clip, in samples, as the model was trained with.
        hidden_size: Of the trained model.

    Raises:
        FileNotFoundError: There is no such checkpoint.
    """

    def __init__(self, checkpoint: str | Path, length: int, hidden_size: int) -> None:
        if not Path(checkpoint).is_file():
            raise FileNotFoundError(f"{checkpoint} is not there: run the stage train first")
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        self.length = length
        self.model = FirstDigit(length=length, hidden_size=hidden_size)
        weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
        self.model.load_state_dict(weights)
        self.model.eval()

    @torch.no_grad()
    def __call__(self, speech: npt.NDArray[np.float32]) -> str:
        """Classify one clip, float32[time]."""
        clip = torch.zeros(self.length)
        given = torch.as_tensor(np.asarray(speech, dtype=np.float32))[: self.length]
        clip[: len(given)] = given
        return str(int(self.model.scores(clip[None]).argmax()))


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """What is written of one clip: its name, what was heard, and what was said."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
