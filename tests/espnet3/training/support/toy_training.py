"""A recipe small enough to be trained, killed and taken up again many times in a test."""

import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset, IterableDataset

from espnet3.components.modeling.optimization_spec import OptimizationStep

# How many calls of the model, in training or not, are left until the process gets a signal.
_calls_left: int | None = None
_in_training = True
_signal = signal.SIGKILL
# What ends a process, or asks it to stop, by the name of the signal.
_SIGNALS = {"call": signal.SIGKILL, "terminate": signal.SIGTERM, "again": signal.SIGUSR2}


class ToyDataset(Dataset[Any]):
    """Noise of differing lengths with a target that can be read off it."""

    def __init__(self, split: str, size: int = 24) -> None:
        self.split = split
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        draw = np.random.default_rng([index, len(self.split)])
        speech = draw.standard_normal((int(draw.integers(5, 40)), 4)).astype(np.float32)
        target = np.float32(3 * speech[:, 0].mean())
        return {"utt_id": f"{self.split}_{index}", "speech": speech, "target": target, "text": "a b"}


class ToyStream(IterableDataset[Any]):
    """The same, one after the other, and nobody knows how many."""

    def __init__(self, split: str, size: int = 24) -> None:
        self.items = ToyDataset(split, size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.items[index] for index in range(len(self.items)))


class Jitter:
    """Adds noise from all three generators that a recipe may use."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        speech = sample["speech"] * (1 + 0.1 * random.random())
        speech = speech + 0.1 * np.random.standard_normal(speech.shape).astype(np.float32)
        speech = speech + 0.1 * torch.randn(speech.shape).numpy()
        return {**sample, "speech": speech.astype(np.float32)}


class ToyModel(torch.nn.Module):
    """Predicts the target from the mean over time; has dropout, and dies when it is told to."""

    def __init__(self, hidden: int = 8, dropout: float = 0.3) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, hidden)
        self.dropout = torch.nn.Dropout(dropout)
        self.outer = torch.nn.Linear(hidden, 1)

    def predict(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> torch.Tensor:
        frames = torch.arange(speech.shape[1])[None] < speech_lengths[:, None]
        mask = frames.float()[..., None]
        hidden = self.dropout(torch.tanh(self.inner(speech)))
        return ((self.outer(hidden) * mask).sum(1) / mask.sum(1))[:, 0]

    def forward(self, speech: torch.Tensor, speech_lengths: torch.Tensor, target: torch.Tensor, **batch: Any) -> Any:
        _signal_when_told(self.training)
        error = self.predict(speech, speech_lengths) - target
        return (error**2).mean(), {"mae": error.abs().mean().detach()}, len(speech)


class TwoPartModel(ToyModel):
    """Two losses for two optimizers; the second runs through the parameters of the first."""

    def forward(self, speech: torch.Tensor, speech_lengths: torch.Tensor, target: torch.Tensor, **batch: Any) -> Any:
        _signal_when_told(self.training)
        error = self.predict(speech, speech_lengths) - target
        return {
            "loss": [
                OptimizationStep((error**2).mean(), "inner"),
                OptimizationStep(error.abs().mean(), "outer"),
            ],
            "mae": error.abs().mean(),
            "weight": len(speech),
        }


class ActsInside(Callback):
    """Does something in the middle of a validation."""

    def on_validation_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Nothing that could be seen."""


def toy_config(exp_dir: Path | str, **changes: Any) -> DictConfig:
    """Give the config of a training of three epochs; `changes` are dotted keys with `__` for the dots."""
    config = OmegaConf.create(
        {
            "exp_dir": str(exp_dir),
            "stats_dir": f"{exp_dir}/stats",
            "seed": 7,
            "dataset": {
                "_target_": "espnet3.components.data.data_organizer.DataOrganizer",
                "train": [
                    {
                        "_target_": "toy_training.ToyDataset",
                        "split": "train",
                        "transform": {"_target_": "toy_training.Jitter"},
                    }
                ],
                "valid": [{"_target_": "toy_training.ToyDataset", "split": "valid", "size": 8}],
            },
            "model": {"_target_": "toy_training.ToyModel"},
            "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
            "dataloader": {
                "collate_fn": {"_target_": "espnet3.components.data.collate.CommonCollateFn"},
                "train": {"batch_bins": 700, "shuffle": True},
                "valid": {"batch_size": 4},
            },
            "trainer": {"max_epochs": 3, "accelerator": "cpu", "logger": False},
            "best_model_criterion": [["valid/loss", 2, "min"]],
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


TWO_OPTIMIZERS: dict[str, Any] = {
    "optimizer": None,
    "model": {"_target_": "toy_training.TwoPartModel"},
    "optimizers": {
        "inner": {
            "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
            "params": "inner",
            "accum_grad_steps": 2,
        },
        "outer": {
            "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9},
            "params": "outer",
            "step_every_n_iters": 2,
            "gradient_clip_val": 1.0,
        },
    },
    "schedulers": {
        "inner": {
            "scheduler": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9},
            "interval": "step",
        },
        "outer": {
            "scheduler": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0},
            "interval": "epoch",
        },
    },
}


def run_training(config: dict[str, Any], kill: tuple[str, int] | None = None) -> None:
    """Train in this process.

    Args:
        config: A plain config.
        kill: What ends the process by SIGKILL: `("call", n)` the n-th call of the model in training (`terminate`
            in the place of `call`: by SIGTERM; `again`: it gets SIGUSR2; with `_validation` behind the word: the n-th call in
            a validation, the two before the training included),
            `("before_rename", n)` and `("after_rename", n)` the n-th file that is written.
    """
    from espnet3.components.callbacks import learning_curve
    from espnet3.systems.base.training import train

    torch.set_num_threads(1)
    # Most of the time of so small a training would go into its picture.
    learning_curve.draw_learning_curve = lambda rows: b"a picture"
    # The data workers of a process that came from a fork server would each import everything anew.
    multiprocessing.set_start_method("fork", force=True)
    if kill is not None:
        _arm(*kill)
    train(OmegaConf.create(config))


def _arm(what: str, count: int) -> None:
    global _calls_left, _in_training, _signal
    name, _, where = what.partition("_")
    if name in _SIGNALS:
        _calls_left, _in_training, _signal = count, where != "validation", _SIGNALS[name]
        return
    from esp3rt import files

    rename, seen = os.replace, 0

    class DeadlyOs:
        """The module `os`, but for a rename that ends in death."""

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def replace(self, source: Any, target: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == count and what == "before_rename":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    files.os = DeadlyOs()  # type: ignore[assignment]


def _signal_when_told(training: bool) -> None:
    global _calls_left
    if _calls_left is None or training != _in_training:
        return
    _calls_left -= 1
    if _calls_left == 0:
        os.kill(os.getpid(), _signal)
