"""How long the clips are."""

from collections.abc import Callable, Iterable
from typing import Any

from hydra.utils import instantiate

from espnet3.parallel.base_runner import BaseRunner
from espnet3.parallel.env_provider import EnvironmentProvider


class LengthProvider(EnvironmentProvider):
    """The validation set."""

    def build_env_local(self) -> dict[str, Any]:
        return {"dataset": instantiate(self.config.dataset).valid}

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        config = self.config

        def setup() -> dict[str, Any]:
            return {"dataset": instantiate(config.dataset).valid}

        return setup


class LengthRunner(BaseRunner):
    """The samples of each clip, as a list."""

    @staticmethod
    def forward(idx: int | Iterable[int], dataset: Any, **env: Any) -> int:
        return len(dataset[idx]["waveform"])
