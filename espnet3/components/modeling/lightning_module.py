"""Any torch module as something that Lightning trains.

The module calls the model with a batch, brings what comes back to one form, keeps means over the epoch and
logs them as `train/<stat>` and `valid/<stat>`. Optimizers come from the config: one, or several by name.
A batch whose loss is not a finite number moves no weight; too many of them in a row end the training.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import lightning
import torch

from espnet3.components.modeling.epoch_means import EpochMeans
from espnet3.components.modeling.model_with_data import ModelWithData
from espnet3.components.modeling.multi_optimization import MultiOptimization
from espnet3.components.modeling.optimizers import build_several, build_single
from espnet3.components.modeling.shared_gradients import check_strategy
from espnet3.utils.errors import ConfigError

_LOG = logging.getLogger(__name__)


class TrainingDiverged(RuntimeError):
    """The loss was no finite number for too many steps in a row."""


class ESPnetLightningModule(ModelWithData, lightning.LightningModule):
    """Trains `model` with the optimizers, data and loaders of `config`.

    A batch `(utt_ids, dict)` or a dict calls `model(**dict)`, another tuple or list `model(*batch)`. The
    model returns a scalar loss, `(loss, stats, weight)`, or a dict with `loss`.

    Args:
        model: The model. Its weights are saved under the prefix `model.`.
        config: The training config.

    Raises:
        ConfigError: Keys that exclude each other.
    """

    def __init__(self, model: torch.nn.Module, config: Any) -> None:
        super().__init__(model, config)
        self.means = {"train": EpochMeans(), "valid": EpochMeans()}
        self.last_loss: torch.Tensor | None = None
        self.automatic_optimization = not self.by_name
        self.max_nan_steps = int(self.config.get("max_nan_steps") or 10)
        self._multi: MultiOptimization | None = None
        self._nan_steps = 0
        self._taken_up: dict[str, Any] | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.model(*args, **kwargs)

    def configure_optimizers(self) -> Any:
        """Build what `optimizer`/`scheduler` or `optimizers`/`schedulers` say.

        Raises:
            ConfigError: A key does not fit, or a parameter has not exactly one optimizer.
        """
        if self.automatic_optimization:
            return build_single(self.model, self.config)
        if self._trainer is not None:
            check_strategy(self.trainer)
        self._multi = MultiOptimization(build_several(self.model, self.config))
        return self._multi.lightning_form()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        """Train on a batch; `None` where its loss is no finite number."""
        result = self.call_model(batch)
        if not self._is_finite(result.total):
            self._count_nan(f"the loss of batch {batch_idx} is {float(result.total)}")
            if self._multi is not None:
                self._multi.end_iteration()
            return None
        self.last_loss = result.total.detach()
        self.means["train"].add(result.stats, result.weight)
        self.log_dict({f"step/{name}": value for name, value in result.stats.items()}, on_step=True, on_epoch=False)
        if self.automatic_optimization:
            if not isinstance(result.losses, torch.Tensor):
                raise ConfigError(
                    "the model returns a list of OptimizationStep, which needs optimizers by name; "
                    "the config "
                    "has one optimizer"
                )
            return result.losses
        assert self._multi is not None
        if isinstance(result.losses, torch.Tensor):
            raise ConfigError(
                "the config has optimizers by name, so the model's forward must return a list of "
                f"OptimizationStep, one for each of {', '.join(self._multi.named)}"
            )
        if self._multi.step(self, result.losses):
            self._nan_steps = 0
        return None

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Add a batch to the means of the validation."""
        result = self.call_model(batch)
        if not bool(torch.isfinite(result.total)):
            _LOG.warning("valid: the loss of batch %d is %s; it is left out", batch_idx, float(result.total))
        self.means["valid"].add(result.stats, result.weight)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Let processes that train together begin a batch with the same buffers."""
        wrapper = self.trainer.strategy.model
        if not self.automatic_optimization and isinstance(wrapper, torch.nn.parallel.DistributedDataParallel):
            # A step without the wrapper's own exchange of gradients switches this off.
            wrapper.require_forward_param_sync = True

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Throw away gradients that are no finite numbers before they reach the weights."""
        if not self.automatic_optimization:
            return
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # After a loss that is no number there are none, and that step is counted already.
        moved = any(parameter.grad is not None for parameter in parameters)
        if moved and self.drop_unless_finite(parameters):
            self._nan_steps = 0

    def drop_unless_finite(self, parameters: Iterable[torch.nn.Parameter]) -> bool:
        """Throw the gradients of `parameters` away, and count that, unless all are finite numbers.

        Returns:
            Whether they are.

        Raises:
            TrainingDiverged: There have been too many such steps in a row.
        """
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            # With half precision a gradient that is too large is the scaler's everyday business.
            return True
        moved = [parameter for parameter in parameters if parameter.grad is not None]
        # An infinite limit clips nothing: it is the fused way to the norm over all gradients.
        if not moved or self._is_finite(torch.nn.utils.clip_grad_norm_(moved, float("inf"))):
            return True
        for parameter in moved:
            parameter.grad = None
        self._count_nan("a gradient is no finite number")
        return False

    def on_train_start(self) -> None:
        """Take up what a checkpoint held; everything is on its device now."""
        state, self._taken_up = self._taken_up, None
        if state is None:
            return
        if self.global_rank == 0:
            # They are the sums over all processes.
            self.means["train"].load_state_dict(state["means"], self.device)
        self._nan_steps = int(state["nan_steps"])
        if self._multi is not None and state["multi"] is not None:
            self._multi.load_state_dict(state["multi"])

    def on_train_epoch_end(self) -> None:
        """Log the means of the training, and step the schedulers that Lightning does not."""
        means = self._log_means("train")
        self.means["train"].reset()
        if self._multi is not None:
            known = {key: float(value) for key, value in self.trainer.callback_metrics.items()}
            self._multi.end_epoch({**known, **means})

    def on_validation_epoch_start(self) -> None:
        """Begin the means of a validation anew."""
        self.means["valid"].reset()

    def on_validation_epoch_end(self) -> None:
        """Log the means of the validation."""
        self._log_means("valid")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put what this module counts into a checkpoint."""
        checkpoint["espnet3_module"] = {
            "means": self.means["train"].state_dict(self._reduce()),
            "nan_steps": self._nan_steps,
            "multi": None if self._multi is None else self._multi.state_dict(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what a checkpoint holds until the training starts."""
        self._taken_up = checkpoint.get("espnet3_module")

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Give the model's weights, each name with the prefix `model.`."""
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights, with or without the prefix `model.`.

        Raises:
            ConfigError: Strictly, names or shapes differ; the message says which.
        """
        if not any(name.startswith("model.") for name in state_dict):
            state_dict = {f"model.{name}": value for name, value in state_dict.items()}
        own = super().state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        reshaped = [
            f"{name} {tuple(value.shape)} → {tuple(own[name].shape)}"
            for name, value in state_dict.items()
            if name in own and getattr(own[name], "shape", None) != getattr(value, "shape", None)
        ]
        if strict and (missing or unexpected or reshaped):
            raise ConfigError(
                "the weights do not fit the model: "
                + "; ".join(
                    f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
                    for names, what in (
                        (missing, "missing"),
                        (unexpected, "unknown to the model"),
                        (reshaped, "of another shape"),
                    )
                    if names
                )
            )
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def collect_stats(self) -> None:
        """Write the shapes and feature statistics of both splits under `stats_dir`."""
        from espnet3.components.data.collect_stats import collect_stats_of_config

        collect_stats_of_config(self.config)

    def _where(self) -> tuple[int, int]:
        trainer = self._trainer
        return (trainer.world_size, trainer.current_epoch) if trainer is not None else (1, 0)

    def _is_finite(self, value: torch.Tensor) -> bool:
        finite = torch.isfinite(value)
        if self._trainer is not None and self.trainer.world_size > 1:
            # One process alone would wait for the gradients of the others, which never come.
            flag = finite.float()
            torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MIN)
            return bool(flag)
        return bool(finite)

    def _count_nan(self, what: str) -> None:
        self._nan_steps += 1
        _LOG.warning("%s; the step is skipped (%d in a row)", what, self._nan_steps)
        if self._nan_steps >= self.max_nan_steps:
            raise TrainingDiverged(
                f"{what}, and so were {self._nan_steps} steps in a row (max_nan_steps). Lower the "
                "learning rate, "
                "set trainer.gradient_clip_val, or look at the data of these batches; "
                "the last checkpoint before them is kept"
            )

    def _log_means(self, mode: str) -> dict[str, float]:
        means = {f"{mode}/{name}": value for name, value in self.means[mode].compute(self._reduce()).items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=1)
        return means

    def _reduce(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Give what adds a tensor up over all processes, where there are several."""
        if self._trainer is None or self.trainer.world_size == 1:
            return None

        def reduce(table: torch.Tensor) -> torch.Tensor:
            table = table.to(self.device)
            torch.distributed.all_reduce(table)
            return table

        return reduce
