"""The learning curve as a picture."""

import io
import math
import time
from pathlib import Path
from typing import Any

from esp3rt.files import write_bytes
from espnet3.components.callbacks.epoch_boundary import EpochBoundary
from espnet3.components.callbacks.history import EpochHistory

# Drawing takes a third of a second: short epochs do not pay it each time.
_SECONDS_BETWEEN_PICTURES = 5.0


class LearningCurve(EpochBoundary):
    """Draws `learning_curve.png`: each metric over the epochs, training and validation in one panel.

    Args:
        exp_dir: Where the picture is written.
        history: Where the numbers come from.
    """

    def __init__(self, exp_dir: str | Path, history: EpochHistory) -> None:
        self.path = Path(exp_dir) / "learning_curve.png"
        self.history = history
        self._drawn_at = time.monotonic()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._drawn_at = time.monotonic()

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Draw the picture, unless it was drawn, or the training began, a moment ago."""
        if not trainer.is_global_zero or not self.history.rows:
            return
        if last or time.monotonic() - self._drawn_at >= _SECONDS_BETWEEN_PICTURES:
            write_bytes(self.path, draw_learning_curve(self.history.rows))
            self._drawn_at = time.monotonic()


def draw_learning_curve(rows: list[dict[str, float]]) -> bytes:
    """Draw rows of `EpochHistory` and give the picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = sorted({name.partition("/")[2] for row in rows for name in row if "/" in name})
    # The loss first, and the learning rate last.
    names.sort(key=lambda name: name != "loss")
    panels = [*names, "lr"]
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * lines))
    FigureCanvasAgg(figure)
    for place, name in enumerate(panels, start=1):
        axes = figure.add_subplot(lines, columns, place)
        series = ["lr"] if name == "lr" else [f"train/{name}", f"valid/{name}"]
        for key in series:
            points = [(row["epoch"], row[key]) for row in rows if key in row and math.isfinite(row[key])]
            if points:
                epochs, values = zip(*points, strict=True)
                axes.plot(epochs, values, marker="o", markersize=3, linewidth=1.4, label=key)
        axes.set_title(name)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    figure.subplots_adjust(
        left=0.6 / (4.6 * columns),
        right=1 - 0.15 / (4.6 * columns),
        bottom=0.5 / (3.2 * lines),
        top=1 - 0.35 / (3.2 * lines),
        wspace=0.22,
        hspace=0.4,
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
