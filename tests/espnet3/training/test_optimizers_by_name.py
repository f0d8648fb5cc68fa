"""Several optimizers: who owns which parameter, and what a step does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from toy_training import TWO_OPTIMIZERS, ToyModel, TwoPartModel, toy_config

from espnet3.components.modeling.lightning_module import ESPnetLightningModule
from espnet3.components.modeling.optimization_spec import OptimizerSpec, SchedulerSpec
from espnet3.components.modeling.optimizers import build_several
from espnet3.components.trainers.trainer import ESPnet3LightningTrainer
from espnet3.utils.errors import ConfigError

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def batches(count: int) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [
        {
            "speech": torch.randn(3, 6, 4, generator=draw),
            "speech_lengths": torch.tensor([6, 4, 5]),
            "target": torch.randn(3, generator=draw),
        }
        for _ in range(count)
    ]


def test_steps_are_those_of_a_loop_by_hand(tmp_path: Path) -> None:
    """Each loss moves its own parameters only; accumulation, turns, clipping and schedulers as written."""
    torch.manual_seed(0)
    model = TwoPartModel(dropout=0.0)
    expected = TwoPartModel(dropout=0.0)
    expected.load_state_dict(model.state_dict())
    changes = {**TWO_OPTIMIZERS, "trainer__max_epochs": 1, "best_model_criterion": [["train/loss", 1, "min"]]}
    config = toy_config(tmp_path, **changes, dataset={})
    config.schedulers.outer.monitor = "train/loss"
    module = ESPnetLightningModule(model, config)
    loader = torch.utils.data.DataLoader(batches(5), batch_size=None)  # type: ignore[arg-type]
    trainer = ESPnet3LightningTrainer(module, tmp_path, config)
    trainer.trainer.limit_val_batches = 0
    trainer.fit(loader)

    inner = torch.optim.AdamW(expected.inner.parameters(), lr=0.01)
    outer = torch.optim.SGD(expected.outer.parameters(), lr=0.05, momentum=0.9)
    falling = torch.optim.lr_scheduler.ExponentialLR(inner, 0.9)
    for number, batch in enumerate(batches(5)):
        error = expected.predict(batch["speech"], batch["speech_lengths"]) - batch["target"]
        own = torch.autograd.grad((error**2).mean() / 2, list(expected.inner.parameters()), retain_graph=True)
        for parameter, gradient in zip(expected.inner.parameters(), own, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        if number % 2 == 0:
            other = torch.autograd.grad(error.abs().mean(), list(expected.outer.parameters()))
            for parameter, gradient in zip(expected.outer.parameters(), other, strict=True):
                parameter.grad = gradient
            torch.nn.utils.clip_grad_norm_(expected.outer.parameters(), 1.0)
        if number % 2 == 1:
            inner.step()
            inner.zero_grad()
            falling.step()
        if number % 2 == 0:
            outer.step()
            outer.zero_grad()

    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)
    assert inner.param_groups[0]["lr"] == pytest.approx(0.01 * 0.9**2)
    states = module._multi.states if module._multi else {}
    assert (states["inner"].update_step, states["inner"].accum_counter) == (2, 1)
    assert (states["outer"].update_step, states["outer"].accum_counter) == (3, 0)


def test_a_batch_without_a_loss_counts_as_a_batch(tmp_path: Path) -> None:
    """The optimizer that learns from every second batch does so from the first and the third, and not from the fourth."""
    torch.manual_seed(0)
    model = TwoPartModel(dropout=0.0)
    config = toy_config(tmp_path, **TWO_OPTIMIZERS, trainer__max_epochs=1, dataset={})
    config.schedulers = None
    config.best_model_criterion = [["train/loss", 1, "min"]]
    module = ESPnetLightningModule(model, config)
    data = batches(4)
    data[1]["target"] += float("nan")
    trainer = ESPnet3LightningTrainer(module, tmp_path, config)
    trainer.trainer.limit_val_batches = 0
    trainer.fit(torch.utils.data.DataLoader(data, batch_size=None))  # type: ignore[arg-type]

    assert module._multi is not None
    assert module._multi.iteration == 4
    assert module._multi.states["outer"].update_step == 2
    assert (module._multi.states["inner"].update_step, module._multi.states["inner"].accum_counter) == (1, 1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"a": {"optimizer": SGD, "params": "inner"}}, "no optimizer takes outer.weight, outer.bias; widen"),
        (
            {"a": {"optimizer": SGD}, "b": {"optimizer": SGD, "params": "outer"}},
            "parameter outer.weight belongs to several optimizers .a, b.",
        ),
        (
            {"a": {"optimizer": SGD}, "b": {"optimizer": SGD, "params": "encoder"}},
            "optimizers.b.params is 'encoder', which is part of no",
        ),
        ({"a": {"optimizer": SGD, "param": "x"}}, "optimizers.a has no key 'param'; did you mean 'params'"),
        ({"a": {"optimizer": SGD, "accum_grad_steps": 0}}, "optimizers.a.accum_grad_steps must be"),
        ({"a": {"optimizer": SGD, "gradient_clip_val": -1}}, "optimizers.a.gradient_clip_val must be"),
        ({"a": {"optimizer": SGD, "gradient_clip_algorithm": "max"}}, "must be norm or value, not 'max'"),
        ({"a": {"optimizer": {"lr": 1}}}, "optimizers.a.optimizer must be a target"),
        ({"a": {"params": "x"}}, "optimizers.a has no optimizer"),
        ({"a": {"optimizer": {**SGD, "momentun": 1}}}, "optimizers.a.optimizer.momentun: .*'momentum'"),
    ],
)
def test_optimizers_that_do_not_fit(config: dict[str, Any], message: str) -> None:
    """The message names the optimizer, the key and the parameters."""
    with pytest.raises(ConfigError, match=message):
        build_several(ToyModel(), OmegaConf.create({"optimizers": config}))


@pytest.mark.parametrize(
    ("schedulers", "message"),
    [
        ({"c": {"scheduler": SGD}}, "schedulers.c has no optimizer of its name; .*there are a"),
        ({"a": {"scheduler": SGD, "interval": "steps"}}, "interval must be step or epoch, not 'steps'; did you mean"),
        ({"a": {"interval": "step"}}, "schedulers.a has no scheduler"),
    ],
)
def test_schedulers_that_do_not_fit(schedulers: dict[str, Any], message: str) -> None:
    """As for optimizers."""
    with pytest.raises(ConfigError, match=message.replace("; .*", ".*")):
        build_several(ToyModel(), OmegaConf.create({"optimizers": {"a": {"optimizer": SGD}}, "schedulers": schedulers}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": SGD}, "both optimizer and optimizers"),
        ({"scheduler": SGD}, "schedulers stand under schedulers"),
        ({"trainer__gradient_clip_val": 1.0}, "trainer.gradient_clip_val is written as optimizers.NAME.gradient"),
        ({"trainer__accumulate_grad_batches": 2}, "written as optimizers.NAME.accum_grad_steps"),
        ({"model": {"_target_": "toy_training.ToyModel"}}, "must return a list of OptimizationStep"),
    ],
)
def test_keys_that_exclude_each_other(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """One form or the other, never a mixture."""
    from espnet3.systems.base.training import train

    with pytest.raises(ConfigError, match=message):
        train(toy_config(tmp_path, **{**TWO_OPTIMIZERS, **changes}))


def test_specs_read_their_defaults() -> None:
    """What is not written has the value of the guide."""
    spec = OptimizerSpec.from_config("g", OmegaConf.create({"optimizer": SGD}))
    scheduler = SchedulerSpec.from_config("g", {"scheduler": SGD})

    assert (spec.params, spec.accum_grad_steps, spec.step_every_n_iters) == ("", 1, 1)
    assert (spec.gradient_clip_val, spec.gradient_clip_algorithm) == (None, "norm")
    assert (scheduler.interval, scheduler.monitor) == ("step", None)
