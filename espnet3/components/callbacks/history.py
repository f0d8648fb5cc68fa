"""The numbers of every epoch, in `history.csv` and in every checkpoint."""

import csv
import io
import time
from pathlib import Path
from typing import Any

from esp3rt.files import write_text
from espnet3.components.callbacks.epoch_boundary import EpochBoundary


class EpochHistory(EpochBoundary):
    """Keeps one row an epoch: `epoch`, `step`, `seconds`, `lr`, and the means `train/…` and `valid/…`.

    The rows are part of the checkpoints: a training that is taken up has the rows of the epochs that it
    really builds on.

    Args:
        exp_dir: Where `history.csv` is written.

    Attributes:
        rows: The rows so far.
    """

    def __init__(self, exp_dir: str | Path) -> None:
        self.path = Path(exp_dir) / "history.csv"
        self.rows: list[dict[str, float]] = []
        self._began = time.monotonic()
        self._validated = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Remember that this epoch has numbers of a validation."""
        self._validated = self._validated or not trainer.sanity_checking

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Add the epoch's row and write the file."""
        now = time.monotonic()
        row: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row["seconds"] = round(now - self._began, 3)
        self._began = now
        for place, optimizer in enumerate(trainer.optimizers):
            row["lr" if place == 0 else f"lr.{place}"] = float(optimizer.param_groups[0]["lr"])
        for name, value in sorted(trainer.callback_metrics.items()):
            # What an epoch without a validation still shows is of an epoch before.
            if name.startswith("train/") or (self._validated and name.startswith("valid/")):
                row[name] = float(value)
        self._validated = False
        self.rows.append(row)
        if trainer.is_global_zero:
            write_text(self.path, self._as_csv())

    def state_dict(self) -> dict[str, Any]:
        """Give the rows."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows up again."""
        self.rows = [dict(row) for row in state_dict["rows"]]

    def _as_csv(self) -> str:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()
