"""From a batch to the call of the model."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from espnet3.utils.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class BatchCall:
    """What a model is called with.

    Attributes:
        args: The values by place.
        fields: The values by name.
    """

    args: tuple[Any, ...]
    fields: Mapping[str, Any]

    @property
    def batch_size(self) -> int:
        """How many items the batch has: the length of its first tensor that has one, else 1."""
        for value in (*self.fields.values(), *self.args):
            if isinstance(value, torch.Tensor) and value.dim() > 0:
                return int(value.shape[0])
        return 1


def call_of(batch: Any) -> BatchCall:
    """Give the call that a batch stands for.

    A dict, or that of a pair `(utt_ids, dict)`, has fields; of another tuple or list the values go by their place, and
    anything else is the only value.
    """
    if isinstance(batch, Mapping):
        return BatchCall((), batch)
    if not isinstance(batch, tuple | list):
        return BatchCall((batch,), {})
    if len(batch) == 2 and isinstance(batch[1], Mapping) and not isinstance(batch[0], torch.Tensor):
        return BatchCall((), batch[1])
    return BatchCall(tuple(batch), {})


def check_call(model: torch.nn.Module, call: BatchCall, more: Mapping[str, Any]) -> None:
    """See that a call fits a model's `forward`, and say in the data's words what Python would say in those of the call.

    Args:
        model: The model.
        call: The call.
        more: Arguments that the batch does not hold.

    Raises:
        ConfigError: It does not; the message has the signature and the fields of the batch.
    """
    fields = {**call.fields, **more}
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*call.args, **fields)
    except TypeError as error:
        name = f"{type(model).__module__}.{type(model).__qualname__}"
        given = ", ".join(fields) if fields else f"{len(call.args)} values"
        unknown = next((key for key in fields if key not in signature.parameters), None)
        hint = "" if unknown is None else did_you_mean(unknown, signature.parameters)
        raise ConfigError(
            f"the batch does not fit {name}.forward{signature}: {error}{hint}. The batch has {given}; name what the "
            "model needs and add **batch for the rest"
        ) from error
