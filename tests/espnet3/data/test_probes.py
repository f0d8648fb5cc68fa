"""A hash tells whether data are the same as before."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from espnet3.components.data.probes import mark_of


def sample(**changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "utt_id": "u0",
            "speech": np.arange(3.0),
            "more": [torch.ones(2, dtype=torch.bfloat16), {"a": None}],
            **changes,
        }
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"utt_id": "u1"},
        {"speech": np.arange(1.0, 4.0)},
        {"speech": np.arange(3)},
        {"speech": np.arange(3.0)[None]},
        {"more": [torch.zeros(2, dtype=torch.bfloat16), {"a": None}]},
        {"more": [torch.ones(2, dtype=torch.bfloat16), {"a": 0}]},
        {"further": 1},
    ],
)
def test_any_difference_in_a_sample_is_seen(changes: dict[str, Any]) -> None:
    """Names, numbers, shapes and types, however deep."""
    assert mark_of(sample()) == mark_of(sample())
    assert mark_of(sample(**changes)) != mark_of(sample())


def test_random_samples_are_the_same_every_time() -> None:
    """And what the caller draws next does not change."""

    class Noise:
        def __len__(self) -> int:
            return 9

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"x": random.random() + np.random.random() + float(torch.rand(()))}

    random.seed(0)
    expected = random.random()
    random.seed(0)
    marks = {mark_of(Noise()) for _ in range(3)}

    assert len(marks) == 1
    assert random.random() == expected


def test_what_is_not_read_by_number_has_only_a_length() -> None:
    """A mapping, or an object without items; an object in a sample is told by its class."""
    assert mark_of({"a": 1}) == mark_of({"b": 2}) == mark_of({0})
    assert mark_of({"a": 1}) != mark_of({"a": 1, "b": 2})
    assert mark_of([]) == mark_of(())
    assert mark_of([{"o": object()}]) == mark_of([{"o": object()}])


def test_a_sample_that_cannot_be_loaded_is_named() -> None:
    """The error is the dataset's own."""

    class Broken:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> dict[str, Any]:
            raise OSError("no such recording")

    with pytest.raises(OSError, match="no such recording") as caught:
        mark_of(Broken())

    assert caught.value.__notes__ == ["item 0 of 4 could not be loaded"]
