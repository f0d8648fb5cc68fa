"""From clips to a batch."""

from typing import Any

import numpy as np
import torch


def stack_clips(samples: list[dict[str, Any]], length: int) -> tuple[list[str], dict[str, torch.Tensor]]:
    """Stack clips, each cut or filled up to the same length.

    Args:
        samples: Each with `utt_id`, `speech` (float32[time]) and `label` (int).
        length: Of a clip, in samples.

    Returns:
        The names, and `speech`, float32[B, length], and `label`, int64[B].
    """
    speech = torch.zeros(len(samples), length)
    for row, sample in zip(speech, samples, strict=True):
        clip = torch.as_tensor(np.asarray(sample["speech"], dtype=np.float32))[:length]
        row[: len(clip)] = clip
    label = torch.tensor([sample["label"] for sample in samples], dtype=torch.int64)
    return [sample["utt_id"] for sample in samples], {"speech": speech, "label": label}
