"""What a person sees of a training: a bar on a terminal, and one line an epoch."""

import math
import sys
from typing import Any

from esp3rt.progress import Progress, console_line, duration
from espnet3.components.callbacks.epoch_boundary import EpochBoundary
from espnet3.components.callbacks.history import EpochHistory


class TrainingProgress(EpochBoundary):
    """Prints one line an epoch; on a terminal it also shows a bar over the whole training.

    Args:
        history: Where the numbers of an epoch come from.
        metrics: Metrics for the line, besides the two losses.
    """

    def __init__(self, history: EpochHistory, metrics: tuple[str, ...] = ()) -> None:
        self.history = history
        self.metrics = tuple(dict.fromkeys(("train/loss", "valid/loss", *metrics)))
        self._bar: Progress | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Show the bar, if there is a terminal."""
        if trainer.is_global_zero and sys.stdout.isatty():
            total = _total_batches(trainer)
            self._bar = Progress("train", total, unit="batches")
            self._bar.__enter__()
            if total is not None:
                self._bar.advance(trainer.fit_loop.epoch_loop.batch_progress.total.completed)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        self._bar.advance()
        if batch_idx % 10 == 0 and pl_module.last_loss is not None:
            self._bar.describe(f"epoch {trainer.current_epoch + 1} loss {float(pl_module.last_loss):.4g}")

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Print the epoch's line."""
        if trainer.is_global_zero and self.history.rows:
            console_line(epoch_line(self.history.rows[-1], trainer.max_epochs, self.metrics))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Print the last line and take the bar away."""
        super().on_train_end(trainer, pl_module)
        self._close(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Take the bar away."""
        self._close(exception)

    def _close(self, error: BaseException | None) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.__exit__(None if error is None else type(error), error, None)


def epoch_line(row: dict[str, float], max_epochs: int | None, metrics: tuple[str, ...]) -> str:
    """Give an epoch's row as the line that a person reads."""
    of = f"/{max_epochs}" if max_epochs and max_epochs > 0 else ""
    parts = [f"{name} {row[name]:.4g}" for name in metrics if name in row and math.isfinite(row[name])]
    parts.append(f"lr {row.get('lr', 0.0):.3g}")
    return f"epoch {int(row['epoch'])}{of}: {', '.join(parts)}, {duration(row['seconds'])}"


def _total_batches(trainer: Any) -> int | None:
    """Give how many batches the training has in all, done ones included."""
    if trainer.max_steps and trainer.max_steps > 0:
        return int(trainer.max_steps * trainer.accumulate_grad_batches)
    batches = trainer.num_training_batches
    if trainer.max_epochs is None or trainer.max_epochs < 0 or math.isinf(batches):
        return None
    return int(trainer.max_epochs * batches)
