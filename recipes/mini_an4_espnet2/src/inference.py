"""From speech to text with ESPnet2's own beam search."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from espnet2.bin.asr_inference import Speech2Text


class BeamSearch:
    """ESPnet2's `Speech2Text`, which answers with the best text alone.

    Scores are those of the attention decoder and of CTC together (Watanabe et al., "Hybrid CTC/Attention Architecture
    for End-to-End Speech Recognition", 2017).

    Args:
        config: The `config.yaml` that the training wrote.
        weights: The weights of the model, as `AverageCheckpointsCallback` writes them.
        beam_size: How many hypotheses are kept.
        ctc_weight: The part of CTC in the score, from 0 to 1.
        device: Where to compute; a GPU if there is one, by default.

    Raises:
        FileNotFoundError: There is no such file.
    """

    def __init__(
        self,
        config: str | Path,
        weights: str | Path,
        beam_size: int = 10,
        ctc_weight: float = 0.3,
        device: str | None = None,
    ) -> None:
        for path in (config, weights):
            if not Path(path).is_file():
                raise FileNotFoundError(f"{path} is not there: run the stage train first")
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._search = Speech2Text(
            asr_train_config=str(config), device=device, beam_size=beam_size, ctc_weight=ctc_weight
        )
        # Speech2Text would unpickle whatever the file holds; here it can only be tensors.
        state = torch.load(weights, map_location=device, weights_only=True)
        self._search.asr_model.load_state_dict(state)

    def __call__(self, speech: npt.NDArray[np.float32] | torch.Tensor) -> str:
        """Recognize one utterance.

        Args:
            speech: float32[time], at the sampling rate of the training.
        """
        text, _tokens, _ids, _hypothesis = self._search(speech)[0]
        return text or ""


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, str]:
    """What is written of one utterance: its name, what was recognized, and what was said."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
