"""The average of the best checkpoints as one file of weights."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Checkpoint

from esp3rt.files import replacing
from espnet3.components.callbacks.epoch_boundary import EpochBoundary

_LOG = logging.getLogger(__name__)
_PREFIX = "model."


class AverageCheckpointsCallback(EpochBoundary, Checkpoint):
    """Writes `<metric>.ave_<n>best.pth` whenever the best checkpoints have changed.

    The file is the model's own state dict (without the prefix `model.`): floating-point entries are the
    mean over the best checkpoints, others are those of the best one. n is how many the criterion keeps;
    until there are so many, the mean is over those that there are. In the name, "/" of the metric becomes
    ".".

    Args:
        output_dir: Where the files are written.
        best_ckpt_callbacks: Callbacks with `monitor`, `save_top_k`, `mode` and `best_k_models`.
    """

    def __init__(self, output_dir: str | Path, best_ckpt_callbacks: Sequence[Any]) -> None:
        self.output_dir = Path(output_dir)
        self.best_ckpt_callbacks = list(best_ckpt_callbacks)
        self._averaged: dict[str, tuple[str, ...]] = {}

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Average what has changed."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._average(trainer)

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Average what has changed."""
        self._average(trainer)

    def _average(self, trainer: Any) -> None:
        if not trainer.is_global_zero:
            return
        for callback in self.best_ckpt_callbacks:
            scores = {path: float(score) for path, score in callback.best_k_models.items()}
            ranked = tuple(sorted(scores, key=scores.__getitem__, reverse=callback.mode == "max"))
            if not ranked or self._averaged.get(callback.monitor) == ranked:
                continue
            name = f"{callback.monitor.replace('/', '.')}.ave_{callback.save_top_k}best.pth"
            with replacing(self.output_dir / name, "wb") as handle:
                torch.save(average_checkpoints(ranked), handle)
            self._averaged[callback.monitor] = ranked
            _LOG.info("%s: the mean of %s", name, ", ".join(Path(path).name for path in ranked))


def average_checkpoints(paths: Sequence[str | Path]) -> dict[str, torch.Tensor]:
    """Average the weights of checkpoints.

    Args:
        paths: Lightning checkpoints of one model, the best first.

    Returns:
        The state dict of the inner model.
    """
    sums: dict[str, torch.Tensor] = {}
    first: dict[str, torch.Tensor] = {}
    for path in paths:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        weights = {name.removeprefix(_PREFIX): value for name, value in loaded.items()}
        if not first:
            first = {name: value.clone() for name, value in weights.items()}
        for name, value in weights.items():
            if value.is_floating_point():
                value = value.double()
                sums[name] = sums[name] + value if name in sums else value
    return {name: (sums[name] / len(paths)).to(value.dtype) if name in sums else value for name, value in first.items()}
