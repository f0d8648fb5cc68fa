"""From speech to its spectra and back to sound, with a trained checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from src.model import DigitsVocoder

_PREFIX = "model."


class Vocoder:
    """A trained `DigitsVocoder` that makes sound of an utterance's spectra.

    Args:
        checkpoint: What the training wrote: a Lightning checkpoint.
        sample_rate, n_mels, channels: Of the trained model.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint is of another model.
    """

    def __init__(self, checkpoint: str | Path, sample_rate: int, n_mels: int, channels: int) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = DigitsVocoder(sample_rate=sample_rate, n_mels=n_mels, channels=channels)
        try:
            self.model.load_state_dict(_weights(Path(checkpoint)))
        except RuntimeError as error:
            raise ValueError(
                f"{checkpoint} is not of a model with sample_rate = {sample_rate}, n_mels = {n_mels}, "
                f"channels = {channels}: {error}"
            ) from error
        self.model.to(self.device).eval()

    def __call__(self, speech: npt.NDArray[np.float32] | torch.Tensor) -> npt.NDArray[np.float32]:
        """float32[time] to float32[time], made of its spectra; the last frame's rest may be missing."""
        samples = torch.as_tensor(speech, dtype=torch.float32, device=self.device)
        made: npt.NDArray[np.float32] = self.model.synthesize(samples[None])[0].cpu().numpy()
        return made


def build_output(data: dict[str, Any], model_output: npt.NDArray[np.float32], idx: int) -> dict[str, Any]:
    """What is written of one utterance: its name, what was made, and what was recorded, of the same length."""
    recorded = np.asarray(data["speech"], dtype=np.float32)[: len(model_output)]
    return {"utt_id": data["utt_id"], "made": model_output, "recorded": recorded}


def _weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint} is not there: run the stage train first")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
