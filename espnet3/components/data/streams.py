"""Datasets that only iterate, as one split, shared out among the processes that read it.

A `torch.utils.data.IterableDataset` knows nothing of the others that iterate it as well: the ranks that train together,
and the workers of each rank's loader. Left to itself, each of them would give every item. Here all of them walk the same
stream, with the same randomness, and item number i goes to rank `i % ranks`; a rank's items go to its workers in turn.
The last round is filled up from the beginning of the stream, so that every rank has as many items: training waits for
the slowest, and would wait forever for one that has none left.

Walking past an item costs what the dataset's own iteration costs; transform and preprocessor are called for a
process's own items only. A dataset that shares itself out (it asks `torch.utils.data.get_worker_info()` and the ranks)
says so with a class attribute `shares_itself = True`, and is then taken as it comes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from espnet3.components.data.dataset import passed_through, shard_of, with_uid
from espnet3.components.data.seeding import derive_seed, seeded

_Sample = tuple[int, Any]


def is_stream(dataset: Any) -> bool:
    """Whether a dataset only iterates."""
    by_number = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    return isinstance(dataset, IterableDataset) or (hasattr(dataset, "__iter__") and not by_number)


class CombinedStream(IterableDataset[Any]):
    """Several datasets one after another, at least one of which only iterates, as one split.

    Args:
        datasets: The datasets, in order; one with `__len__` and `__getitem__` is read from its first item to its last.
        transforms: One pair `(transform, preprocessor)` a dataset.
        use_espnet_preprocessor: Whether the preprocessors take `(uid, dict)`.

    Attributes:
        use_espnet_collator: Whether samples come as `(uid, dict)`.
        seed, epoch: What the randomness of the stream depends on.
        world_size, rank: This process among those that train together.
    """

    def __init__(
        self,
        datasets: list[Any],
        transforms: list[tuple[Callable[..., Any], Callable[..., Any]]],
        use_espnet_preprocessor: bool = False,
    ) -> None:
        self.datasets = list(datasets)
        self.transforms = list(transforms)
        self.use_espnet_preprocessor = use_espnet_preprocessor
        self.use_espnet_collator = False
        self.seed = self.epoch = self.rank = 0
        self.world_size = 1

    def set_epoch(self, epoch: int) -> None:
        """Go to another epoch; datasets that have `set_epoch` are told."""
        self.epoch = epoch
        for dataset in self.datasets:
            tell = getattr(dataset, "set_epoch", None)
            if callable(tell):
                tell(epoch)

    def shard(self, shard_idx: int) -> "CombinedStream":
        """Give the same split made of shard `shard_idx` of every dataset.

        Raises:
            TypeError: A dataset has no shards.
        """
        shards: CombinedStream = shard_of(self, shard_idx)
        return shards

    def __iter__(self) -> Iterator[Any]:
        for which, dataset in enumerate(self.datasets):
            shared = getattr(dataset, "shares_itself", False)
            drawn = _drawn(dataset, (self.seed, self.epoch, which, *(self._consumer() if shared else ())))
            for place, sample in drawn if shared else self._own(drawn):
                with seeded(derive_seed("item", self.seed, self.epoch, which, place, self.rank if shared else 0)):
                    made = self._finished(which, place, sample)
                yield made

    def _own(self, drawn: Iterable[_Sample]) -> Iterator[_Sample]:
        """The items of this process, of a stream that all processes walk."""
        rank, (_, worker, workers) = self.rank, self._consumer()
        first: list[_Sample] = []
        count = 0
        for item in drawn:
            if len(first) < self.world_size:
                first.append(item)
            turn, receiver = divmod(count, self.world_size)
            if receiver == rank and turn % workers == worker:
                yield item
            count += 1
        turn, begun = divmod(count, self.world_size)
        if begun and rank >= begun and turn % workers == worker:
            yield first[(rank - begun) % len(first)]

    def _consumer(self) -> tuple[int, int, int]:
        """This process: rank, loader worker, how many workers the loader has."""
        info = get_worker_info()
        return (self.rank, 0, 1) if info is None else (self.rank, info.id, info.num_workers)

    def _finished(self, which: int, place: int, sample: Any) -> Any:
        name = type(self.datasets[which]).__name__
        made = passed_through(
            sample, f"{name}[{place}]", str(place), self.transforms[which], self.use_espnet_preprocessor
        )
        return with_uid(made, str(place)) if self.use_espnet_collator else made


def _drawn(dataset: Any, seeds: tuple[int, ...]) -> Iterator[_Sample]:
    """The items of a dataset with their places.

    Each is drawn with the randomness of its place: a dataset that shuffles by the global generators gives the same order
    in every process.
    """
    by_number = not is_stream(dataset)
    with seeded(derive_seed("stream", *seeds)):
        items = iter(range(len(dataset))) if by_number else iter(dataset)
    place = 0
    while True:
        with seeded(derive_seed("stream", *seeds, place)):
            try:
                item = next(items)
                sample = dataset[item] if by_number else item
            except StopIteration:
                return
        yield place, sample
        place += 1


class StreamLoader(DataLoader[Any]):
    """A DataLoader over a `CombinedStream` that can begin behind the batches of an epoch that are done.

    Lightning stores `state_dict` in its checkpoints and hands it back. The batches that are done are read again and
    passed over.
    """

    _given = 0
    _skip = 0

    def __init__(self, dataset: CombinedStream, **options: Any) -> None:
        super().__init__(dataset, **options)
        # Trainers look for `set_epoch` at the sampler, which torch gives an iterating dataset as a dummy.
        setattr(self.sampler, "set_epoch", dataset.set_epoch)  # noqa: B010 - the dummy has no such attribute

    def state_dict(self) -> dict[str, int]:
        """Give how many batches of this epoch are done."""
        return {"batches": self._given}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Begin the next iteration behind that many batches."""
        self._given = self._skip = state["batches"]

    def __iter__(self) -> Any:
        skip, self._skip, self._given = self._skip, 0, 0
        for batch in super().__iter__():
            self._given += 1
            if self._given > skip:
                yield batch
