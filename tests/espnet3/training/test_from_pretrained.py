"""Trainings that begin with the weights of another one, and that are taken up without it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from toy_training import toy_config

from espnet3.components.data.stats_environment import build_env, to_config
from espnet3.components.trainers.resume import ResumeError
from espnet3.systems.base.training import train

pytestmark = pytest.mark.training


def weights(exp_dir: Path, name: str) -> torch.Tensor:
    """One weight of a training's last checkpoint."""
    state: dict[str, torch.Tensor] = torch.load(exp_dir / "last.ckpt", weights_only=True)["state_dict"]
    return state[name]


def finetuning(exp_dir: Path, base: Path, **changes: Any) -> DictConfig:
    """The toy training with the inner layer of another one, which stays as it is."""
    model = {
        "_target_": "espnet3.components.modeling.pretrained.freeze",
        "model": {
            "_target_": "espnet3.components.modeling.pretrained.load_pretrained",
            "model": {"_target_": "toy_training.ToyModel"},
            "checkpoint": str(base / "last.ckpt"),
            "only": ["inner"],
        },
        "only": ["inner"],
    }
    return toy_config(exp_dir, model=model, **changes)


def test_a_finetuning_is_taken_up_with_its_own_weights(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A frozen backbone stays what was loaded; taken up, a training goes on as if it had not stopped, without the base."""
    base, whole, halves = (tmp_path / name for name in ("base", "whole", "halves"))
    train(toy_config(base, trainer__max_epochs=1))
    train(finetuning(whole, base))
    train(finetuning(halves, base, trainer__max_epochs=1))
    inner = weights(base, "model.inner.weight")
    (base / "last.ckpt").unlink()
    capfd.readouterr()
    train(finetuning(halves, base))
    output = capfd.readouterr().out

    assert torch.equal(weights(halves, "model.inner.weight"), inner)
    assert torch.equal(weights(halves, "model.outer.weight"), weights(whole, "model.outer.weight"))
    assert "train: goes on after 1 epochs" in output
    assert "pretrained:" not in output
    assert "32 of them trainable" not in output
    assert "9 of them trainable" in output


def test_a_base_that_was_trained_again_makes_a_finetuning_stale(tmp_path: Path) -> None:
    """Also one that went on without the base for a while; what began from the old one is not passed off as the new."""
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    train(toy_config(base, trainer__max_epochs=1))
    train(finetuning(tuned, base, trainer__max_epochs=1))
    kept = (base / "last.ckpt").rename(tmp_path / "kept.ckpt")
    train(finetuning(tuned, base, trainer__max_epochs=2))
    train(toy_config(base, trainer__max_epochs=1, seed=5))

    with pytest.raises(ResumeError, match=rf"trained with another {base / 'last.ckpt'}: the file has changed since"):
        train(finetuning(tuned, base, trainer__max_epochs=3))
    kept.replace(base / "last.ckpt")
    train(finetuning(tuned, base, trainer__max_epochs=3))


def test_statistics_are_collected_before_there_is_a_checkpoint(tmp_path: Path) -> None:
    """`collect_stats` asks a model whether it gives features, and needs no pretrained weights for that."""
    config = finetuning(tmp_path / "exp", tmp_path / "nowhere")
    parts = {"model": config.model, "dataset": config.dataset, "collate_fn": None, "mode": "train", "task": None}
    env = build_env(to_config({**parts, "shard_idx": None}), {})

    assert env["model"] is None
    assert len(env["dataset"]) == 24
