"""The callbacks that every training has."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning import Callback
from lightning.pytorch.callbacks import LearningRateMonitor

from espnet3.components.callbacks.averaging import AverageCheckpointsCallback
from espnet3.components.callbacks.checkpoints import BestCheckpoints
from espnet3.components.callbacks.history import EpochHistory
from espnet3.components.callbacks.last_checkpoint import LastCheckpoint
from espnet3.components.callbacks.learning_curve import LearningCurve
from espnet3.components.callbacks.metrics_logger import MetricsLogger
from espnet3.components.callbacks.progress import TrainingProgress
from espnet3.components.callbacks.seeding import StepSeeds
from espnet3.utils.errors import ConfigError, did_you_mean

__all__ = ["AverageCheckpointsCallback", "MetricsLogger", "get_default_callbacks"]


def get_default_callbacks(
    exp_dir: str = "./exp",
    log_interval: int = 500,
    best_model_criterion: Sequence[Sequence[Any]] = (("valid/loss", 3, "min"),),
    *,
    seed: int = 0,
    checkpoint_every: float = 600.0,
    identity: dict[str, Any] | None = None,
    is_lost: Callable[[bool], bool] = lambda now: False,
) -> list[Callback]:
    """Make the callbacks: seeds, checkpoints and their average, history, curve, lines, learning rate.

    Args:
        exp_dir: Where everything is written.
        log_interval: How many batches a line of the log covers.
        best_model_criterion: Triples of metric, how many to keep, and `min` or `max`.
        seed: The seed of the config.
        checkpoint_every: Seconds after which `last.ckpt` is written inside an epoch.
        identity: What `last.ckpt` keeps of the config, for taking up.
        is_lost: As for `LastCheckpoint`.

    Raises:
        ConfigError: A criterion does not fit.
    """
    folder = Path(exp_dir)
    criteria = read_criteria(best_model_criterion)
    best = [BestCheckpoints(folder, metric, count, mode) for metric, count, mode in criteria]
    history = EpochHistory(folder)
    return [
        StepSeeds(seed),
        history,
        TrainingProgress(history, tuple(metric for metric, _, _ in criteria)),
        LearningCurve(folder, history),
        MetricsLogger(log_interval),
        LearningRateMonitor(logging_interval="step"),
        *best,
        AverageCheckpointsCallback(folder, best),
        LastCheckpoint(folder, checkpoint_every, identity, is_lost),
    ]


def read_criteria(criteria: Sequence[Sequence[Any]]) -> list[tuple[str, int, str]]:
    """Check `best_model_criterion`.

    Raises:
        ConfigError: An entry is no triple of metric, number and mode; the message names it.
    """
    read: list[tuple[str, int, str]] = []
    if isinstance(criteria, str) or not isinstance(criteria, Sequence):
        raise ConfigError("best_model_criterion is a list of [metric, how many to keep, min or max]")
    for place, entry in enumerate(criteria):
        where = f"best_model_criterion[{place}]"
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 3:
            raise ConfigError(f'{where} must be [metric, how many to keep, min or max], as ["valid/loss", 1, "min"]')
        metric, count, mode = entry
        if not isinstance(metric, str) or not metric:
            raise ConfigError(f"{where}: the metric must be a name such as valid/loss, not {metric!r}")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"{where}: how many to keep must be a whole number of at least 1, not {count!r}")
        if mode not in ("min", "max"):
            raise ConfigError(
                f"{where}: the mode must be min or max, not {mode!r}{did_you_mean(str(mode), ('min', 'max'))}"
            )
        if any(metric == other for other, _, _ in read):
            raise ConfigError(f"{where}: {metric} has a criterion before; one a metric")
        read.append((metric, count, mode))
    return read
