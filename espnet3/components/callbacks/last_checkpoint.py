"""`last.ckpt`, from which a training goes on as if it had never stopped, and where a training stops that is asked to.

It is written between two epochs, and inside an epoch when it is older than `checkpoint_every`. Lightning's own callback is
not used for it, because what it writes at the end of an epoch comes before the schedulers have moved, so that a training
taken up there differs from one that ran through.

A training that a signal asks to stop does so behind the batch that it is in, or before the validation that it is in, or
between two epochs: whatever comes first. All processes stop at the same place, whichever of them was asked.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import Callback
from lightning.pytorch.callbacks import Checkpoint

from espnet3.components.callbacks.agreement import asked_anywhere, highest
from espnet3.components.callbacks.checkpoints import BestCheckpoints
from espnet3.components.callbacks.epoch_boundary import EpochBoundary
from espnet3.components.callbacks.loop_state import (
    LAST,
    is_between_epochs,
    is_between_steps,
    is_last_step,
    set_batches_given,
    set_before_validation,
    set_to_epoch_boundary,
)
from espnet3.utils.again import Stop, Stopped, asked, say_progress

# What a callback may do to the model between the beginning of a validation and its end is not undone by going back to
# before it.
_INSIDE_VALIDATION = (
    "on_validation_start",
    "on_validation_epoch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
)


class LastCheckpoint(EpochBoundary, Checkpoint):
    """Writes `last.ckpt`, and stops the training there when it is asked to.

    Args:
        dirpath: Where it is written.
        every_seconds: How old it may become inside an epoch.
        identity: What must be the same for a training to be taken up, and what may differ; it is kept in the
            checkpoint.
        is_lost: Tells, in the first process, whether somebody else has taken the training over; with True it looks in any
            case, and else now and then.
    """

    def __init__(
        self,
        dirpath: str | Path,
        every_seconds: float = 600.0,
        identity: dict[str, Any] | None = None,
        is_lost: Callable[[bool], bool] = lambda now: False,
    ) -> None:
        self.path = Path(dirpath) / LAST
        self.every_seconds = every_seconds
        self.identity = identity or {}
        self._is_lost = is_lost
        self._written_at = time.monotonic()
        self._began_at = 0
        self._finished = False
        self._validating = False
        self._shared_batches = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock; stop if that was asked while everything was made ready."""
        self._written_at = time.monotonic()
        self._began_at = trainer.global_step
        fit_loop = trainer.fit_loop
        if fit_loop.epoch_loop.restarting and not fit_loop.restarted_mid_epoch:
            # A run that counts steps takes every restart for one inside an epoch, and this one is not.
            fit_loop.epoch_loop.restarting = False
        _check_same_place(trainer)
        stop = asked_anywhere(trainer)
        if stop:
            # What it was taken up from is what it would write.
            raise Stopped(stop)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """End the restart, as soon as the first batch is there."""
        # Otherwise the plateau schedulers would miss the end of the epoch that was taken up.
        trainer.fit_loop._restarting = False

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write inside an epoch when it is time, or stop, where the moment is one that can be taken up."""
        due = time.monotonic() - self._written_at >= self.every_seconds
        stop, is_due = self._agreed(trainer, due)
        if (stop or is_due) and is_between_steps(trainer, batch_idx):
            self._write(trainer)
            if stop:
                raise Stopped(stop)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Stop before the validation."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        # One that was taken up before a validation has no first batch.
        trainer.fit_loop._restarting = False
        # A process that has more batches to validate than others is alone with them.
        mine = sum(trainer.num_val_batches)
        self._shared_batches = -highest(trainer, 0 if math.isinf(mine) else -int(mine))[0]
        self._stop_before_validation(trainer)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop before the validation that has begun."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._shared_batches -= 1
        if trainer.world_size == 1 or self._shared_batches >= 0:
            self._stop_before_validation(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """See that the training is still this one's, before anything of the epoch is written."""
        super().on_train_epoch_end(trainer, pl_module)
        self._agreed(trainer, False, look=True)

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Write between two epochs, and clear away what nothing names any more; then stop, if that was asked."""
        self._finished = last
        self._write(trainer)
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, BestCheckpoints):
                callback.prune(trainer)
        stop = Stop.NO if last else asked_anywhere(trainer)
        if stop:
            raise Stopped(stop)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Put into every checkpoint what taking up needs to know."""
        between_epochs = is_between_epochs(trainer)
        fit_loop = checkpoint["loops"]["fit_loop"]
        if between_epochs:
            set_to_epoch_boundary(fit_loop)
        else:
            set_batches_given(fit_loop)
        if self._validating:
            set_before_validation(fit_loop)
        checkpoint["espnet3"] = {
            "format": 1,
            "identity": self.identity,
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "inside_epoch": not between_epochs,
            "finished": self._finished,
            "stopped_early": self._finished and bool(trainer.should_stop),
        }

    def _agreed(self, trainer: Any, due: bool, look: bool = False) -> tuple[Stop, bool]:
        """Whether to stop and whether to write, as all processes see it.

        Raises:
            Stopped: The training is somebody else's by now.
        """
        first = trainer.is_global_zero
        lost = first and self._is_lost(look)
        stop, is_due = highest(trainer, Stop.LOST if lost else asked(), int(due and first))
        if stop == Stop.LOST:
            raise Stopped(Stop.LOST)
        return Stop(stop), bool(is_due)

    def _stop_before_validation(self, trainer: Any) -> None:
        if is_last_step(trainer) or any(_acts_inside_validation(callback) for callback in trainer.callbacks):
            return
        stop, _ = self._agreed(trainer, False)
        if not stop:
            return
        self._validating = True
        try:
            self._write(trainer)
        finally:
            self._validating = False
        raise Stopped(stop)

    def _write(self, trainer: Any) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)
        self._written_at = time.monotonic()
        if trainer.is_global_zero and trainer.global_step > self._began_at:
            say_progress()


class StopWithoutSaving(Callback):
    """Stops a training that writes no checkpoints, when it is asked to."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop behind the batch."""
        stop = asked_anywhere(trainer)
        if stop:
            raise Stopped(stop)


def _acts_inside_validation(callback: Any) -> bool:
    if type(callback).__module__.startswith("espnet3."):
        return False
    return any(getattr(type(callback), name) is not getattr(Callback, name) for name in _INSIDE_VALIDATION)


def _check_same_place(trainer: Any) -> None:
    """See that all processes begin at the same step.

    Raises:
        RuntimeError: They do not: machines saw different states of the folder.
    """
    step = trainer.global_step
    most, least = highest(trainer, step, -step)
    if most != -least:
        raise RuntimeError(
            f"the processes of this training begin at different steps, from {-least} to {most}: their machines see different "
            f"files in {trainer.default_root_dir}; start it again"
        )
