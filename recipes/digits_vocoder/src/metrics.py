"""How far made speech is from recorded speech."""

from pathlib import Path

import soundfile
import torch

from espnet3.components.metrics.base_metric import BaseMetric

from src.mel import LogMel


class MelDistance(BaseMetric):
    """The mean absolute distance of log mel spectra over all frames of a test set, in dB.

    The window is twice that of the training, so that the model is not measured by its own loss.

    Args:
        ref_key: The field with the recorded sound, a WAV file an utterance.
        hyp_key: The field with the made sound.
        n_mels: Number of mel bands.
    """

    def __init__(self, ref_key: str = "recorded", hyp_key: str = "made", n_mels: int = 60) -> None:
        self.ref_key = ref_key
        self.hyp_key = hyp_key
        self.n_mels = n_mels

    def __call__(self, data: dict[str, Path], test_name: str, output_dir: Path) -> dict[str, float]:
        """Measure one test set.

        Raises:
            ValueError: The two files of an utterance differ in their rate or length.
        """
        total, count = 0.0, 0
        for utt_id, paths in self.iter_inputs(data, self.ref_key, self.hyp_key):
            reference, rate = soundfile.read(paths[self.ref_key], dtype="float32")
            made, made_rate = soundfile.read(paths[self.hyp_key], dtype="float32")
            if rate != made_rate or reference.shape != made.shape:
                raise ValueError(
                    f"{utt_id}: {paths[self.ref_key]} has {len(reference)} samples at {rate} Hz, "
                    f"{paths[self.hyp_key]} {len(made)} at {made_rate} Hz; only the same can be compared"
                )
            mel = LogMel(rate, self.n_mels, hop=128, n_fft=512)
            distance = (mel(torch.from_numpy(made)[None]) - mel(torch.from_numpy(reference)[None])).abs()
            total += float(distance.sum())
            count += distance.numel()
        # Natural logarithms of magnitudes, in decibels.
        return {"mel_distance_db": 20 / 2.302585092994046 * total / count if count else float("nan")}
