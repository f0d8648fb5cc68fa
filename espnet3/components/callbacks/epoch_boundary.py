"""The moment between two epochs, when everything that belongs to an epoch has happened."""

from typing import Any

from lightning import Callback


class EpochBoundary(Callback):
    """Calls `on_epoch_done` once all of an epoch is over.

    Lightning's own `on_train_epoch_end` comes too early: the means of the epoch are logged and the schedulers
    moved only after it. The beginning of the next epoch, or the end of the training, is the first moment at
    which nothing of the epoch is missing.
    """

    _pending = False

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Act on a finished epoch; `trainer.current_epoch` is the number of finished epochs.

        Args:
            trainer, pl_module: As in every callback.
            last: Whether the training ends with this epoch.
        """

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Remember that an epoch is over."""
        self._pending = True

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Act if an epoch is over."""
        if self._pending:
            self._pending = False
            self.on_epoch_done(trainer, pl_module, last=False)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Act on the last epoch."""
        if self._pending:
            self._pending = False
            self.on_epoch_done(trainer, pl_module, last=True)
