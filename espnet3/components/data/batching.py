"""Which items form a batch, and in which order the batches come.

Plain numbers only: nothing here knows of datasets or tensors. Everything is a pure function of its arguments,
so that all ranks of a distributed training compute the same plan without talking to each other.

Items have sizes: one column for each field that counts (how many numbers the item has in it). A batch is
padded to its longest item, so it costs `items × Σ over columns of the largest size`, its *bins*.

With `batch_bins` the items are sorted by size and cut into batches from the front, each as large as the
limit allows. For the cutting, sizes are rounded up to steps of about 3 %. Items on the same step are then
exchangeable: they are drawn anew in every epoch, so that the company of an item changes while the number of
batches does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sizes = NDArray[np.int64]
Batch = list[int]

# The size of a step relative to the size: 2^-5.
_STEP_BITS = 5


@dataclass(frozen=True, kw_only=True)
class BatchRule:
    """How a split is cut into batches.

    Attributes:
        batch_size: Items a batch, or `None`.
        batch_bins: The largest bins of a batch, or `None`. Exactly one of the two is given.
        by_length: Whether items of like size come together (always so with `batch_bins`).
        shuffle: Whether the items and the batches come in another order in every epoch.
        drop_last: Whether a last batch with fewer than `batch_size` items is left out.
    """

    batch_size: int | None = None
    batch_bins: int | None = None
    by_length: bool = False
    shuffle: bool = False
    drop_last: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "batch_bins"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a positive whole number, not {value!r}")
        if (self.batch_size is None) == (self.batch_bins is None):
            raise ValueError("give either batch_size or batch_bins")

    @property
    def needs_sizes(self) -> bool:
        """Whether the items' sizes must be known."""
        return self.batch_bins is not None or self.by_length


def plan_batches(count: int, rule: BatchRule, *, sizes: Sizes | None, seed: int, epoch: int) -> list[Batch]:
    """Cut `count` items into batches for one epoch.

    Args:
        count: How many items there are.
        rule: How to cut.
        sizes: Sizes of shape (count, columns); needed where `rule.needs_sizes`.
        seed, epoch: What the shuffling depends on.

    Returns:
        Lists of item numbers. Each item is in exactly one batch (but for `drop_last`), no batch is empty, and
        the number of batches is the same in every epoch.
    """
    random = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, epoch])
    if not rule.needs_sizes:
        order = random.permutation(count) if rule.shuffle else np.arange(count)
        return _cut_by_count(order, rule.batch_size or 1, rule.drop_last)
    assert sizes is not None and sizes.shape[0] == count
    if rule.batch_bins is None:
        batches = _cut_by_count(_sorted_order(sizes, random, rule.shuffle), rule.batch_size or 1, rule.drop_last)
    else:
        steps = _round_up(sizes, rule.batch_bins) if rule.shuffle else sizes
        order = _sorted_order(steps, random, rule.shuffle)
        batches = _cut_by_bins(order, steps, rule.batch_bins)
    return batches


def share_batches(batches: Sequence[Batch], world_size: int) -> tuple[list[list[Batch]], int]:
    """Hand out batches to ranks so that each gets as many, and each batch goes to one rank.

    Batches that stand next to each other go to different ranks at the same time, so that with sorted batches
    no rank waits long for another. Where the number does not come out even, the largest batches are halved;
    where there are too few items for that, some batches go to two ranks.

    Returns:
        One list of batches a rank, and how many batches had to be repeated.
    """
    shared = [list(batch) for batch in batches]
    while shared and len(shared) % world_size:
        largest = max(range(len(shared)), key=lambda place: len(shared[place]))
        if len(shared[largest]) < 2:
            break
        batch = shared[largest]
        shared[largest : largest + 1] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
    repeated = -len(shared) % world_size if shared else 0
    for place in range(repeated):
        shared.append(list(shared[place % len(shared)]))
    return [shared[rank::world_size] for rank in range(world_size)], repeated


def shuffle_groups(ranks: Sequence[Sequence[Batch]], *, seed: int, epoch: int) -> list[list[Batch]]:
    """Shuffle the batches of all ranks in the same way, so that what ran at the same time still does."""
    steps = len(ranks[0]) if ranks else 0
    order = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, epoch, 1]).permutation(steps)
    return [[rank[step] for step in order] for rank in ranks]


def padded_bins(batch: Sequence[int], sizes: Sizes) -> int:
    """Give the bins of a batch: items × the sum over columns of the largest size."""
    return len(batch) * int(sizes[list(batch)].max(axis=0).sum())


def padding_waste(batches: Sequence[Sequence[int]], sizes: Sizes) -> float:
    """Give which part of all padded batches is padding, between 0 and 1."""
    padded = sum(padded_bins(batch, sizes) for batch in batches)
    real = sum(int(sizes[list(batch)].sum()) for batch in batches)
    return 1.0 - real / padded if padded else 0.0


def _sorted_order(sizes: Sizes, random: np.random.Generator, shuffle: bool) -> NDArray[np.int64]:
    count = sizes.shape[0]
    ties: NDArray[Any] = random.permutation(count) if shuffle else np.arange(count)
    # The last key is the first to sort by; longest first, so that memory runs out at once or never.
    return np.lexsort((ties, *(-sizes[:, column] for column in reversed(range(sizes.shape[1])))))


def _round_up(sizes: Sizes, limit: int) -> Sizes:
    """Round sizes up to the next step, but not an item that fits alone over the limit."""
    bits = np.zeros_like(sizes)
    bits[sizes > 0] = np.floor(np.log2(sizes[sizes > 0])).astype(np.int64)
    step = np.left_shift(np.int64(1), np.maximum(bits - _STEP_BITS, 0))
    rounded = (sizes + step - 1) // step * step
    fits = sizes.sum(axis=1) <= limit
    too_far = fits & (rounded.sum(axis=1) > limit)
    rounded[too_far] = sizes[too_far]
    return rounded


def _cut_by_count(order: NDArray[np.int64], size: int, drop_last: bool) -> list[Batch]:
    batches = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    if drop_last and batches and len(batches[-1]) < size:
        batches.pop()
    return batches


def _cut_by_bins(order: NDArray[np.int64], sizes: Sizes, limit: int) -> list[Batch]:
    rows = sizes.tolist()
    batches: list[Batch] = []
    batch: Batch = []
    widest: list[int] = [0] * sizes.shape[1]
    for item in order.tolist():
        wider = [max(pair) for pair in zip(widest, rows[item], strict=True)]
        if batch and (len(batch) + 1) * sum(wider) > limit:
            batches.append(batch)
            batch, wider = [], rows[item]
        batch.append(item)
        widest = wider
    if batch:
        batches.append(batch)
    return batches
