"""Datasets that only iterate: shared out among ranks and loader workers, taken up again, mixed."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet3.components.data.data_organizer import DataOrganizer
from espnet3.components.data.dataloader import DataLoaderBuilder, DataLoaderError
from espnet3.components.data.dataset import ShardedDataset
from espnet3.components.data.lengths import read_shape_file
from espnet3.components.data.stats_environment import build_env, to_config
from espnet3.components.data.streams import CombinedStream, StreamLoader
from espnet3.utils.errors import ConfigError


class Shuffled(torch.utils.data.IterableDataset[Any]):
    """Gives its numbers in an order drawn from Python's own generator, as many datasets do."""

    def __init__(self, count: int = 10, start: int = 0) -> None:
        self.count, self.start = count, start

    def __iter__(self) -> Iterator[Any]:
        order = random.sample(range(self.count), self.count)
        for index in order:
            yield {"utt_id": f"u{self.start + index}", "value": torch.tensor([self.start + index])}

    def shard(self, index: int) -> "Shuffled":
        return Shuffled(3, 100 * (index + 1))


class SharesItself(Shuffled):
    """Gives each loader worker a part of its own."""

    shares_itself = True

    def __iter__(self) -> Iterator[Any]:
        info = torch.utils.data.get_worker_info()
        for index in range(0 if info is None else info.id, self.count, 1 if info is None else info.num_workers):
            yield {"value": torch.tensor([index])}


class ByNumber(ShardedDataset):
    """An ordinary dataset beside a stream."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return {"utt_id": f"n{index}", "value": torch.tensor([1000 + index])}

    def shard(self, idx: int) -> "ByNumber":
        return self


def add_noise(sample: dict[str, Any]) -> dict[str, Any]:
    return {**sample, "noise": torch.rand(1)}


def values(loader: Any) -> list[int]:
    return [int(value) for batch in loader for value in batch["value"].flatten()]


def loader_of(dataset: Any, epoch: int = 0, **options: Any) -> Any:
    config = {"dataloader": {"train": {"batch_size": 3, **options}}, "seed": 7}
    return DataLoaderBuilder(dataset, config, None, num_device=1, epoch=epoch).build("train")


def consumers(count: int, ranks: int, workers: int) -> list[list[int]]:
    """What each rank gets of a stream, through as many workers."""
    found = []
    for rank in range(ranks):
        loader = loader_of(Shuffled(count), num_workers=workers)
        loader.dataset.world_size, loader.dataset.rank = ranks, rank
        found.append(values(loader))
    return found


@pytest.mark.parametrize(("count", "ranks", "workers"), [(10, 1, 2), (10, 3, 0), (9, 3, 2), (1, 2, 0), (0, 2, 0)])
def test_a_stream_is_shared_out(count: int, ranks: int, workers: int) -> None:
    """Every item goes to one process; a rank without an item for the last round gets one from the beginning."""
    found = consumers(count, ranks, workers)
    given = [value for rank in found for value in rank]

    assert {len(rank) for rank in found} == {-(-count // ranks)}
    assert sorted(set(given)) == list(range(count))
    assert len(given) - count == -count % ranks


def test_a_dataset_that_shares_itself_out_is_taken_as_it_comes() -> None:
    """Nothing is left out twice."""
    assert sorted(values(loader_of(SharesItself(7), num_workers=2))) == list(range(7))


def test_randomness_hangs_on_seed_epoch_and_item() -> None:
    """Not on the number of workers; another epoch draws anew."""
    stream = CombinedStream([Shuffled(6)], [(add_noise, dict)])

    def drawn(workers: int, epoch: int) -> dict[int, float]:
        loader = loader_of(stream, epoch=epoch, num_workers=workers)
        rows = [row for batch in loader for row in zip(batch["value"], batch["noise"], strict=True)]
        return {int(value): float(noise) for value, noise in rows}

    before = random.getstate()
    alone = drawn(0, 0)
    again = drawn(2, 0)
    later = drawn(0, 1)

    assert alone == again
    assert alone != later
    assert random.getstate() == before


def test_the_trainer_moves_the_epoch_on_where_it_looks_for_it() -> None:
    """Lightning tells a loader's sampler; a dataset that wants to know is told, too."""
    loader = loader_of(Shuffled(8))
    first = values(loader)
    loader.sampler.set_epoch(1)
    second = values(loader)

    assert first != second
    assert sorted(first) == sorted(second)


def test_a_stream_goes_on_behind_the_batches_that_are_done() -> None:
    """As the loader of an ordinary dataset does."""
    whole = values(loader_of(Shuffled(10)))
    loader = loader_of(Shuffled(10))
    batches = iter(loader)
    next(batches)
    next(batches)
    taken_up = loader_of(Shuffled(10))
    taken_up.load_state_dict(loader.state_dict())

    assert values(taken_up) == whole[6:]
    assert values(taken_up) == whole


def test_streams_and_ordinary_datasets_mix_in_one_split() -> None:
    """One after another, each with its transform; shards are those of all."""
    organizer = DataOrganizer(train=[Shuffled(4), ByNumber()], preprocessor=add_noise)
    loader = loader_of(organizer.train)
    shards = [sorted(values(loader_of(organizer.train, epoch=epoch, total_shards=2))) for epoch in range(3)]

    assert isinstance(loader, StreamLoader)
    assert sorted(values(loader)) == [0, 1, 2, 3, 1000, 1001]
    assert shards[0] == [100, 101, 102, 1000, 1001]
    assert shards[1] == [200, 201, 202, 1000, 1001]
    assert shards[2] == shards[0]


def test_what_a_stream_cannot_do(tmp_path: Path) -> None:
    """Batches by length, test sets and shapes need items with numbers; the message says what to do."""
    with pytest.raises(DataLoaderError, match=r"batch_bins needs .* dataset.train only iterates"):
        loader_of(Shuffled(), batch_size=None, batch_bins=100)
    with pytest.raises(ConfigError, match=r"dataset.test\[0\]: Shuffled only iterates"):
        DataOrganizer(test=[Shuffled()])
    parts = {"dataset": {"train": [{"_target_": f"{__name__}.Shuffled"}]}, "mode": "train", "shard_idx": None}
    with pytest.raises(ConfigError, match="leave the stage collect_stats out"):
        build_env(to_config({**parts, "collate_fn": None, "model": None, "task": None}), {})


def test_names_may_hold_other_line_ends(tmp_path: Path) -> None:
    """A shape file has a line for each "\\n", and no other."""
    names = ["a\u2028b", "c\u0085d", "e f"]
    path = tmp_path / "speech_shape"
    path.write_text("".join(f"{name} {size},80\n" for size, name in enumerate(names)), encoding="utf-8")

    assert read_shape_file(path) == (names, [(0, 80), (1, 80), (2, 80)])
