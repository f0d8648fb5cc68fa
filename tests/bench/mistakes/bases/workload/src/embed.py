"""An embedding of every clip, written to text files."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider


class EmbeddingProvider(EnvironmentProvider):
    """Builds the training set and a network of `width` units, once a worker."""

    def __init__(self, config: DictConfig, width: int) -> None:
        super().__init__(config)
        self.width = width

    def build_env_local(self) -> dict[str, Any]:
        return self.build_worker_setup_fn()()

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        config, width = self.config, self.width

        def setup() -> dict[str, Any]:
            return {
                "dataset": instantiate(config.dataset).train,
                "network": torch.nn.Linear(64, width),
            }

        return setup


class EmbeddingRunner(BaseRunner):
    """Writes a line a clip to `embeddings.txt`."""

    @staticmethod
    def forward(idx: int | Iterable[int], dataset: Any, network: Any, **env: Any) -> list[tuple[str, list[float]]]:
        indices = [idx] if isinstance(idx, int) else list(idx)
        samples = [dataset[index] for index in indices]
        return [(one["clip_id"], network(torch.from_numpy(one["spectrum"])).tolist()) for one in samples]

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"text": (shard_dir / "embeddings.txt").open("w", encoding="utf-8")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        for clip_id, values in result:
            writers["text"].write(f"{clip_id} {values}\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        writers["text"].close()

    def merge(self, shard_dirs: list[Path]) -> None:
        assert self.output_dir is not None
        concatenate_shard_files(shard_dirs, "embeddings.txt", self.output_dir / "embeddings.txt")
