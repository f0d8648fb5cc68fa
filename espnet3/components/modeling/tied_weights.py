"""Weights that a model knows by several names, such as an embedding that is also the output layer's matrix."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy


def names_of_each(weights: Mapping[str, Any]) -> list[list[str]]:
    """Group names by the weight that they stand for, in the order of the first of each.

    One weight are tensors that lie at the same place in memory in the same form, whether they are one object or not.
    What is no tensor has a group for itself.
    """
    groups: dict[Hashable, list[str]] = {}
    for name, value in weights.items():
        groups.setdefault(_place(name, value), []).append(name)
    return list(groups.values())


def _place(name: str, value: Any) -> Hashable:
    if not isinstance(value, torch.Tensor):
        return name
    if is_lazy(value) or value.is_meta or value.layout != torch.strided or not value.numel():
        # Without a place in memory that could be compared.
        return id(value)
    return value.device, value.data_ptr(), value.dtype, value.shape, value.stride()
