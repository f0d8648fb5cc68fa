"""What holds for every plan of batches, whatever the sizes of the items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet3.components.data.batching import (
    BatchRule,
    padded_bins,
    padding_waste,
    plan_batches,
    share_batches,
    shuffle_groups,
)

sizes_of_items = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 60)), min_size=1, max_size=80).map(
    lambda rows: np.array(rows, dtype=np.int64)
)
rules = st.one_of(
    st.builds(BatchRule, batch_bins=st.integers(1, 20000), shuffle=st.booleans()),
    st.builds(BatchRule, batch_size=st.integers(1, 9), by_length=st.booleans(), shuffle=st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(sizes_of_items, rules, st.integers(0, 2**40), st.integers(0, 50))
def test_every_item_once_and_the_limit_kept(sizes: np.ndarray, rule: BatchRule, seed: int, epoch: int) -> None:
    """No item is lost or doubled, and only an item that is too large alone breaks the limit, alone."""
    batches = plan_batches(len(sizes), rule, sizes=sizes, seed=seed, epoch=epoch)

    assert sorted(item for batch in batches for item in batch) == list(range(len(sizes)))
    assert all(batch for batch in batches)
    for batch in batches:
        if rule.batch_bins is not None:
            assert padded_bins(batch, sizes) <= rule.batch_bins or len(batch) == 1
        else:
            assert len(batch) <= (rule.batch_size or 0)


@settings(max_examples=100, deadline=None)
@given(sizes_of_items, rules, st.integers(0, 2**40))
def test_same_seed_same_plan_and_as_many_batches_in_every_epoch(sizes: np.ndarray, rule: BatchRule, seed: int) -> None:
    """A plan is a function of its arguments, and its length does not depend on the epoch."""
    plans = [plan_batches(len(sizes), rule, sizes=sizes, seed=seed, epoch=epoch) for epoch in (0, 0, 1, 7)]

    assert plans[0] == plans[1]
    assert len({len(plan) for plan in plans}) == 1


@settings(max_examples=150, deadline=None)
@given(sizes_of_items, rules, st.integers(1, 7), st.integers(0, 5))
def test_ranks_get_as_many_batches_and_share_none(
    sizes: np.ndarray, rule: BatchRule, world_size: int, epoch: int
) -> None:
    """All ranks together have every item; they are disjoint unless there are too few items."""
    plan = plan_batches(len(sizes), rule, sizes=sizes, seed=1, epoch=epoch)
    ranks, repeated = share_batches(plan, world_size)
    ranks = shuffle_groups(ranks, seed=1, epoch=epoch)
    items = [item for rank in ranks for batch in rank for item in batch]

    assert len({len(rank) for rank in ranks}) == 1
    assert set(items) == set(range(len(sizes)))
    if repeated == 0:
        assert len(items) == len(sizes)
    else:
        assert all(len(batch) == 1 for rank in ranks for batch in rank)
        assert repeated < world_size
    if rule.batch_bins is not None:
        for batch in (batch for rank in ranks for batch in rank):
            assert padded_bins(batch, sizes) <= rule.batch_bins or len(batch) == 1


def test_sorting_leaves_little_padding() -> None:
    """Batches by length waste far less than batches in the order of the data."""
    sizes = np.random.default_rng(0).integers(8000, 240000, size=(2000, 1)).astype(np.int64)
    by_bins = plan_batches(2000, BatchRule(batch_bins=4_000_000, shuffle=True), sizes=sizes, seed=0, epoch=0)
    as_they_come = plan_batches(2000, BatchRule(batch_size=16), sizes=sizes, seed=0, epoch=0)

    assert padding_waste(by_bins, sizes) < 0.06
    assert padding_waste(as_they_come, sizes) > 0.3


def test_shuffling_changes_company_and_order() -> None:
    """With shuffling, epochs differ in which items meet, not only in the order of the batches."""
    sizes = np.random.default_rng(0).integers(8000, 240000, size=(500, 1)).astype(np.int64)
    rule = BatchRule(batch_bins=2_000_000, shuffle=True)
    plans = [plan_batches(500, rule, sizes=sizes, seed=0, epoch=epoch) for epoch in (0, 1)]
    company = [{frozenset(batch) for batch in plan} for plan in plans]

    assert company[0] != company[1]


@pytest.mark.parametrize(
    "arguments", [{}, {"batch_size": 0}, {"batch_bins": -1}, {"batch_size": 2, "batch_bins": 3}, {"batch_size": True}]
)
def test_a_rule_that_says_nothing_sensible_is_refused(arguments: dict[str, int]) -> None:
    """Exactly one positive limit."""
    with pytest.raises(ValueError, match="batch_"):
        BatchRule(**arguments)
