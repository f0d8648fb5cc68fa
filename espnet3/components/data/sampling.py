"""Batches of a plan as a torch sampler, with the randomness of a batch tied to the batch."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from espnet3.components.data.batching import (
    Batch,
    BatchRule,
    Sizes,
    padding_waste,
    plan_batches,
    share_batches,
    shuffle_groups,
)
from espnet3.components.data.seeding import derive_seed, seeded


class SeededList(list[Any]):
    """A list that carries the seed of its batch, from the sampler to the dataset and on to the collation."""

    seed: int = 0

    @classmethod
    def of(cls, items: Sequence[Any], seed: int) -> "SeededList":
        """Give `items` with a seed."""
        made = cls(items)
        made.seed = seed
        return made


class PlannedBatches(Sampler[SeededList]):
    """The batches of this rank, epoch by epoch.

    Args:
        count: How many items the dataset has.
        rule: How they are cut into batches.
        sizes: The items' sizes where the rule needs them.
        seed: What the order and the batches' randomness depend on, with the epoch.
        epoch: The epoch to begin with; `set_epoch` moves on.
        world_size, rank: This process among those that train together.
    """

    def __init__(
        self,
        count: int,
        rule: BatchRule,
        *,
        sizes: Sizes | None,
        seed: int,
        epoch: int = 0,
        world_size: int = 1,
        rank: int = 0,
    ) -> None:
        self.rule = rule
        self.sizes = sizes
        self.seed = seed
        self.epoch = epoch
        self.world_size = world_size
        self.rank = rank
        self.repeated = 0
        self._count = count
        self._skip = 0
        self._planned: tuple[int, list[Batch]] | None = None

    @property
    def sampler(self) -> "PlannedBatches":
        """Itself: the place where trainers look for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to the plan of `epoch` from the next iteration on."""
        self.epoch = epoch

    def skip_next(self, batches: int) -> None:
        """Leave out so many batches at the beginning of the next iteration, and of that one only."""
        self._skip = batches

    def batches(self) -> list[Batch]:
        """Give this rank's batches of the current epoch."""
        if self._planned is None or self._planned[0] != self.epoch:
            planned = plan_batches(self._count, self.rule, sizes=self.sizes, seed=self.seed, epoch=self.epoch)
            ranks, self.repeated = share_batches(planned, self.world_size)
            if self.rule.shuffle and self.rule.needs_sizes:
                ranks = shuffle_groups(ranks, seed=self.seed, epoch=self.epoch)
            self._planned = self.epoch, ranks[self.rank] if ranks else []
        return self._planned[1]

    def waste(self) -> float | None:
        """Give the part of the batches that is padding, if sizes are known."""
        return None if self.sizes is None else padding_waste(self.batches(), self.sizes)

    def __len__(self) -> int:
        return len(self.batches())

    def __iter__(self) -> Iterator[SeededList]:
        skip, self._skip = self._skip, 0
        epoch = self.epoch
        for number, batch in enumerate(self.batches()):
            if number >= skip:
                yield SeededList.of(batch, derive_seed("batch", self.seed, epoch, number, self.rank))


class SeededDataset(Dataset[Any]):
    """A dataset that loads a batch with the batch's own randomness, and leaves everybody else's alone."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, indices: SeededList) -> SeededList:
        with seeded(indices.seed):
            load = getattr(self.dataset, "__getitems__", None)
            items = load(indices) if callable(load) else [self.dataset[index] for index in indices]
        return SeededList.of(items, indices.seed)


class SeededCollate:
    """A collate function that runs with the randomness of its batch."""

    def __init__(self, collate_fn: Callable[[list[Any]], Any]) -> None:
        self.collate_fn = collate_fn

    def __call__(self, items: list[Any]) -> Any:
        assert isinstance(items, SeededList)
        with seeded(derive_seed("collate", items.seed)):
            return self.collate_fn(list(items))


class BatchLoader(DataLoader[Any]):
    """A DataLoader that knows how many batches of an epoch it has given and can begin behind them.

    Lightning stores `state_dict` in its checkpoints and hands it back, so that a training that is taken up
    inside an epoch goes on with the next batch.
    """

    _given = 0

    def state_dict(self) -> dict[str, int]:
        """Give how many batches of this epoch are done."""
        return {"batches": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next iteration behind that many batches."""
        self._given = state["batches"]
        if isinstance(self.batch_sampler, PlannedBatches):
            self.batch_sampler.skip_next(self._given)

    def __iter__(self) -> Any:
        sampler = self.batch_sampler
        self._given = sampler._skip if isinstance(sampler, PlannedBatches) else 0
        for batch in super().__iter__():
            self._given += 1
            yield batch


class WorkerSeeds:
    """Seeds a data worker when it starts; a batch sets its own seed afterwards."""

    def __init__(self, seed: int, epoch: int) -> None:
        self.seed = seed
        self.epoch = epoch

    def __call__(self, worker: int) -> None:
        from espnet3.components.data.seeding import seed_all

        seed_all(derive_seed("worker", self.seed, self.epoch, worker))
        # One thread a worker: more fight over the cores that the others need.
        torch.set_num_threads(1)
        # A job's end is told to each of its processes; what is to be done about it is the training's to say.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
