"""From speech to a command."""

from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch

from src.model import Small


class Listener:
    """A trained recogniser."""

    def __init__(self, checkpoint: str | Path, tokenizer: str | Path, width: int = 128) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
        self.model = Small(self.pieces.get_piece_size() + 1, width)
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        self.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})

    def __call__(self, speech: np.ndarray) -> str:
        best = self.model.scores(torch.from_numpy(speech)[None])[0].argmax(-1).unique_consecutive()
        return str(self.pieces.decode([int(number) - 1 for number in best if number]))


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, Any]:
    """A line of each file."""
    output = {"utt_id": data["utt_id"], "hyp": model_output}
    output["ref"] = data["text"]
    return output
