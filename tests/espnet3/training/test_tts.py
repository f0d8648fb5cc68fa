"""GAN models: turns, optimizers, numbers, and taking up."""

import copy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from same_state import assert_same
from toy_gan import Counting, Diverging, ToyGAN, fit_batches, gan_config, toy_batches, train_gan
from toy_training import ToyModel, toy_config
from two_processes import places

from espnet3.components.modeling.forward_result import ForwardResultError
from espnet3.components.modeling.lightning_module import ESPnetLightningModule, TrainingDiverged
from espnet3.components.modeling.shared_gradients import check_strategy
from espnet3.components.trainers.resume import ResumeError
from espnet3.components.trainers.trainer import ESPnet3LightningTrainer
from espnet3.systems.base.training import train
from espnet3.systems.tts.gan_model import is_gan_model
from espnet3.systems.tts.gan_module import GANLightningModule
from espnet3.systems.tts.gan_trainer import GANTTSLightningTrainer, build_gan_trainer
from espnet3.systems.tts.system import TTSSystem
from espnet3.utils.errors import ConfigError

Start = Callable[..., Any]


def learnt_by_hand(model: ToyGAN, first: str, data: list[list[dict[str, torch.Tensor]]]) -> None:
    """What a plain loop does of the toy config; `data` has the batches of each process."""
    optimizers = {
        "generator": torch.optim.AdamW(model.generator.parameters(), lr=0.01),
        "discriminator": torch.optim.SGD(model.discriminator.parameters(), lr=0.05, momentum=0.9),
    }
    falling = torch.optim.lr_scheduler.ExponentialLR(optimizers["generator"], 0.9)
    second = "discriminator" if first == "generator" else "generator"
    for number, together in enumerate(zip(*data, strict=True)):
        for turn in (first, second):
            own = list(getattr(model, turn).parameters())
            scale = len(together) * (2 if turn == "generator" else 1)
            loss = torch.stack([model(turn == "generator", **batch)["loss"] for batch in together]).sum() / scale
            if turn == "discriminator" and number % 2:
                continue
            for parameter, gradient in zip(own, torch.autograd.grad(loss, own), strict=True):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
            if turn == "generator" and number % 2 == 0:
                continue
            if turn == "discriminator":
                torch.nn.utils.clip_grad_norm_(own, 0.1)
            optimizers[turn].step()
            optimizers[turn].zero_grad()
            if turn == "generator":
                falling.step()


@pytest.mark.parametrize("first", ["generator", "discriminator"])
def test_turns_are_those_of_a_loop_by_hand(first: str, tmp_path: Path) -> None:
    """Each turn moves its own weights before the next; accumulation, clipping, turns and schedulers as written."""
    torch.manual_seed(0)
    model = ToyGAN(dropout=0.0)
    expected = copy.deepcopy(model)
    config = gan_config(tmp_path, dataset={}, trainer__max_epochs=1, generator_first=first == "generator")
    del config.schedulers.discriminator
    config.best_model_criterion = [["train/generator_loss", 1, "min"]]
    trainer = build_gan_trainer(config, model)
    trainer.trainer.limit_val_batches = 0
    loader = torch.utils.data.DataLoader(toy_batches(5), batch_size=None)  # type: ignore[arg-type]
    trainer.fit(loader)

    learnt_by_hand(expected, first, [toy_batches(5)])

    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)
    states = trainer.model._multi.states if trainer.model._multi else {}
    assert (states["generator"].update_step, states["generator"].accum_counter) == (2, 1)
    assert (states["discriminator"].update_step, states["discriminator"].accum_counter) == (3, 0)


def test_a_gan_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Both losses and the stats of both turns are logged; the best are chosen by one of them."""
    system = TTSSystem(training_config=gan_config(tmp_path))
    system.collect_stats()
    system.train()
    rows = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["EpochHistory"]["rows"]

    names = {"loss", "generator_loss", "adversarial", "shared", "discriminator_loss", "real", "discriminator_shared"}
    assert {f"{split}/{name}" for split in ("train", "valid") for name in names} <= set(rows[0])
    assert rows[-1]["valid/generator_loss"] < rows[0]["valid/generator_loss"]
    assert rows[-1]["valid/loss"] == rows[-1]["valid/generator_loss"]
    assert (rows[0]["valid/shared"], rows[0]["valid/discriminator_shared"]) == (1.0, 2.0)
    assert len(list(tmp_path.glob("epoch*_valid.generator_loss.ckpt"))) == 2
    assert "lr.1" in rows[0]
    output = capfd.readouterr().out
    assert "model: ToyGAN with 25 parameters" in output
    assert "valid/generator_loss" in output
    assert (tmp_path / "stats" / "train" / "speech_shape").is_file()


def test_the_trainer_is_chosen_by_the_model(tmp_path: Path) -> None:
    """A GAN model, ours or ESPnet2's, gets the GAN trainer; another model the usual one."""
    config = gan_config(tmp_path)
    usual = TTSSystem()._build_trainer(toy_config(tmp_path), ToyModel())
    gan = TTSSystem()._build_trainer(config, ToyGAN())
    with pytest.raises(ConfigError, match=r"needs a GANLightningModule.*, not ESPnetLightningModule"):
        GANTTSLightningTrainer(usual.model, tmp_path, config)

    assert type(usual) is ESPnet3LightningTrainer
    assert type(gan) is GANTTSLightningTrainer
    assert isinstance(gan.model, GANLightningModule)


def test_gan_models_of_espnet2_are_known_by_their_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where ESPnet2's module is loaded: nothing imports it."""
    module = types.ModuleType("espnet2.train.abs_gan_espnet_model")
    base = type("AbsGANESPnetModel", (torch.nn.Module,), {})
    module.AbsGANESPnetModel = base  # type: ignore[attr-defined]
    theirs = type("ESPnetGANTTSModel", (base,), {})()
    before = is_gan_model(theirs)
    monkeypatch.setitem(sys.modules, module.__name__, module)

    assert (before, is_gan_model(theirs), is_gan_model(ToyModel())) == (False, True, False)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"optimizers": None, "schedulers": None, "optimizer": {"_target_": "torch.optim.SGD", "lr": 1}}, ConfigError,
         "optimizers.generator and optimizers.discriminator; the config has optimizer"),
        ({"optimizers__generater": {"params": "x"}}, ConfigError,
         "optimizers.generater: the optimizers of a GAN model are .*did you mean 'generator'"),
        ({"generator_first": "no"}, ConfigError, "generator_first must be true or false, not 'no'"),
        ({"model": {"_target_": "toy_gan.SwitchedTurns"}}, ForwardResultError,
         "returned optim_idx 0 when it was asked for the discriminator's loss, which is 1"),
        ({"model": {"_target_": "toy_gan.NoTurns"}}, ForwardResultError,
         "returned a dict of loss, stats, weight. A GAN model returns a dict with loss, stats, weight and optim_idx"),
        ({"trainer__precision": "16-mixed"}, ConfigError, "optimizers.discriminator.gradient_clip_val does not go"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_gan(changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path) -> None:
    """The message names the key, or what the model did, and what it should be."""
    with pytest.raises(error, match=message):
        TTSSystem(training_config=gan_config(tmp_path, **changes)).train()


def test_one_of_two_optimizers_is_not_enough(tmp_path: Path) -> None:
    """The message names the one that is missing."""
    config = gan_config(tmp_path)
    del config.optimizers.discriminator

    with pytest.raises(ConfigError, match="optimizers has no discriminator"):
        build_gan_trainer(config, ToyGAN())


def test_the_order_of_turns_cannot_change_in_between(tmp_path: Path) -> None:
    """It is part of what a checkpoint is taken up with."""
    TTSSystem(training_config=gan_config(tmp_path, trainer__max_epochs=1)).train()

    with pytest.raises(ResumeError, match=r"generator_first: \(absent\) then, True now"):
        TTSSystem(training_config=gan_config(tmp_path, generator_first=True)).train()


def test_a_loss_that_is_no_number_stops_the_batch(tmp_path: Path) -> None:
    """The generator's turn behind it moves nothing either, and too many of them end the training."""
    model = Diverging(bad=(1, 2))
    before = copy.deepcopy(model.state_dict())
    config = gan_config(tmp_path, dataset={}, trainer__max_epochs=1, max_nan_steps=2, schedulers=None)
    trainer = build_gan_trainer(config, model)
    trainer.trainer.limit_val_batches = 0
    with pytest.raises(TrainingDiverged, match="the discriminator's loss of batch 1 is nan, and so were 2 steps"):
        trainer.fit(torch.utils.data.DataLoader(toy_batches(3), batch_size=None))  # type: ignore[arg-type]

    # The model is asked for both losses of a batch all the same.
    assert model.turns[:3] == ["d", "g", "d"]
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value), name


def test_a_batch_without_a_loss_counts_as_a_batch(tmp_path: Path) -> None:
    """The optimizer that learns from every second batch does so from the first and the third."""
    model = Diverging(bad=(2,))
    config = gan_config(tmp_path, dataset={}, trainer__max_epochs=1, schedulers=None)
    config.best_model_criterion = [["train/generator_loss", 1, "min"]]
    trainer = build_gan_trainer(config, model)
    trainer.trainer.limit_val_batches = 0
    trainer.fit(torch.utils.data.DataLoader(toy_batches(4), batch_size=None))  # type: ignore[arg-type]
    multi = trainer.model._multi

    assert multi is not None
    assert multi.iteration == 4
    assert multi.states["discriminator"].update_step == 2
    assert (multi.states["generator"].update_step, multi.states["generator"].accum_counter) == (1, 1)


class OwnStage(TTSSystem):
    """Trains in a stage of its own, as a curriculum does."""

    def train_easy(self) -> None:
        train(self.training_config)


def test_a_gan_is_trained_in_turns_wherever_its_training_is_started(tmp_path: Path) -> None:
    """Also by the function `train`, which knows no system: the kind of the model decides."""
    OwnStage(training_config=gan_config(tmp_path, trainer__max_epochs=1)).train_easy()
    row = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["EpochHistory"]["rows"][0]

    assert {"train/generator_loss", "train/discriminator_loss"} <= set(row)


def test_a_gan_in_the_usual_module_is_refused() -> None:
    """Its generator's loss would move all weights."""
    module = ESPnetLightningModule(ToyGAN(), {})

    with pytest.raises(ForwardResultError, match=r"ToyGAN\.forward returned optim_idx.*Train it by a TTSSystem"):
        module.call_model(toy_batches(1)[0])


def final_state(exp_dir: Path) -> dict[str, Any]:
    checkpoint = torch.load(exp_dir / "last.ckpt", weights_only=True)
    rows = checkpoint["callbacks"]["EpochHistory"]["rows"]
    return {
        "weights": checkpoint["state_dict"],
        "optimizers": checkpoint["optimizer_states"],
        "schedulers": checkpoint["lr_schedulers"],
        "multi": checkpoint["espnet3_module"]["multi"],
        "rows": [{key: value for key, value in row.items() if key != "seconds"} for row in rows],
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, in_processes: Start) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    assert in_processes((train_gan, plain(folder))) == [0]
    return final_state(folder)


def plain(folder: Path, **changes: Any) -> Any:
    return OmegaConf.to_container(gan_config(folder, **changes), resolve=True)


@pytest.mark.parametrize(("call", "every"), [(9, 600.0), (12, 0.0), (15, 0.0)])
def test_killed_in_a_turn(
    call: int, every: float, tmp_path: Path, in_processes: Start, undisturbed: dict[str, Any]
) -> None:
    """Killed in either turn, with gradients that wait for an update, a training ends as one that ran through."""
    config = plain(tmp_path, checkpoint_every=every)

    assert in_processes((train_gan, config, ("call", call))) == [-9]
    assert in_processes((train_gan, config)) == [0]
    assert_same(undisturbed, final_state(tmp_path))


TOGETHER = {"trainer__devices": 2, "trainer__strategy": "ddp"}


def test_two_processes_learn_the_mean_of_their_batches(tmp_path: Path, in_processes: Start) -> None:
    """As one loop over both batches does; the buffers of a batch begin as those of the first process."""
    config = plain(tmp_path, dataset={}, trainer__max_epochs=1, **TOGETHER)
    del config["schedulers"]["discriminator"]
    config["best_model_criterion"] = [["train/generator_loss", 1, "min"]]
    assert in_processes(*((fit_batches, config, place, str(tmp_path)) for place in places())) == [0, 0]
    ends = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    torch.manual_seed(0)
    expected = Counting()

    learnt_by_hand(expected, "discriminator", [toy_batches(5, 0), toy_batches(5, 1)])

    for name, value in expected.named_parameters():
        assert torch.equal(ends[0][name], ends[1][name]), name
        torch.testing.assert_close(ends[0][name], value.detach(), msg=name)
    assert torch.equal(ends[0]["begun_with"], ends[1]["begun_with"])
    assert float(ends[0]["begun_with"][-1]) != 0


def test_two_processes_are_taken_up(tmp_path: Path, in_processes: Start) -> None:
    """Killed with gradients that wait for an update, they end as if they had run through."""
    whole = plain(tmp_path / "whole", **TOGETHER)
    broken = plain(tmp_path / "broken", checkpoint_every=0.0, **TOGETHER)

    assert in_processes(*((train_gan, whole, None, place) for place in places())) == [0, 0]
    assert in_processes(*((train_gan, broken, ("call", 5), place) for place in places())) == [-9, -9]
    assert in_processes(*((train_gan, broken, None, place) for place in places())) == [0, 0]
    assert_same(final_state(tmp_path / "whole"), final_state(tmp_path / "broken"))


def test_strategies_that_share_the_weights_out_are_refused(tmp_path: Path) -> None:
    """Before anything is trained; the message names the key."""
    trainer = build_gan_trainer(gan_config(tmp_path), ToyGAN())
    several = types.SimpleNamespace(world_size=2, strategy=trainer.trainer.strategy)

    with pytest.raises(
        ConfigError, match=r"cannot train with SingleDeviceStrategy; set trainer.strategy to ddp"
    ) as told:
        check_strategy(several)

    assert told.value.key == "trainer.strategy"
