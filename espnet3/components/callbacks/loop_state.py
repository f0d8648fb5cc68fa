"""Where a training stands, by the counters of Lightning's loops, and how a checkpoint says it.

What Lightning writes down means a moment inside one of its own functions. A training can be taken up without a difference
from three kinds of place, and a checkpoint is rewritten to mean exactly one of them: between two epochs, behind a batch, or
before a validation.
"""

import math
from typing import Any

LAST = "last.ckpt"
_VALIDATION = "epoch_loop.val_loop.batch_progress"


def is_between_epochs(trainer: Any) -> bool:
    """Say whether all of an epoch has happened, and nothing of the next."""
    done = trainer.fit_loop.epoch_progress.total
    return bool(done.started == done.processed == done.completed)


def is_between_steps(trainer: Any, batch_idx: int) -> bool:
    """Say whether a training can be taken up behind this batch without a difference."""
    if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch or is_last_step(trainer):
        # What ends the epoch or the training writes a checkpoint of its own.
        return False
    if trainer.fit_loop._should_accumulate():
        return False
    every = trainer.val_check_batch
    if every is None or math.isinf(every):
        return True
    if trainer.check_val_every_n_epoch is None:
        batch_idx = trainer.fit_loop.total_batch_idx
    return bool((batch_idx + 1) % every)


def is_last_step(trainer: Any) -> bool:
    """Say whether no step is left to be made, though a validation may be."""
    return bool(0 < trainer.max_steps <= trainer.global_step)


def set_to_epoch_boundary(fit_loop: dict[str, Any]) -> None:
    """Rewrite the state of Lightning's loops so that it stands exactly between two epochs."""
    progress = fit_loop["epoch_progress"]
    for scope in ("total", "current"):
        done = progress[scope]["processed"]
        progress[scope].update(dict.fromkeys(progress[scope], done))
    batches = fit_loop["epoch_loop.batch_progress"]
    batches["is_last_batch"] = False
    done = batches["total"]["processed"]
    batches["total"].update(dict.fromkeys(batches["total"], done))
    for name, state in fit_loop.items():
        if name.startswith("epoch_loop.") and isinstance(state, dict):
            _clear_current(state)
    fit_loop[_VALIDATION]["total"].update(dict.fromkeys(fit_loop[_VALIDATION]["total"], 0))
    fit_loop["state_dict"].pop("combined_loader", None)


def set_before_validation(fit_loop: dict[str, Any]) -> None:
    """Rewrite the state of Lightning's loops, inside a validation, so that the whole validation comes next.

    For Lightning it is one that was left in the middle of its first batch.
    """
    validation = fit_loop[_VALIDATION]
    validation["is_last_batch"] = False
    for scope in ("total", "current"):
        validation[scope].update({"ready": 1, "started": 1, "processed": 0, "completed": 0})
    if fit_loop["epoch_loop.batch_progress"]["is_last_batch"]:
        # Nobody will ask for more of this epoch: it is the next one that would begin behind these batches.
        fit_loop["state_dict"].pop("combined_loader", None)


def set_batches_given(fit_loop: dict[str, Any]) -> None:
    """Have the data begin behind the batches that were trained on; a stream has been asked for one more in advance."""
    trained_on = fit_loop["epoch_loop.batch_progress"]["current"]["processed"]
    for state in fit_loop["state_dict"].get("combined_loader") or ():
        if isinstance(state, dict) and set(state) == {"batches"}:
            state["batches"] = trained_on


def _clear_current(state: dict[str, Any]) -> None:
    for key, value in state.items():
        if key == "current" and isinstance(value, dict):
            value.update(dict.fromkeys(value, 0))
        elif isinstance(value, dict):
            _clear_current(value)
