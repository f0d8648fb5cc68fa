"""Batches of clips."""

from typing import Any

import numpy as np
import torch


def stack_clips(samples: list[dict[str, Any]]) -> tuple[list[str], dict[str, torch.Tensor]]:
    """The names, and `spectrum` as float32[batch, 64] with `label` as int64[batch]."""
    return [sample["clip_id"] for sample in samples], {
        "spectrum": torch.from_numpy(np.stack([sample["spectrum"] for sample in samples])),
        "label": torch.tensor([sample["label"] for sample in samples]),
    }
