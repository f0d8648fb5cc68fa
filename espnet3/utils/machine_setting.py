"""The machine setting that is in force in this process: which `env`, how many workers, which options."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from esp3rt.slurm.settings import Settings


class _Closes(Protocol):
    def close(self) -> None: ...


Made = TypeVar("Made", bound=_Closes)


@dataclass(slots=True)
class _InForce:
    """A setting, whether its end is known, and what was made for it until then."""

    setting: DictConfig | None = None
    ends: bool = False
    made: _Closes | None = None


_now = _InForce()
# Where everything is to run instead of where settings say: "here", "debug", or "job" inside of one. None: where they say.
_instead: str | None = None


@contextmanager
def run_instead(place: str | None) -> Iterator[None]:
    """For a while, let settings that ask for other machines mean this one.

    Args:
        place: `here`: as many workers, as far as this machine has cores or GPUs for them; `debug`: this process, whatever
            they say; `job`: this process, where they ask for jobs; None: where they say.
    """
    global _instead
    before, _instead = _instead, place
    try:
        yield
    finally:
        _instead = before


def meant(setting: Any) -> Any:
    """What a setting means where `run_instead` is in force."""
    if setting is None or _instead is None:
        return setting
    env = setting.get("env") or "local"
    if _instead == "debug":
        return _local(setting, 1)
    if env in ("local", "local_gpu") or (_instead == "job" and env != "slurm"):
        return setting
    return _local(setting, 1 if _instead == "job" else min(n_workers(setting), _places()))


def _local(setting: Any, workers: int) -> DictConfig:
    from omegaconf import OmegaConf

    shards = {} if setting.get("n_shards") is None else {"n_shards": setting.get("n_shards")}
    env = "local_gpu" if workers > 1 and _gpus() else "local"
    bad = (setting.get("options") or {}).get("max_bad_items")
    options = {} if bad is None else {"options": {"max_bad_items": bad}}
    return OmegaConf.create({"env": env, "n_workers": workers, **shards, **options})


def _places() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _gpus() or cores


def _gpus() -> int:
    from esp3rt.processes import gpu_count

    return gpu_count()


@contextmanager
def parallel_in_force(setting: DictConfig | None) -> Iterator[None]:
    """Put a setting in force for a while; None leaves the one that is.

    What is made for it (worker processes) is kept from one use to the next and ends with the block.
    """
    global _now
    setting = meant(setting)
    if setting is None or (_now.ends and setting == _now.setting):
        yield
        return
    before, _now = _now, _InForce(setting, ends=True)
    try:
        yield
    finally:
        ended, _now = _now, before
        if ended.made is not None:
            ended.made.close()


def set_parallel(config: DictConfig | None) -> None:
    """Put the setting `config` (`env`, `n_workers`, `options`) in force; None takes it away."""
    global _now
    if _now.made is not None:
        _now.made.close()
    _now = _InForce(meant(config), _now.ends)


def get_parallel_config() -> DictConfig | None:
    """The setting in force, or None."""
    return _now.setting


def made_for_setting(make: Callable[[bool], Made]) -> Made:
    """What `make(keep)` makes for the setting in force: once, where it is known when the setting ends."""
    if not _now.ends:
        return make(False)
    if _now.made is None:
        _now.made = make(True)
    return _now.made  # type: ignore[return-value]


def n_workers(setting: DictConfig | Mapping[str, Any] | None) -> int:
    """How many workers a setting asks for.

    Raises:
        ConfigError: It is no positive whole number.
    """
    workers = (setting or {}).get("n_workers")
    if workers is None:
        return 1
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigError(f"parallel.n_workers must be a positive whole number, not {workers!r}")
    return workers


def settings_of(setting: DictConfig | Mapping[str, Any]) -> Settings:
    """What a setting with `env: slurm` asks of SLURM.

    Raises:
        ConfigError: An option does not fit.
    """
    from omegaconf import OmegaConf

    from esp3rt.slurm.settings import SettingError, read_settings

    plain = OmegaConf.to_container(setting, resolve=True) if OmegaConf.is_config(setting) else setting
    n_workers(plain)  # type: ignore[arg-type]
    try:
        return read_settings(plain)  # type: ignore[arg-type]
    except SettingError as error:
        raise ConfigError(str(error)) from error
