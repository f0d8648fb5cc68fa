"""Whole trainings of the toy recipe: what they write, say, refuse and take up."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf
from toy_training import toy_config

from esp3rt.lease import Lease, take
from espnet3.components.modeling.lightning_module import ESPnetLightningModule, TrainingDiverged
from espnet3.components.trainers.resume import ResumeError, plan_resume, training_identity
from espnet3.components.trainers.trainer import ESPnet3LightningTrainer
from espnet3.systems.base.training import build_model, collect_stats, train
from espnet3.utils.config_utils import load_default_config
from espnet3.utils.errors import ConfigError, StageError


class Faulty(torch.nn.Module):
    """Gives losses or gradients that are no numbers, in the steps that it is told."""

    def __init__(self, bad_losses: Any = (), bad_gradients: Any = ()) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4))
        self.bad_losses = set(bad_losses)
        self.bad_gradients = set(bad_gradients)
        self.calls = 0

    def forward(self, speech: torch.Tensor, **batch: Any) -> torch.Tensor:
        if self.training:
            self.calls += 1
        loss = (speech * self.weight).square().mean()
        if self.training and self.calls in self.bad_losses:
            return loss * float("nan")
        if self.training and self.calls in self.bad_gradients:
            # The root of zero is zero, and its slope is infinite.
            return loss + (self.weight - self.weight.detach()).abs().sum().sqrt()
        return loss


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module under a name that a config can say."""
    monkeypatch.setitem(sys.modules, "run_recipe", sys.modules[__name__])


def test_a_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The loss falls, everything is written, and the console stays quiet but for a few lines."""
    config = toy_config(tmp_path, trainer__max_epochs=6, trainer__logger=None, model__dropout=0.0)
    del config.trainer.logger
    collect_stats(config)
    train(config)
    output = capfd.readouterr()
    rows = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["EpochHistory"]["rows"]

    assert rows[-1]["train/loss"] < 0.7 * rows[0]["train/loss"]
    assert rows[-1]["valid/loss"] < rows[0]["valid/loss"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    history = (tmp_path / "history.csv").read_text().splitlines()
    assert history[0] == "epoch,step,seconds,lr,train/loss,train/mae,valid/loss,valid/mae"
    assert len(history) == 7
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert OmegaConf.load(tmp_path / "config.yaml").trainer.max_epochs == 6

    assert output.err == ""
    lines = output.out.splitlines()
    assert lines[0].startswith("collect_stats train: 24 items in ")
    assert lines[2] == "model: ToyModel with 49 parameters, on CPU, 32-true"
    assert lines[3].endswith("of them padding")
    assert [line.split(":")[0] for line in lines[4:10]] == [f"epoch {number}/6" for number in range(1, 7)]
    assert lines[10].startswith("train: 6 epochs done, best valid/loss ")
    assert len(lines) == 11


def test_best_checkpoints_and_their_average(tmp_path: Path) -> None:
    """Two are kept; the average is the mean of their weights, under the model's own names."""
    train(toy_config(tmp_path))
    best = sorted(tmp_path.glob("epoch*_valid.loss.ckpt"))
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in best]
    average = torch.load(tmp_path / "valid.loss.ave_2best.pth", weights_only=True)
    model = build_model(toy_config(tmp_path))
    model.load_state_dict(average)

    assert len(best) == 2
    assert set(weights[0]) == {f"model.{name}" for name in average}
    for name, value in average.items():
        torch.testing.assert_close(value, (weights[0][f"model.{name}"] + weights[1][f"model.{name}"]) / 2)


def test_a_complete_training_does_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It says so; with more epochs it goes on, and ends as if they had been there from the start."""
    train(toy_config(tmp_path, trainer__max_epochs=2))
    before = (tmp_path / "last.ckpt").stat().st_mtime_ns
    capfd.readouterr()
    train(toy_config(tmp_path, trainer__max_epochs=2))
    said = capfd.readouterr().out
    untouched = (tmp_path / "last.ckpt").stat().st_mtime_ns == before
    train(toy_config(tmp_path, trainer__max_epochs=3))
    train(toy_config(tmp_path / "whole", trainer__max_epochs=3))
    ends = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (tmp_path, tmp_path / "whole")]

    assert said == f"train: nothing to do, 2 epochs are done and trainer.max_epochs is 2 ({tmp_path})\n"
    assert untouched
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name])


def test_defaults_need_not_be_written(tmp_path: Path) -> None:
    """A config that was not merged over the defaults is taken up by one that was, and the other way round."""
    plain = toy_config(tmp_path)
    del plain["seed"]
    whole = OmegaConf.merge(load_default_config("training.yaml", "espnet3.systems.base"), plain)
    before, now = training_identity(plain), training_identity(whole)

    assert before == now
    assert (before["fixed"]["seed"], before["fixed"]["scheduler_interval"]) == (0, "step")
    assert before["data"]["create_dataset.recipe_dir"] == "."


def test_a_checkpoint_that_knows_no_defaults_is_taken_up(tmp_path: Path) -> None:
    """One that was written without them, by a config that has them now."""
    config = toy_config(tmp_path, seed=0, scheduler_interval="step", trainer__max_epochs=1)
    train(config)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    for key in ("seed", "scheduler_interval"):
        del checkpoint["espnet3"]["identity"]["fixed"][key]
    del checkpoint["espnet3"]["identity"]["data"]["create_dataset.recipe_dir"]
    torch.save(checkpoint, tmp_path / "last.ckpt")

    assert plan_resume(tmp_path, config).complete.startswith("1 epochs are done")


def test_the_kept_config_says_what_the_config_said(tmp_path: Path) -> None:
    """A text that looks like an interpolation and is none stays one when the file is read."""
    texts = {"a": "\\${x}", "b": "\\${oc.env:HOME} and $", "c": "${seed}", "d": "\\\\${seed}", "e": "C:\\${x}\\"}
    config = toy_config(tmp_path, notes=texts, trainer__max_epochs=1)
    train(config)
    kept = OmegaConf.load(tmp_path / "config.yaml")

    assert OmegaConf.to_container(kept.notes, resolve=True) == {
        "a": "${x}", "b": "${oc.env:HOME} and $", "c": 7, "d": "\\7", "e": "C:${x}\\"
    }  # fmt: skip
    assert OmegaConf.to_container(kept, resolve=True) == OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__lr": 0.02}, "optimizer.lr: 0.01 then, 0.02 now"),
        ({"model__hidden": 9}, r"model.hidden: \(absent\) then, 9 now"),
        ({"seed": 8}, "seed: 7 then, 8 now.*use another exp_tag, or remove that file"),
    ],
)
def test_a_config_that_cannot_be_taken_up(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """The message names the key, both values, and what to do."""
    train(toy_config(tmp_path, trainer__max_epochs=1))

    with pytest.raises(ResumeError, match=message):
        train(toy_config(tmp_path, trainer__max_epochs=2, **changes))


class Interrupts(Callback):
    """Ctrl-C, as Python sees it, in the third batch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 2:
            raise KeyboardInterrupt


def test_ctrl_c_is_an_interruption_and_no_failure(tmp_path: Path) -> None:
    """Lightning would end the process with the code of a failure."""
    callbacks = [{"_target_": "run_recipe.Interrupts"}]

    with pytest.raises(KeyboardInterrupt):
        train(toy_config(tmp_path, trainer__max_epochs=1, trainer__callbacks=callbacks))


def test_code_that_has_changed_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A training goes on with it all the same, and says so; also where there is nothing more to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_model.py").write_text("from toy_training import ToyModel\n\nclass Own(ToyModel):\n    pass\n")

    def said(epochs: int) -> str:
        train(toy_config("exp", trainer__max_epochs=epochs, model={"_target_": "own_model.Own"}))
        return capfd.readouterr().out

    said(1)
    assert "changed since" not in said(2)
    (tmp_path / "own_model.py").write_text("from toy_training import ToyModel as Base\n\nclass Own(Base):\n    pass\n")
    assert "warning: train: own_model.py has changed since its last checkpoint" in said(3)
    (tmp_path / "own_model.py").write_text("from toy_training import ToyModel\n\nclass Own(ToyModel):\n    pass\n")
    assert "3 epochs are done and trainer.max_epochs is 3 (exp); but own_model.py has changed since" in said(3)


def test_two_cannot_train_in_one_folder(tmp_path: Path) -> None:
    """The second says who is there, and writes nothing; when that one is gone, its lease holds nobody up."""
    config = toy_config(tmp_path, trainer__max_epochs=1)
    with take(tmp_path / ".leases" / "train") as lease:
        assert isinstance(lease, Lease)
        with pytest.raises(StageError, match=rf"process {os.getpid()} on .* is training in {tmp_path}; wait"):
            train(config)
        assert not (tmp_path / "last.ckpt").exists()
    train(config)

    assert (tmp_path / "last.ckpt").exists()


def test_other_data_begin_the_epoch_again(tmp_path: Path, in_process: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """What was done of an epoch means nothing when its batches are others."""
    plain = OmegaConf.to_container(toy_config(tmp_path, checkpoint_every=0.0), resolve=True)
    assert in_process(plain, ("call", 7)) == -9
    capfd.readouterr()
    train(toy_config(tmp_path, dataloader__train__batch_bins=300))
    rows = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["EpochHistory"]["rows"]
    steps = [row["step"] for row in rows]

    assert "dataloader.train.batch_bins); the epoch that was begun is begun again" in capfd.readouterr().out
    # Four batches, then two of the epoch that was begun, then as many whole epochs of smaller batches.
    assert steps[0] == 4
    assert steps[2] - steps[1] == steps[1] - 6


def test_going_on_from_one_of_the_best(tmp_path: Path) -> None:
    """`fit.ckpt_path` of a new experiment takes any checkpoint."""
    train(toy_config(tmp_path, trainer__max_epochs=2, best_model_criterion=[["valid/loss", 2, "min"]]))
    second = sorted(tmp_path.glob("epoch002*.ckpt"))[0]
    train(toy_config(tmp_path / "more", fit__ckpt_path=str(second)))
    train(toy_config(tmp_path / "whole"))
    ends = [torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("more", "whole")]

    assert ends[0]["global_step"] == ends[1]["global_step"]
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name])


@pytest.mark.parametrize("what", ["bad_losses", "bad_gradients"])
def test_a_step_that_is_no_number_is_skipped(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The weights stay numbers, and the log says which step it was."""
    config = toy_config(tmp_path, model={"_target_": "run_recipe.Faulty", what: [2, 3, 7]}, max_nan_steps=3)

    with caplog.at_level(logging.WARNING):
        train(config)
    weights = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]["model.weight"]

    assert torch.isfinite(weights).all()
    assert not torch.equal(weights, torch.ones(4))
    assert caplog.text.count("the step is skipped") == 3


@pytest.mark.parametrize("what", ["bad_losses", "bad_gradients"])
def test_too_many_of_them_end_the_training(what: str, tmp_path: Path) -> None:
    """Not hours of nothing."""
    config = toy_config(tmp_path, model={"_target_": "run_recipe.Faulty", what: list(range(3, 20))}, max_nan_steps=4)

    with pytest.raises(TrainingDiverged, match=r"4 steps in a row .max_nan_steps.. Lower the learning rate"):
        train(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer__max_epoch": 3}, "trainer has no key 'max_epoch'; did you mean 'max_epochs'"),
        ({"optimizer__learning_rate": 1}, "optimizer.learning_rate: torch.optim.AdamW takes no argument"),
        ({"optimizer": None}, "the config has no optimizer"),
        ({"model__hiden": 3}, "model.hiden: toy_training.ToyModel takes no argument 'hiden'; did you mean 'hidden'"),
        ({"model": None}, "the training config has no model"),
        ({"model": {"_target_": "toy_training.ToyMode"}}, "model: toy_training.ToyMode cannot be imported"),
        ({"init": "xavier"}, "init is 'xavier'; did you mean"),
        ({"best_model_criterion": [["valid/los", 1, "min"]]}, "asks for 'valid/los'.*did you mean 'valid/loss'"),
        ({"best_model_criterion": [["valid/loss", 1, "minimum"]]}, r"best_model_criterion\[0\]: the mode"),
        ({"dataset__valid": []}, "dataset.valid has no entries; add some, or use train/loss"),
        ({"dataset__tran": []}, "dataset has no key 'tran'; did you mean 'train'"),
        ({"scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_siz": 1}}, "scheduler.step_siz"),
        ({"scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"}}, "scheduler: .*step_size"),
    ],
)
def test_mistakes_in_a_config(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """The message names the key, and what is near."""
    with pytest.raises(ConfigError, match=message):
        train(toy_config(tmp_path, **changes))


def test_a_training_without_validation(tmp_path: Path) -> None:
    """The best are then chosen by a metric of the training."""
    train(toy_config(tmp_path, dataset__valid=[], best_model_criterion=[["train/loss", 1, "min"]]))

    assert len(list(tmp_path.glob("epoch*_train.loss.ckpt"))) == 1
    assert (tmp_path / "train.loss.ave_1best.pth").is_file()


def test_schedulers_inside_a_scheduler(tmp_path: Path) -> None:
    """SequentialLR: the inner ones get the same optimizer."""
    linear = {"_target_": "torch.optim.lr_scheduler.LinearLR", "start_factor": 0.1, "total_iters": 4}
    falling = {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9}
    both = {
        "_target_": "torch.optim.lr_scheduler.SequentialLR",
        "schedulers": [linear, falling],
        "milestones": [4],
    }
    train(toy_config(tmp_path, scheduler=both))
    rows = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["EpochHistory"]["rows"]

    assert rows[0]["lr"] == pytest.approx(0.01)
    assert rows[2]["lr"] == pytest.approx(0.01 * 0.9**8)


def test_callbacks_and_early_stopping(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The recipe's own callbacks run, and a training that stopped early is complete."""
    stop = {
        "_target_": "lightning.pytorch.callbacks.EarlyStopping",
        "monitor": "valid/loss",
        "patience": 1,
        "min_delta": 100.0,
    }
    config = toy_config(tmp_path, trainer__callbacks=[stop], trainer__max_epochs=9)
    train(config)
    capfd.readouterr()
    train(config)

    assert "nothing to do, it stopped early after 2 epochs" in capfd.readouterr().out


def test_validate_and_the_trainer_by_hand(tmp_path: Path) -> None:
    """The classes can be used without the stage."""
    config = toy_config(tmp_path, trainer__max_epochs=1)
    module = ESPnetLightningModule(build_model(config), config)
    trainer = ESPnet3LightningTrainer(module, tmp_path, config, [["valid/mae", 1, "min"]])
    trainer.fit()
    metrics = trainer.validate()
    trainer.collect_stats()

    assert metrics[0]["valid/mae"] > 0
    assert list(tmp_path.glob("epoch*_valid.mae.ckpt"))
    assert (tmp_path / "stats" / "valid" / "speech_shape").is_file()


def test_init_draws_matrices_and_clears_biases(tmp_path: Path) -> None:
    """Biases are zero afterwards."""
    model = build_model(toy_config(tmp_path, init="xavier_uniform"))

    assert float(model.inner.bias.abs().sum()) == 0
    assert float(model.inner.weight.abs().sum()) > 0


def test_the_stage_module_is_light() -> None:
    """`run.py --help` imports it."""
    code = (
        "import sys, espnet3.systems.base.training;"
        "print([n for n in ('torch', 'lightning', 'hydra', 'numpy', 'omegaconf', 'rich') if n in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
