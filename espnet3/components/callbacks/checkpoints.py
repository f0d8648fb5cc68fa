"""Checkpoints: the best by a metric, and the last, from which a killed training is taken up.

`last.ckpt` is written between two epochs, and inside an epoch when it is older than `checkpoint_every`.
Lightning's own callback is not used for it, because what it writes at the end of an epoch comes before the
schedulers have moved, so that a training taken up there differs from one that ran through.

A checkpoint between two epochs says exactly that, whoever wrote it: Lightning's counters are rewritten, so
that going on from it begins with the next epoch.

A checkpoint that is no longer among the best is removed only once `last.ckpt` no longer names it.
"""

import logging
import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Checkpoint

from espnet3.components.callbacks.epoch_boundary import EpochBoundary
from espnet3.utils.errors import ConfigError, did_you_mean

_LOG = logging.getLogger(__name__)
LAST = "last.ckpt"
# How often processes that train together agree on whether it is time for a checkpoint.
_BATCHES_BETWEEN_AGREEMENTS = 50


class BestCheckpoints(EpochBoundary, Checkpoint):
    """Keeps the best checkpoints by one metric.

    After a validation at the end of an epoch it writes between the epochs; after one inside an epoch, at once.

    Args:
        dirpath: Where they are written.
        monitor: The metric, as `valid/loss`.
        save_top_k: How many are kept.
        mode: `min` or `max`.

    Attributes:
        best_k_models: The score of each kept checkpoint, by its path.
    """

    def __init__(self, dirpath: str | Path, monitor: str, save_top_k: int = 1, mode: str = "min") -> None:
        self.dirpath = Path(dirpath)
        self.monitor = monitor
        self.save_top_k = save_top_k
        self.mode = mode
        self.best_k_models: dict[str, float] = {}
        self._obsolete: list[Path] = []
        self._resumed = False
        self._score: float | None = None

    @property
    def state_key(self) -> str:
        """What its state is called in a checkpoint."""
        return f"BestCheckpoints[{self.monitor},{self.mode}]"

    @property
    def best_model_path(self) -> str:
        """The path of the best checkpoint; empty before there is one."""
        return self._ranked()[0] if self.best_k_models else ""

    @property
    def best_model_score(self) -> float | None:
        """The best score so far."""
        return self.best_k_models[self.best_model_path] if self.best_k_models else None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Remove what a killed training left behind."""
        self.best_k_models = {path: score for path, score in self.best_k_models.items() if Path(path).is_file()}
        if self._resumed and trainer.is_global_zero:
            for path in self.dirpath.glob(f"epoch*_step*_{_file_name(self.monitor)}.ckpt"):
                if str(path) not in self.best_k_models:
                    path.unlink(missing_ok=True)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the model if it is among the best; at the end of an epoch, remember its score."""
        if trainer.sanity_checking or trainer.state.fn != "fit" or self.monitor.startswith("train/"):
            return
        score = self._read_score(trainer)
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._score = score
        else:
            self._consider(trainer, score, trainer.current_epoch + 1)

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Keep the model if it is among the best."""
        score = self._read_score(trainer) if self.monitor.startswith("train/") else self._score
        self._score = None
        if score is not None:
            self._consider(trainer, score, trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Give the names and scores of the kept checkpoints."""
        return {"best": {Path(path).name: score for path, score in self.best_k_models.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the names and scores up again; the folder may have been moved."""
        self.best_k_models = {str(self.dirpath / name): score for name, score in state_dict["best"].items()}
        self._resumed = True

    def prune(self, trainer: Any) -> None:
        """Remove the checkpoints that are no longer among the best."""
        obsolete, self._obsolete = self._obsolete, []
        for path in obsolete:
            if str(path) not in self.best_k_models:
                trainer.strategy.remove_checkpoint(path)

    def _read_score(self, trainer: Any) -> float:
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            known = [name for name in metrics if not name.startswith("step/")]
            raise ConfigError(
                f"best_model_criterion asks for {self.monitor!r}, which is not logged"
                f"{did_you_mean(self.monitor, known)}; there are {', '.join(known) or 'none'}"
            )
        return float(metrics[self.monitor])

    def _consider(self, trainer: Any, score: float, epoch: int) -> None:
        if math.isnan(score):
            _LOG.warning("%s is not a number; this model is not kept", self.monitor)
            return
        if len(self.best_k_models) >= self.save_top_k:
            worst = self._ranked()[-1]
            if not self._is_better(score, self.best_k_models[worst]):
                return
            del self.best_k_models[worst]
            self._obsolete.append(Path(worst))
        at = f"epoch{epoch:03d}_step{trainer.global_step:06d}"
        path = self.dirpath / f"{at}_{_file_name(self.monitor)}.ckpt"
        self.best_k_models[str(path)] = score
        trainer.save_checkpoint(path, weights_only=False)

    def _ranked(self) -> list[str]:
        return sorted(self.best_k_models, key=lambda path: self.best_k_models[path], reverse=self.mode == "max")

    def _is_better(self, score: float, other: float) -> bool:
        return score < other if self.mode == "min" else score > other


class LastCheckpoint(EpochBoundary, Checkpoint):
    """Writes `last.ckpt`, from which a training goes on as if it had never stopped.

    Args:
        dirpath: Where it is written.
        every_seconds: How old it may become inside an epoch.
        identity: What must be the same for a training to be taken up, and what may differ; it is kept in the
            checkpoint.
    """

    def __init__(
        self,
        dirpath: str | Path,
        every_seconds: float = 600.0,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.path = Path(dirpath) / LAST
        self.every_seconds = every_seconds
        self.identity = identity or {}
        self._written_at = time.monotonic()
        self._finished = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._written_at = time.monotonic()
        fit_loop = trainer.fit_loop
        if fit_loop.epoch_loop.restarting and not fit_loop.restarted_mid_epoch:
            # A run that counts steps takes every restart for one inside an epoch, and this one is not.
            fit_loop.epoch_loop.restarting = False

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """End the restart, as soon as the first batch is there."""
        # Otherwise the plateau schedulers would miss the end of the epoch that was taken up.
        trainer.fit_loop._restarting = False

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write inside an epoch when it is time and the moment is one that can be taken up."""
        if self._is_due(trainer, batch_idx) and _is_between_steps(trainer, batch_idx):
            self._write(trainer)

    def on_epoch_done(self, trainer: Any, pl_module: Any, last: bool) -> None:
        """Write between two epochs, and clear away what nothing names any more."""
        self._finished = last
        self._write(trainer)
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, BestCheckpoints):
                callback.prune(trainer)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Put into every checkpoint what taking up needs to know."""
        between_epochs = _is_between_epochs(trainer)
        if between_epochs:
            set_to_epoch_boundary(checkpoint["loops"]["fit_loop"])
        checkpoint["espnet3"] = {
            "format": 1,
            "identity": self.identity,
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "inside_epoch": not between_epochs,
            "finished": self._finished,
            "stopped_early": self._finished and bool(trainer.should_stop),
        }

    def _is_due(self, trainer: Any, batch_idx: int) -> bool:
        due = time.monotonic() - self._written_at >= self.every_seconds or trainer.received_sigterm
        if trainer.world_size == 1:
            return bool(due)
        if (batch_idx + 1) % _BATCHES_BETWEEN_AGREEMENTS:
            return False
        return bool(trainer.strategy.broadcast(due))

    def _write(self, trainer: Any) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)
        self._written_at = time.monotonic()


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
    fit_loop["epoch_loop.val_loop.batch_progress"]["total"].update(
        dict.fromkeys(fit_loop["epoch_loop.val_loop.batch_progress"]["total"], 0)
    )
    fit_loop["state_dict"].pop("combined_loader", None)


def _clear_current(state: dict[str, Any]) -> None:
    for key, value in state.items():
        if key == "current" and isinstance(value, dict):
            value.update(dict.fromkeys(value, 0))
        elif isinstance(value, dict):
            _clear_current(value)


def _is_between_epochs(trainer: Any) -> bool:
    done = trainer.fit_loop.epoch_progress.total
    return bool(done.started == done.processed == done.completed)


def _is_between_steps(trainer: Any, batch_idx: int) -> bool:
    """Say whether a training can be taken up behind this batch without a difference."""
    if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
        # The end of the epoch writes a checkpoint of its own.
        return False
    if trainer.fit_loop._should_accumulate():
        return False
    every = trainer.val_check_batch
    if every is None or math.isinf(every):
        return True
    if trainer.check_val_every_n_epoch is None:
        batch_idx = trainer.fit_loop.total_batch_idx
    return bool((batch_idx + 1) % every)


def _file_name(metric: str) -> str:
    return metric.replace("/", ".")
