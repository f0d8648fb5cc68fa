"""The machine setting that is in force in this process: which `env`, how many workers, which options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


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


@contextmanager
def parallel_in_force(setting: DictConfig | None) -> Iterator[None]:
    """Put a setting in force for a while; None leaves the one that is.

    What is made for it (worker processes) is kept from one use to the next and ends with the block.
    """
    global _now
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
    _now = _InForce(config, _now.ends)


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
