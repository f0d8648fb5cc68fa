"""The machine setting that is in force in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

_in_force: DictConfig | None = None


def set_parallel(config: DictConfig | None) -> None:
    """Put the setting `config` (`env`, `n_workers`, `options`) in force; None takes it away."""
    global _in_force
    _in_force = config


def get_parallel_config() -> DictConfig | None:
    """The setting in force, or None."""
    return _in_force
