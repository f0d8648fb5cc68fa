"""What a config says about one optimizer or scheduler of several, and where its updates stand."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from omegaconf import OmegaConf

from espnet3.utils.errors import ConfigError, did_you_mean

_INTERVALS = ("step", "epoch")
_CLIPPING = ("norm", "value")


@dataclass
class OptimizationStep:
    """One loss and the name of the optimizer that it is for; a model's forward returns a list of them.

    Attributes:
        loss: A scalar tensor.
        name: The key of the optimizer under `optimizers`.
    """

    loss: torch.Tensor
    name: str


@dataclass
class OptimizerSpec:
    """One entry of `optimizers`.

    Attributes:
        name: Its key.
        optimizer: The target, without `params`.
        params: The optimizer gets the parameters whose names contain this text; empty means all.
        accum_grad_steps: How many losses are added up before the weights are moved.
        step_every_n_iters: The optimizer takes part in one of so many iterations.
        gradient_clip_val: The largest gradient, or `None`.
        gradient_clip_algorithm: `norm` or `value`.
    """

    name: str
    optimizer: Any
    params: str = ""
    accum_grad_steps: int = 1
    step_every_n_iters: int = 1
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: str = "norm"

    @classmethod
    def from_config(cls, name: str, cfg: Any) -> "OptimizerSpec":
        """Read the entry `optimizers.<name>`.

        Raises:
            ConfigError: An unknown key, no target, or a value that does not fit.
        """
        entry = _entry(cfg, f"optimizers.{name}", {field.name for field in fields(cls)} - {"name"})
        if "optimizer" not in entry:
            raise ConfigError(f"optimizers.{name} has no optimizer; write one as a target")
        spec = cls(name=name, **entry)
        spec.validate()
        return spec

    def validate(self) -> None:
        """Check the values.

        Raises:
            ConfigError: A value does not fit; the message names its key.
        """
        where = f"optimizers.{self.name}"
        _check_target(self.optimizer, f"{where}.optimizer")
        if not isinstance(self.params, str):
            raise ConfigError(f"{where}.params is a part of parameter names, as in 'generator', not {self.params!r}")
        for key in ("accum_grad_steps", "step_every_n_iters"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{where}.{key} must be a whole number of at least 1, not {value!r}")
        clip = self.gradient_clip_val
        if clip is not None and (isinstance(clip, bool) or not isinstance(clip, int | float) or not clip > 0):
            raise ConfigError(f"{where}.gradient_clip_val must be a positive number or null, not {clip!r}")
        if self.gradient_clip_algorithm not in _CLIPPING:
            raise ConfigError(
                f"{where}.gradient_clip_algorithm must be norm or value, not {self.gradient_clip_algorithm!r}"
            )


@dataclass
class SchedulerSpec:
    """One entry of `schedulers`; it belongs to the optimizer of the same name.

    Attributes:
        name: Its key.
        scheduler: The target, without `optimizer`.
        interval: `step` (after each update of its optimizer) or `epoch`.
        monitor: The metric that a plateau scheduler follows.
    """

    name: str
    scheduler: Any
    interval: str = "step"
    monitor: str | None = None

    @classmethod
    def from_config(cls, name: str, cfg: Any) -> "SchedulerSpec":
        """Read the entry `schedulers.<name>`.

        Raises:
            ConfigError: An unknown key, no target, or a value that does not fit.
        """
        entry = _entry(cfg, f"schedulers.{name}", {field.name for field in fields(cls)} - {"name"})
        if "scheduler" not in entry:
            raise ConfigError(f"schedulers.{name} has no scheduler; write one as a target")
        spec = cls(name=name, **entry)
        spec.validate()
        return spec

    def validate(self) -> None:
        """Check the values.

        Raises:
            ConfigError: A value does not fit; the message names its key.
        """
        where = f"schedulers.{self.name}"
        _check_target(self.scheduler, f"{where}.scheduler")
        if self.interval not in _INTERVALS:
            raise ConfigError(
                f"{where}.interval must be step or epoch, not {self.interval!r}"
                f"{did_you_mean(str(self.interval), _INTERVALS)}"
            )
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise ConfigError(f"{where}.monitor is the name of a metric, not {self.monitor!r}")


@dataclass
class OptimizerRuntimeState:
    """Where the updates of one optimizer stand.

    Attributes:
        accum_counter: How many losses are in the gradients since the last update.
        update_step: How many updates there were.
    """

    accum_counter: int = 0
    update_step: int = 0


def _entry(cfg: Any, where: str, known: set[str]) -> dict[str, Any]:
    plain = OmegaConf.to_container(cfg, resolve=True) if OmegaConf.is_config(cfg) else cfg
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where} must be a mapping, not {type(plain).__name__}")
    for key in plain:
        if key not in known:
            raise ConfigError(
                f"{where} has no key {key!r}{did_you_mean(str(key), known)}; it takes {', '.join(sorted(known))}"
            )
    return {str(key): value for key, value in plain.items()}


def _check_target(value: Any, where: str) -> None:
    if not isinstance(value, Mapping) or not isinstance(value.get("_target_"), str):
        raise ConfigError(f"{where} must be a target, such as {{_target_: torch.optim.AdamW, lr: 0.001}}")
