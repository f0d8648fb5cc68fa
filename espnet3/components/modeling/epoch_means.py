"""Weighted means over an epoch that can be put aside and taken up again."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch


class EpochMeans:
    """Adds up numbers with weights, on the device where they are, and gives their means."""

    def __init__(self) -> None:
        # For each name the sum of value × weight and the sum of the weights, in double precision.
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, stats: Mapping[str, torch.Tensor], weight: torch.Tensor | float) -> None:
        """Add one batch. A number that is not finite is left out."""
        for name, value in stats.items():
            dtype = _precision(value.device)
            number = value.detach().to(dtype)
            factor = torch.as_tensor(weight, dtype=dtype, device=number.device)
            pair = torch.stack([number * factor, factor])
            pair = torch.where(torch.isfinite(number), pair, torch.zeros_like(pair))
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def compute(self, reduce: Callable[[torch.Tensor], torch.Tensor] | None = None) -> dict[str, float]:
        """Give the means.

        Args:
            reduce: Adds a tensor up over all processes. Each of them must call this, whatever it has added.
        """
        return {
            name: (total / weight if weight > 0 else float("nan"))
            for name, (total, weight) in self.state_dict(reduce).items()
        }

    def reset(self) -> None:
        """Begin anew."""
        self._sums = {}

    def state_dict(self, reduce: Callable[[torch.Tensor], torch.Tensor] | None = None) -> dict[str, list[float]]:
        """Give the sums as plain numbers.

        Args:
            reduce: As for `compute`.
        """
        # Processes may have met different names: their batches differ, and so may what the model gives of them.
        names = sorted(self._sums) if reduce is None else _of_all_processes(self._sums)
        if not names:
            return {}
        device = next((pair.device for pair in self._sums.values()), torch.device("cpu"))
        table = torch.zeros(len(names), 2, dtype=_precision(device), device=device)
        for row, name in zip(table, names, strict=True):
            if name in self._sums:
                row.copy_(self._sums[name])
        return dict(zip(names, (table if reduce is None else reduce(table)).tolist(), strict=True))

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take the sums up again."""
        self._sums = {name: torch.tensor(pair, dtype=_precision(device), device=device) for name, pair in state.items()}


def _of_all_processes(names: Iterable[str]) -> list[str]:
    """Give the names that any process has, in the same order everywhere."""
    own = sorted(names)
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return own
    gathered: list[list[str]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(gathered, own)
    return sorted(set().union(*gathered))


def _precision(device: torch.device) -> torch.dtype:
    # Apple's devices have no double precision.
    return torch.float32 if device.type == "mps" else torch.float64
