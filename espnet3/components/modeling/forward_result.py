"""What a model's forward may return, brought to one form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from espnet3.components.modeling.optimization_spec import OptimizationStep


class ForwardResultError(TypeError):
    """A model returned something that a training step cannot use."""


@dataclass
class ForwardResult:
    """One call of the model.

    Attributes:
        losses: The loss, or one a named optimizer.
        stats: Numbers to log.
        weight: How much this batch counts in the mean of an epoch (usually its size).
    """

    losses: torch.Tensor | list[OptimizationStep]
    stats: dict[str, torch.Tensor]
    weight: torch.Tensor | float

    @property
    def total(self) -> torch.Tensor:
        """The loss, or the sum of the losses."""
        if isinstance(self.losses, torch.Tensor):
            return self.losses
        return torch.stack([step.loss.detach() for step in self.losses]).sum()


def read_forward_result(value: Any, model: Any, batch_size: int) -> ForwardResult:
    """Bring what `model` returned to one form.

    Args:
        value: `(loss, stats, weight)`, a dict with `loss` whose other numbers are logged, or a scalar loss.
            In the place of the loss there may be a list of `OptimizationStep`.
        model: The model, for messages.
        batch_size: The weight where the model gives none.

    Raises:
        ForwardResultError: It is none of these; the message says what came back.
    """
    stats: Any = {}
    weight: Any = None
    losses = value
    if isinstance(value, Mapping):
        if "loss" not in value:
            raise _error(model, f"a dict without the key 'loss' (it has {', '.join(map(str, value)) or 'none'})")
        losses = value["loss"]
        nested = value.get("stats")
        stats = dict(nested) if isinstance(nested, Mapping) else {}
        stats.update({key: entry for key, entry in value.items() if key not in ("loss", "weight", "stats")})
        weight = value.get("weight")
    elif isinstance(value, tuple):
        if len(value) != 3 or not (value[1] is None or isinstance(value[1], Mapping)):
            raise _error(model, f"a tuple of {', '.join(type(part).__name__ for part in value)}")
        losses, stats, weight = value[0], value[1] or {}, value[2]
    losses = _losses(losses, model)
    numbers = {str(key): number for key, entry in stats.items() if (number := _number(entry)) is not None}
    result = ForwardResult(losses, numbers, _weight(weight, batch_size))
    if isinstance(result.losses, list):
        for step in result.losses:
            result.stats.setdefault(f"loss_{step.name}", step.loss.detach())
    result.stats["loss"] = result.total.detach()
    return result


def _losses(value: Any, model: Any) -> torch.Tensor | list[OptimizationStep]:
    if isinstance(value, OptimizationStep):
        value = [value]
    if isinstance(value, Sequence) and value and all(isinstance(step, OptimizationStep) for step in value):
        return [OptimizationStep(_scalar(step.loss, model), step.name) for step in value]
    if isinstance(value, torch.Tensor):
        return _scalar(value, model)
    raise _error(model, f"{type(value).__name__} in the place of the loss")


def _scalar(loss: Any, model: Any) -> torch.Tensor:
    if not isinstance(loss, torch.Tensor):
        raise _error(model, f"{type(loss).__name__} in the place of a loss")
    if loss.numel() != 1:
        raise _error(model, f"a tensor of shape {tuple(loss.shape)}, not a scalar loss (take its mean or sum)")
    return loss.reshape(())


def _number(value: Any) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value.detach().float().reshape(()) if value.numel() == 1 else None
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    # numpy's scalars
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return torch.tensor(float(value.item()))
    return None


def _weight(value: Any, batch_size: int) -> torch.Tensor | float:
    number = _number(value)
    return float(batch_size) if number is None else number


def _error(model: Any, what: str) -> ForwardResultError:
    return ForwardResultError(
        f"{type(model).__module__}.{type(model).__qualname__}.forward returned {what}. It must "
        "return a scalar "
        "loss tensor, or (loss, stats, weight), or a dict with 'loss'; with several optimizers the loss is a "
        "list of OptimizationStep"
    )
