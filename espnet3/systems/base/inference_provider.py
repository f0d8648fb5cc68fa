"""The provider of the stage infer: one named test set and the model of the inference config."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.utils.errors import ConfigError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig


class InferenceProvider(EnvironmentProvider, ABC):
    """Provides `dataset`, `model` and every entry of `params`, each built when it is first needed.

    A subclass changes `build_dataset` or `build_model`, which take the inference config; `config.test_set`
    says which test set is meant.
    """

    def __init__(self, inference_config: DictConfig | None = None, params: dict[str, Any] | None = None) -> None:
        from omegaconf import OmegaConf

        super().__init__(OmegaConf.create({}) if inference_config is None else inference_config)
        self.params = params or {}
        self._dataset: Any = None
        self._models: list[Any] = []

    def for_test_set(self, config: DictConfig) -> InferenceProvider:
        """A provider of the same kind for another test set, which shares the model with this one."""
        other = type(self)(config, self.params)
        other._models = self._models
        return other

    @property
    def dataset(self) -> Any:
        """The test set, built on the first use."""
        if self._dataset is None:
            self._dataset = self.build_dataset(self.config)
        return self._dataset

    @property
    def model(self) -> Any:
        """The model, built on the first use."""
        if not self._models:
            self._models.append(self.build_model(self.config))
        return self._models[0]

    def build_env_local(self) -> dict[str, Any]:
        """Build dataset and model, once, and return them with the params."""
        return {"dataset": self.dataset, "model": self.model, **self.params}

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        """Return the function that builds dataset and model in a worker."""
        config, params = self.config, self.params
        build_dataset, build_model = type(self).build_dataset, type(self).build_model

        def setup() -> dict[str, Any]:
            return {"dataset": build_dataset(config), "model": build_model(config), **params}

        return setup

    @staticmethod
    def build_dataset(config: DictConfig) -> Any:
        """Build the test set `config.test_set` from `config.dataset`.

        Raises:
            ConfigError: The dataset has no such test set.
        """
        from espnet3.utils.instantiation import instantiate

        organizer = instantiate(config.dataset, "dataset")
        tests = organizer.test
        name = config.test_set
        if not tests or name not in tests:
            known = list(tests or ())
            raise ConfigError(f"dataset.test has {listed(known)}, not {name!r}{did_you_mean(name, known)}")
        return tests[name]

    @staticmethod
    def build_model(config: DictConfig) -> Any:
        """Build `config.model`. A torch module is put into evaluation mode and on `config.device`.

        Without a `device` in the config, a module goes to the GPU if there is one.
        """
        from espnet3.utils.instantiation import instantiate

        if config.get("model") is None:
            raise ConfigError("the inference config has no `model`: name one with model: {_target_: ...}")
        model = instantiate(config.model, "model")
        module_class = _module_class()
        if module_class is not None and isinstance(model, module_class):
            import torch

            device = config.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
            model = model.to(device).eval()
        return model


def _module_class() -> Any:
    import sys

    # A model that is a torch module has had torch imported; without it there is nothing to ask.
    torch = sys.modules.get("torch")
    return None if torch is None else torch.nn.Module
