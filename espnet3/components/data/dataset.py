"""Datasets around datasets: transforms and preprocessors applied, several mixed into one split."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from torch.utils.data import Dataset


def do_nothing(*x: Any) -> Any:
    """Give back what came: one value as itself, several as a tuple."""
    return x[0] if len(x) == 1 else x


class ShardedDataset(ABC, Dataset[Any]):
    """A dataset that can hand out a part of itself, for data that is too large to be walked at once."""

    @abstractmethod
    def shard(self, idx: int) -> "Dataset[Any]":
        """Give the dataset of shard `idx`."""


class DatasetWithTransform:
    """A dataset whose samples pass a transform and then a preprocessor.

    Args:
        dataset: Anything with `__len__` and `__getitem__` that gives sample dicts.
        transform: `dict -> dict`, or `None`.
        preprocessor: `dict -> dict`, or in ESPnet2's manner `(uid, dict) -> dict`.
        use_espnet_preprocessor: Whether the preprocessor takes `(uid, dict)`.
    """

    def __init__(
        self,
        dataset: Any,
        transform: Callable[..., Any] | None,
        preprocessor: Callable[..., Any] | None,
        use_espnet_preprocessor: bool = False,
    ) -> None:
        self.dataset = dataset
        self.transform = transform or do_nothing
        self.preprocessor = preprocessor or do_nothing
        self.use_espnet_preprocessor = use_espnet_preprocessor

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        return _apply(self.dataset, idx, str(idx), self.transform, self.preprocessor, self.use_espnet_preprocessor)

    def __call__(self, idx: int) -> Any:
        """Same as `dataset[idx]`."""
        return self[idx]


class CombinedDataset:
    """Several datasets one after another, as one split.

    Sample `idx` is the `idx`-th of the concatenation. With `use_espnet_collator` a sample comes as
    `(uid, dict)`, which is what ESPnet2's collate functions take; the uid is the sample's `utt_id`, or its
    index.

    Args:
        datasets: The datasets, in order.
        transforms: One pair `(transform, preprocessor)` a dataset.
        use_espnet_preprocessor: Whether the preprocessors take `(uid, dict)`.

    Raises:
        ValueError: There are not as many pairs as datasets.
    """

    def __init__(
        self,
        datasets: list[Any],
        transforms: list[tuple[Callable[..., Any], Callable[..., Any]]],
        use_espnet_preprocessor: bool = False,
    ) -> None:
        if len(datasets) != len(transforms):
            raise ValueError(
                f"{len(datasets)} datasets need as many (transform, preprocessor) pairs, got {len(transforms)}"
            )
        self.datasets = list(datasets)
        self.transforms = list(transforms)
        self.use_espnet_preprocessor = use_espnet_preprocessor
        self._use_espnet_collator = False
        self._ends = list(accumulate(len(dataset) for dataset in self.datasets))

    @property
    def use_espnet_collator(self) -> bool:
        """Whether samples come as `(uid, dict)`."""
        return self._use_espnet_collator

    @use_espnet_collator.setter
    def use_espnet_collator(self, value: bool) -> None:
        self._use_espnet_collator = bool(value)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, idx: int) -> Any:
        position = idx + len(self) if idx < 0 else idx
        if not 0 <= position < len(self):
            raise IndexError(f"index {idx} of a dataset with {len(self)} samples")
        which = bisect_right(self._ends, position)
        offset = position - (self._ends[which - 1] if which else 0)
        transform, preprocessor = self.transforms[which]
        sample = _apply(
            self.datasets[which],
            offset,
            str(position),
            transform,
            preprocessor,
            self.use_espnet_preprocessor,
        )
        return with_uid(sample, str(position)) if self._use_espnet_collator else sample

    def shard(self, shard_idx: int) -> "CombinedDataset":
        """Give the same split made of shard `shard_idx` of every dataset.

        Raises:
            TypeError: A dataset has no shards.
        """
        shards: CombinedDataset = shard_of(self, shard_idx)
        return shards


def shard_of(split: Any, shard_idx: int) -> Any:
    """Give a split of several datasets, made of shard `shard_idx` of each.

    Raises:
        TypeError: A dataset has no shards.
    """
    for dataset in split.datasets:
        if not callable(getattr(dataset, "shard", None)):
            raise TypeError(
                f"total_shards needs datasets with a method shard(idx); {type(dataset).__name__} has none "
                "(derive it from espnet3.components.data.dataset.ShardedDataset)"
            )
    datasets = [dataset.shard(shard_idx) for dataset in split.datasets]
    shards = type(split)(datasets, split.transforms, split.use_espnet_preprocessor)
    shards.use_espnet_collator = split.use_espnet_collator
    return shards


def with_uid(sample: Any, fallback: str) -> Any:
    """Give a sample as `(uid, dict)`, the form that ESPnet2's collate functions take."""
    if isinstance(sample, tuple):
        return sample
    return _uid(sample, fallback), {key: value for key, value in sample.items() if key != "utt_id"}


def _apply(
    dataset: Any,
    idx: int,
    fallback_uid: str,
    transform: Callable[..., Any],
    preprocessor: Callable[..., Any],
    use_espnet_preprocessor: bool,
) -> Any:
    label = f"{type(dataset).__name__}[{idx}]"
    return passed_through(dataset[idx], label, fallback_uid, (transform, preprocessor), use_espnet_preprocessor)


def passed_through(
    sample: Any,
    label: str,
    fallback_uid: str,
    transforms: tuple[Callable[..., Any], Callable[..., Any]],
    use_espnet_preprocessor: bool,
) -> Any:
    """Give a sample behind its transform and its preprocessor.

    Args:
        sample: What the dataset gave.
        label: What to call it in an error.
        fallback_uid: Its name, where it has no `utt_id`.
        transforms: The transform and the preprocessor.
        use_espnet_preprocessor: Whether the preprocessor takes `(uid, dict)`.

    Raises:
        TypeError: The sample, or what one of the two gives, is no dict.
    """
    transform, preprocessor = transforms
    if not isinstance(sample, Mapping):
        raise TypeError(
            f"a sample must be a dict such as {{'utt_id': ..., 'speech': ...}}; {label} gave {type(sample).__name__}"
        )
    sample = _mapping(transform(dict(sample)), "transform", transform)
    if not use_espnet_preprocessor:
        return _mapping(preprocessor(sample), "preprocessor", preprocessor)
    uid = _uid(sample, fallback_uid)
    fields = {key: value for key, value in sample.items() if key != "utt_id"}
    processed = _mapping(preprocessor(uid, fields), "preprocessor", preprocessor)
    # ESPnet2's preprocessors drop what they do not know; the name of the utterance is needed further on.
    return {"utt_id": uid, **processed} if "utt_id" in sample else processed


def _uid(sample: Mapping[str, Any], fallback: str) -> str:
    uid = sample.get("utt_id")
    return fallback if uid is None else str(uid)


def _mapping(value: Any, what: str, function: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    name = getattr(function, "__qualname__", type(function).__qualname__)
    raise TypeError(f"the {what} {name} must give back the sample dict, and gave {type(value).__name__}")
