"""Checkpoints: the best by a metric. (`last_checkpoint` has the other, from which a killed training is taken up.)

A checkpoint that is no longer among the best is removed only once `last.ckpt` no longer names it.
"""

import logging
import math
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Checkpoint

from espnet3.components.callbacks.epoch_boundary import EpochBoundary
from espnet3.utils.errors import ConfigError, did_you_mean

_LOG = logging.getLogger(__name__)


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


def _file_name(metric: str) -> str:
    return metric.replace("/", ".")
