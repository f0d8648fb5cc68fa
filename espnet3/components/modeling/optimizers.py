"""From a config to optimizers and schedulers, for one optimizer or for several by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from espnet3.components.modeling.optimization_spec import OptimizerSpec, SchedulerSpec
from espnet3.utils.errors import ConfigError, did_you_mean
from espnet3.utils.instantiation import instantiate_target

_SHOWN = 5


@dataclass
class NamedOptimizer:
    """One of several optimizers with what belongs to it.

    Attributes:
        spec: What the config says.
        optimizer: The optimizer.
        parameters: Its parameters by name.
        scheduler: Its scheduler, or `None`.
        scheduler_spec: What the config says of the scheduler.
    """

    spec: OptimizerSpec
    optimizer: torch.optim.Optimizer
    parameters: dict[str, torch.nn.Parameter]
    scheduler: Any = None
    scheduler_spec: SchedulerSpec | None = None


def check_optimizer_keys(config: Mapping[str, Any]) -> bool:
    """Say whether a config has several optimizers.

    Raises:
        ConfigError: It has both forms, or a scheduler of one form with an optimizer of the other.
    """
    single, several = bool(config.get("optimizer")), bool(config.get("optimizers"))
    if single and several:
        raise ConfigError("the config has both optimizer and optimizers; give one of them")
    if several and config.get("scheduler"):
        raise ConfigError("with optimizers the schedulers stand under schedulers, by the optimizers' names")
    if not several and config.get("schedulers"):
        raise ConfigError("schedulers belong to optimizers; with one optimizer write scheduler")
    return several


def build_single(model: torch.nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    """Build `optimizer` and `scheduler`, in the form that Lightning takes.

    Raises:
        ConfigError: There is no optimizer, the model has nothing to train, or a key does not fit.
    """
    if not config.get("optimizer"):
        raise ConfigError("the config has no optimizer; write one, such as {_target_: torch.optim.AdamW, lr: 0.001}")
    parameters = list(_trainable(model).values())
    optimizer = instantiate_target(config["optimizer"], "optimizer", params=parameters)
    built: dict[str, Any] = {"optimizer": optimizer}
    if config.get("scheduler"):
        scheduler = build_scheduler(config["scheduler"], optimizer, "scheduler")
        interval = str(config.get("scheduler_interval") or "step")
        if interval not in ("step", "epoch"):
            raise ConfigError(
                f"scheduler_interval must be step or epoch, not {interval!r}{did_you_mean(interval, ('step', 'epoch'))}"
            )
        entry: dict[str, Any] = {"scheduler": scheduler, "interval": interval}
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            entry["monitor"] = config.get("scheduler_monitor") or "valid/loss"
            entry["reduce_on_plateau"] = True
        built["lr_scheduler"] = entry
    return built


def build_several(model: torch.nn.Module, config: Mapping[str, Any]) -> dict[str, NamedOptimizer]:
    """Build `optimizers` and `schedulers`, in the order of the config.

    Raises:
        ConfigError: A trainable parameter belongs to no optimizer or to two, an optimizer has none, a
            scheduler has no optimizer of its name, or a key does not fit.
    """
    specs = [OptimizerSpec.from_config(str(name), entry) for name, entry in config["optimizers"].items()]
    claims = _claim(_trainable(model), specs)
    named: dict[str, NamedOptimizer] = {}
    for spec in specs:
        optimizer = instantiate_target(
            spec.optimizer, f"optimizers.{spec.name}.optimizer", params=list(claims[spec.name].values())
        )
        named[spec.name] = NamedOptimizer(spec, optimizer, claims[spec.name])
    for name, entry in (config.get("schedulers") or {}).items():
        scheduler_spec = SchedulerSpec.from_config(str(name), entry)
        if name not in named:
            raise ConfigError(
                f"schedulers.{name} has no optimizer of its name{did_you_mean(str(name), named)}; there are "
                f"{', '.join(named)}"
            )
        owner = named[name]
        owner.scheduler_spec = scheduler_spec
        owner.scheduler = build_scheduler(scheduler_spec.scheduler, owner.optimizer, f"schedulers.{name}.scheduler")
    return named


def build_scheduler(config: Any, optimizer: torch.optim.Optimizer, where: str) -> Any:
    """Build a scheduler; schedulers inside it, as SequentialLR has them, get the same optimizer."""
    inner = config.get("schedulers") if isinstance(config, Mapping) or hasattr(config, "get") else None
    if not inner:
        return instantiate_target(config, where, optimizer=optimizer)
    parts = [build_scheduler(part, optimizer, f"{where}.schedulers[{place}]") for place, part in enumerate(inner)]
    outer = {key: value for key, value in config.items() if key != "schedulers"}
    return instantiate_target(outer, where, optimizer=optimizer, schedulers=parts)


def _trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not parameters:
        raise ConfigError(f"{type(model).__qualname__} has no trainable parameter; nothing could be trained")
    return parameters


def _claim(
    parameters: Mapping[str, torch.nn.Parameter], specs: list[OptimizerSpec]
) -> dict[str, dict[str, torch.nn.Parameter]]:
    claims: dict[str, dict[str, torch.nn.Parameter]] = {spec.name: {} for spec in specs}
    unclaimed: list[str] = []
    for name, parameter in parameters.items():
        owners = [spec.name for spec in specs if spec.params in name]
        if len(owners) > 1:
            raise ConfigError(
                f"parameter {name} belongs to several optimizers ({', '.join(owners)}); make their params narrower"
            )
        if owners:
            claims[owners[0]][name] = parameter
        else:
            unclaimed.append(name)
    if unclaimed:
        more = f" and {len(unclaimed) - _SHOWN} more" if len(unclaimed) > _SHOWN else ""
        raise ConfigError(
            f"no optimizer takes {', '.join(unclaimed[:_SHOWN])}{more}; widen a params, add an optimizer, or "
            "set requires_grad = False on what shall not be trained"
        )
    for spec in specs:
        if not claims[spec.name]:
            raise ConfigError(
                f"optimizers.{spec.name}.params is {spec.params!r}, which is part of no trainable "
                "parameter's "
                f"name; there are {', '.join(list(parameters)[:_SHOWN])}"
                f"{' and others' if len(parameters) > _SHOWN else ''}"
            )
    return claims
