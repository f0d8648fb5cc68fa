"""A dataset module beside `dataset`: the labelled clips in shards, one of which is an epoch.

For data of which an epoch is too much, `dataloader.train.total_shards` goes through them shard by shard.
"""

from pathlib import Path
from typing import Any

from espnet3.components.data.dataset import ShardedDataset

from dataset.clips import Clips


class Dataset(ShardedDataset):
    """All clips of some splits, or those of one shard.

    Args:
        splits: Splits of `dataset.clips.Clips`.
        n_shards: How many shards there are.
        recipe_dir: The recipe's folder, which holds `data`.
    """

    def __init__(self, splits: list[str], n_shards: int, recipe_dir: str | Path = ".") -> None:
        self._parts = [Clips(split, noisy=True, recipe_dir=recipe_dir) for split in splits]
        self._places = [(part, index) for part in range(len(self._parts)) for index in range(len(self._parts[part]))]
        self.n_shards = n_shards

    def __len__(self) -> int:
        """The number of clips."""
        return len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item number `index`: `utt_id`, `speech` (float32[time]), `text`."""
        part, place = self._places[index]
        return self._parts[part][place]

    def shard(self, idx: int) -> "Dataset":
        """The clips of shard `idx`: every `n_shards`th one."""
        shard = object.__new__(Dataset)
        shard._parts, shard.n_shards = self._parts, self.n_shards
        shard._places = self._places[idx % self.n_shards :: self.n_shards]
        return shard
