"""A training that is killed at any point and started again ends with the weights of one that ran through."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from end_state import final_state
from same_state import assert_same
from toy_kinds import plain

Run = Callable[..., int | None]


@pytest.mark.parametrize(
    ("kind", "call", "every"),
    [
        # There are four batches an epoch: in the first, at the beginning of the second, in the last.
        ("epoch_scheduler", 2, 600.0),
        ("epoch_scheduler", 5, 600.0),
        ("epoch_scheduler", 11, 0.0),
        ("plateau", 8, 0.0),
        ("plateau", 6, 600.0),
        ("steps_and_workers", 9, 0.0),
        ("max_steps", 7, 600.0),
        ("max_steps", 8, 0.0),
        ("two_optimizers", 7, 600.0),
        ("two_optimizers", 9, 0.0),
        ("stream", 7, 0.0),
    ],
)
def test_killed_in_a_step(
    kind: str, call: int, every: float, tmp_path: Path, in_process: Run, undisturbed: Callable[..., Any]
) -> None:
    """Killed inside the model, with a checkpoint after every batch or only after epochs."""
    config = plain(tmp_path, kind, checkpoint_every=every)

    assert in_process(config, ("call", call)) == -9
    assert in_process(config) == 0
    assert_same(undisturbed(kind), final_state(tmp_path))


@pytest.mark.parametrize(("what", "count"), [(w, n) for w in ("before_rename", "after_rename") for n in (3, 6, 9)])
def test_killed_while_writing(
    what: str, count: int, tmp_path: Path, in_process: Run, undisturbed: Callable[..., Any]
) -> None:
    """Killed before or after a file takes its name, whichever file it is."""
    config = plain(tmp_path, "epoch_scheduler")

    assert in_process(config, (what, count)) == -9
    for path in tmp_path.glob("*.ckpt"):
        assert torch.load(path, weights_only=True)["state_dict"]
    assert in_process(config) == 0
    assert_same(undisturbed("epoch_scheduler"), final_state(tmp_path))
    assert list(tmp_path.glob(".*.partial")) == []


def test_killed_many_times(tmp_path: Path, in_process: Run, undisturbed: Callable[..., Any]) -> None:
    """Killed again and again, a few batches further each time."""
    config = plain(tmp_path, "epoch_scheduler", checkpoint_every=0.0)

    codes = [in_process(config, ("call", 4)) for _ in range(3)]
    assert in_process(config) == 0

    assert codes == [-9] * 3
    assert_same(undisturbed("epoch_scheduler"), final_state(tmp_path))


def test_terminated(tmp_path: Path, in_process: Run, undisturbed: Callable[..., Any]) -> None:
    """A polite end, as at the end of a job's time, loses not even the batch that it came in."""
    config = plain(tmp_path, "epoch_scheduler")

    assert in_process(config, ("terminate", 6)) == 143
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["espnet3"]
    assert in_process(config) == 0

    assert (state["steps"], state["inside_epoch"]) == (6, True)
    assert_same(undisturbed("epoch_scheduler"), final_state(tmp_path))
