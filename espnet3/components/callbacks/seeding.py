"""The randomness of the training process, set at every epoch and batch."""

from typing import Any

from lightning import Callback

from espnet3.components.data.seeding import derive_seed, seed_all


class StepSeeds(Callback):
    """Sets Python's, numpy's and torch's generators from (seed, epoch, batch).

    Dropout and everything else that is drawn in a step then depends on where the training stands and not on
    how it came there: a training that is taken up draws what one that ran through would draw.

    Args:
        seed: The seed of the config.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Set the generators for what happens before the first batch."""
        seed_all(derive_seed("epoch", self.seed, trainer.current_epoch))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Set the generators for a training step."""
        seed_all(derive_seed("step", self.seed, trainer.current_epoch, batch_idx))

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Set the generators for a step of the validation."""
        seed_all(derive_seed("valid", self.seed, trainer.current_epoch, batch_idx))
