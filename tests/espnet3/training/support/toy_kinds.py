"""Kinds of toy trainings, by what must be taken up when they go on."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from toy_training import TWO_OPTIMIZERS, toy_config

KINDS: dict[str, dict[str, Any]] = {
    "epoch_scheduler": {
        "scheduler": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.5},
        "scheduler_interval": "epoch",
    },
    "plateau": {
        "scheduler": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0, "threshold": 0.9},
        "scheduler_interval": "epoch",
        "scheduler_monitor": "train/loss",
    },
    "steps_and_workers": {
        "scheduler": {
            "_target_": "torch.optim.lr_scheduler.OneCycleLR",
            "max_lr": "${optimizer.lr}",
            "total_steps": 100,
        },
        "dataloader__train__num_workers": 1,
        "trainer__accumulate_grad_batches": 2,
        "trainer__gradient_clip_val": 1.0,
    },
    "max_steps": {
        "scheduler": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.5},
        "scheduler_interval": "epoch",
        "trainer__max_steps": 10,
        "trainer__max_epochs": -1,
    },
    "two_optimizers": TWO_OPTIMIZERS,
    "stream": {
        "dataset__train": [
            {
                "_target_": "toy_training.ToyStream",
                "split": "train",
                "transform": {"_target_": "toy_training.Jitter"},
            }
        ],
        "dataloader__train": {"batch_size": 6, "batch_bins": None, "shuffle": None},
    },
    "validation_inside": {
        "trainer__val_check_interval": 2,
        "scheduler": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0, "threshold": 0.9},
        "scheduler_interval": "epoch",
        "scheduler_monitor": "valid/loss",
    },
    "validation_across": {"trainer__check_val_every_n_epoch": None, "trainer__val_check_interval": 3},
}


def plain(folder: Path, kind: str, **more: Any) -> dict[str, Any]:
    made = OmegaConf.to_container(toy_config(folder, **KINDS[kind], **more), resolve=True)
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}
