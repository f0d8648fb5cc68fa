"""A provider for work that has a dataset and a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from espnet3.parallel.env_provider import EnvironmentProvider, worker_setup

if TYPE_CHECKING:
    from omegaconf import DictConfig


class InferenceProvider(EnvironmentProvider, ABC):
    """Provides `dataset`, `model` and every entry of `params`.

    A subclass says how the two are built from the config. They are built once, when the provider is made,
    by the same function that a worker would call.
    """

    def __init__(self, config: DictConfig, params: dict[str, Any] | None = None) -> None:
        super().__init__(config)
        self.params = params or {}
        self._local_env = worker_setup(self)()

    @staticmethod
    @abstractmethod
    def build_dataset(config: DictConfig) -> Any:
        """Build what has `len()` and `[index]`."""

    @staticmethod
    @abstractmethod
    def build_model(config: DictConfig) -> Any:
        """Build what `forward` calls."""

    def build_env_local(self) -> dict[str, Any]:
        """The environment that was built with the provider; a new dict of the same objects."""
        return dict(self._local_env)

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        """Return the function that builds dataset and model from the config."""
        config, params = self.config, self.params
        build_dataset, build_model = type(self).build_dataset, type(self).build_model

        def setup() -> dict[str, Any]:
            return {"dataset": build_dataset(config), "model": build_model(config), **params}

        return setup
