"""From a list of samples to one padded batch."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from types import FunctionType
from typing import Any

import numpy as np
import torch


class CommonCollateFn:
    """Pads the arrays of samples to a common size.

    For each field that holds an array or a tensor with at least one dimension the batch has the padded tensor
    `<key>` of shape (batch, longest, ...) and, unless it is in `not_sequence`, `<key>_lengths` (int64, shape
    (batch,)) with the size of the first dimension before padding. Plain numbers become a tensor of shape
    (batch,). Strings and other objects are left out.

    Args:
        float_pad_value: What floating-point fields are padded with.
        int_pad_value: What integer fields are padded with.
        not_sequence: Fields whose first dimension is no length, so that they get no `<key>_lengths`.
    """

    def __init__(
        self,
        float_pad_value: float | int = 0.0,
        int_pad_value: int = -32768,
        not_sequence: Iterable[str] = (),
    ) -> None:
        self.float_pad_value = float_pad_value
        self.int_pad_value = int_pad_value
        self.not_sequence = frozenset(not_sequence)

    def __repr__(self) -> str:
        return (
            f"CommonCollateFn(float_pad_value={self.float_pad_value}, int_pad_value={self.int_pad_value}, "
            f"not_sequence={sorted(self.not_sequence)})"
        )

    def __call__(self, samples: Sequence[Any]) -> tuple[list[str], dict[str, torch.Tensor]]:
        """Make a batch.

        Args:
            samples: Sample dicts, or pairs `(uid, dict)`.

        Returns:
            The names of the utterances (the pair's uid, the sample's `utt_id`, or the position in the batch)
            and the batch.

        Raises:
            ValueError: The samples do not have the same fields, or a field differs in type or in its number
                of dimensions.
        """
        if not samples:
            raise ValueError("a batch needs at least one sample")
        names: list[str] = []
        fields: list[Mapping[str, Any]] = []
        for position, sample in enumerate(samples):
            uid, sample = sample if isinstance(sample, tuple) else (None, sample)
            if not isinstance(sample, Mapping):
                raise ValueError(f"a sample must be a dict, not {type(sample).__name__}")
            if uid is None:
                uid = sample.get("utt_id", position)
            names.append(str(uid))
            fields.append(sample)
        batch: dict[str, torch.Tensor] = {}
        for key in fields[0]:
            column = []
            for name, sample in zip(names, fields, strict=True):
                if key not in sample:
                    raise ValueError(
                        f"sample {name} has no field {key!r}, which sample {names[0]} has; all samples of a "
                        "split must have the same fields"
                    )
                column.append(_to_tensor(sample[key]))
            if all(value is None for value in column):
                continue
            tensors = self._same_kind(key, names, column)
            if f"{key}_lengths" in fields[0]:
                raise ValueError(
                    f"the samples have a field {key}_lengths, which is where the lengths of {key} go; rename it"
                )
            batch[key] = self._pad(tensors)
            if tensors[0].dim() > 0 and key not in self.not_sequence:
                batch[f"{key}_lengths"] = torch.tensor([len(value) for value in tensors], dtype=torch.int64)
        extra = next(
            (
                (name, key)
                for name, sample in zip(names, fields, strict=True)
                for key in sample
                if key not in fields[0] and _to_tensor(sample[key]) is not None
            ),
            None,
        )
        if extra is not None:
            raise ValueError(
                f"sample {extra[0]} has the field {extra[1]!r}, which sample {names[0]} does not have; all "
                "samples of a split must have the same fields"
            )
        return names, batch

    def _same_kind(self, key: str, names: list[str], column: list[torch.Tensor | None]) -> list[torch.Tensor]:
        first = column[0]
        tensors: list[torch.Tensor] = []
        for name, value in zip(names, column, strict=True):
            if value is None or first is None:
                raise ValueError(f"field {key!r} is an array in some samples and not in others ({name})")
            if value.dim() != first.dim():
                raise ValueError(
                    f"field {key!r} has {first.dim()} dimensions in sample {names[0]} and {value.dim()} in {name}"
                )
            if value.dim() > 0 and value.is_floating_point() != first.is_floating_point():
                raise ValueError(f"field {key!r} is {first.dtype} in sample {names[0]} and {value.dtype} in {name}")
            tensors.append(value)
        return tensors

    def _pad(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        shapes = {tuple(value.shape) for value in tensors}
        if len(shapes) == 1:
            return torch.stack(tensors)
        size = [max(value.shape[dim] for value in tensors) for dim in range(tensors[0].dim())]
        dtype = reduce(torch.promote_types, (value.dtype for value in tensors))
        fill = self.float_pad_value if dtype.is_floating_point or dtype.is_complex else self.int_pad_value
        if dtype == torch.bool:
            fill = False
        padded = torch.full((len(tensors), *size), fill, dtype=dtype)
        for row, value in zip(padded, tensors, strict=True):
            row[tuple(slice(0, length) for length in value.shape)] = value
        return padded


def takes_pairs(collate_fn: Any) -> bool:
    """Whether a collate function is ESPnet2's, or made of it, which takes `(uid, dict)` for each sample."""
    if isinstance(collate_fn, partial):
        return takes_pairs(collate_fn.func)
    if isinstance(collate_fn, FunctionType):
        return collate_fn.__module__.startswith("espnet2.")
    return any(base.__module__.startswith("espnet2.") for base in type(collate_fn).__mro__)


def _to_tensor(value: Any) -> torch.Tensor | None:
    """Give a value as a tensor, or `None` for what has no place in a batch (a string, an object)."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            return None
        # torch neither takes negative strides nor shares memory that may not be written.
        return torch.from_numpy(np.array(value, copy=True, order="C"))
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return torch.as_tensor(value if isinstance(value, bool | int | float) else value.item())
    if isinstance(value, list | tuple) and value and all(isinstance(item, int | float) for item in value):
        return torch.tensor(value)
    return None
