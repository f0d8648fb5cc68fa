"""CommonCollateFn pads, gives lengths, and refuses samples that do not fit together."""

import subprocess
import sys
from functools import partial
from types import FunctionType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet3.components.data.collate import CommonCollateFn, takes_pairs


def test_a_batch_of_everything() -> None:
    """Arrays, tensors, numbers and strings, each as it should be."""
    samples = [
        {"utt_id": "a", "speech": np.ones(3, np.float32), "tokens": torch.tensor([5, 6]), "spk": 3, "text": "x"},
        {"utt_id": "b", "speech": np.ones(1, np.float32), "tokens": torch.tensor([7]), "spk": 4, "text": "y"},
    ]

    names, batch = CommonCollateFn(float_pad_value=-2.0, int_pad_value=-1)(samples)

    assert names == ["a", "b"]
    assert sorted(batch) == ["speech", "speech_lengths", "spk", "tokens", "tokens_lengths"]
    assert batch["speech"].tolist() == [[1, 1, 1], [1, -2, -2]]
    assert batch["tokens"].tolist() == [[5, 6], [7, -1]]
    assert batch["speech_lengths"].tolist() == [3, 1]
    assert batch["speech_lengths"].dtype == torch.int64
    assert batch["spk"].tolist() == [3, 4]


def test_pairs_of_name_and_sample_and_samples_without_a_name() -> None:
    """Names come from the pair, the sample, or the position."""
    collate = CommonCollateFn()

    assert collate([("u1", {"x": np.zeros(2)}), ("u2", {"x": np.zeros(2)})])[0] == ["u1", "u2"]
    assert collate([{"x": np.zeros(2)}, {"x": np.zeros(2)}])[0] == ["0", "1"]


def test_not_sequence_has_no_lengths() -> None:
    """A vector that is no sequence gets no lengths."""
    _, batch = CommonCollateFn(not_sequence=["spembs"])([{"spembs": np.zeros(4)}, {"spembs": np.zeros(4)}])

    assert list(batch) == ["spembs"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=5))
def test_padding_loses_nothing(shapes: list[tuple[int, int]]) -> None:
    """What is inside the lengths is the sample; what is outside is the pad value."""
    arrays = [np.random.default_rng(0).standard_normal(shape).astype(np.float32) for shape in shapes]

    _, batch = CommonCollateFn(float_pad_value=9.0)([{"x": array} for array in arrays])

    for row, array in zip(batch["x"], arrays, strict=True):
        np.testing.assert_array_equal(row[: array.shape[0], : array.shape[1]].numpy(), array)
        outside = torch.ones_like(row, dtype=torch.bool)
        outside[: array.shape[0], : array.shape[1]] = False
        assert (row[outside] == 9.0).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([{"x": np.zeros(2)}, {"y": np.zeros(2)}], "sample 1 has no field 'x'"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(2), "y": np.zeros(2)}], "does not have"),
        ([{"x": np.zeros(2)}, {"x": np.zeros((2, 2))}], "1 dimensions in sample 0 and 2 in 1"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(2, np.int64)}], "torch.float64 in sample 0 and torch.int64 in 1"),
        ([{"x": np.zeros(2)}, {"x": "text"}], "an array in some samples"),
        ([{"x": np.zeros(2), "x_lengths": np.zeros(1)}], "rename"),
        ([], "at least one sample"),
    ],
)
def test_samples_that_do_not_fit(samples: list[dict[str, object]], message: str) -> None:
    """The message names the sample and the field."""
    with pytest.raises(ValueError, match=message):
        CommonCollateFn()(samples)


def test_it_needs_torch_only() -> None:
    """A recipe's model can use it where Lightning is not installed."""
    code = "import sys, espnet3.components.data.collate; print('lightning' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_function_made_of_espnet2s_takes_pairs() -> None:
    """Subclasses in a recipe and functions with arguments filled in count; our own takes samples as they are."""
    theirs = type(
        "CommonCollateFn", (), {"__module__": "espnet2.train.collate_fn", "__call__": lambda self, data: data}
    )
    function = FunctionType((lambda data: data).__code__, {"__name__": "espnet2.train.collate_fn"})

    assert takes_pairs(theirs())
    assert takes_pairs(type("Own", (theirs,), {"__module__": "src.collate"})())
    assert takes_pairs(partial(function, int_pad_value=-1))
    assert not takes_pairs(CommonCollateFn())
    assert not takes_pairs(lambda samples: samples)
