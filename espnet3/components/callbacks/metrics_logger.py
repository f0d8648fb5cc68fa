"""Losses and times in the log, every so many steps."""

import logging
import time
from collections import defaultdict
from typing import Any

from lightning import Callback

_LOG = logging.getLogger(__name__)


class MetricsLogger(Callback):
    """Writes to the log where the time of a step goes, with the losses and the learning rates.

    The times are those that Python sees: on a GPU the work of a phase may be waited for in a later one.

    Args:
        log_every_n_steps: How many batches one line covers.
    """

    def __init__(self, log_every_n_steps: int = 500) -> None:
        self.log_every_n_steps = max(1, int(log_every_n_steps))
        self._times: dict[str, float] = defaultdict(float)
        self._batches = 0
        self._mark = time.perf_counter()
        self._validation_began = self._mark

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """The batch is there."""
        self._lap("data")

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """The forward pass is done."""
        self._lap("forward")

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """The backward pass is done."""
        self._lap("backward")

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """The optimizer begins."""
        self._lap("backward")

    def on_after_optimizer_step(self, trainer: Any, pl_module: Any) -> None:
        """The optimizer is done."""
        self._lap("optimizer")

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Close the batch, and write the line when it is its turn."""
        self._lap("optimizer")
        self._batches += 1
        if self._batches >= self.log_every_n_steps:
            self._write(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write what is left of the epoch."""
        if self._batches:
            self._write(trainer)

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """A validation begins."""
        self._validation_began = time.perf_counter()

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write how long the validation took."""
        if not trainer.sanity_checking:
            _LOG.info(
                "epoch %d: validation in %.2f s",
                trainer.current_epoch + 1,
                time.perf_counter() - self._validation_began,
            )
        self._mark = time.perf_counter()

    def _lap(self, name: str) -> None:
        now = time.perf_counter()
        self._times[name] += now - self._mark
        self._mark = now

    def _write(self, trainer: Any) -> None:
        times = ", ".join(f"{name} {1000 * spent / self._batches:.1f} ms" for name, spent in self._times.items())
        metrics = ", ".join(
            f"{name.removeprefix('step/')} {float(value):.5g}"
            for name, value in sorted(trainer.callback_metrics.items())
            if name.startswith("step/")
        )
        rates = ", ".join(f"{optimizer.param_groups[0]['lr']:.4g}" for optimizer in trainer.optimizers)
        _LOG.info(
            "epoch %d step %d: %s; lr %s; a batch: %s",
            trainer.current_epoch + 1,
            trainer.global_step,
            metrics,
            rates,
            times,
        )
        self._times.clear()
        self._batches = 0
