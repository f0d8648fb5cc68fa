"""Weighted means over an epoch that can be put aside and taken up again."""

from collections.abc import Callable, Mapping
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
            # Apple's devices have no double precision.
            dtype = torch.float32 if value.device.type == "mps" else torch.float64
            number = value.detach().to(dtype)
            factor = torch.as_tensor(weight, dtype=dtype, device=number.device)
            pair = torch.stack([number * factor, factor])
            pair = torch.where(torch.isfinite(number), pair, torch.zeros_like(pair))
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def compute(self, reduce: Callable[[torch.Tensor], torch.Tensor] | None = None) -> dict[str, float]:
        """Give the means.

        Args:
            reduce: Adds a tensor up over all processes.
        """
        table = self._table(reduce)
        if table is None:
            return {}
        return {
            name: (total / weight if weight > 0 else float("nan"))
            for name, (total, weight) in zip(sorted(self._sums), table.tolist(), strict=True)
        }

    def reset(self) -> None:
        """Begin anew."""
        self._sums = {}

    def state_dict(self, reduce: Callable[[torch.Tensor], torch.Tensor] | None = None) -> dict[str, list[float]]:
        """Give the sums as plain numbers.

        Args:
            reduce: Adds a tensor up over all processes.
        """
        table = self._table(reduce)
        return {} if table is None else dict(zip(sorted(self._sums), table.tolist(), strict=True))

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take the sums up again."""
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._sums = {name: torch.tensor(pair, dtype=dtype, device=device) for name, pair in state.items()}

    def _table(self, reduce: Callable[[torch.Tensor], torch.Tensor] | None) -> torch.Tensor | None:
        """Give the sums, a row a name in alphabetical order."""
        if not self._sums:
            return None
        names = sorted(self._sums)
        device = self._sums[names[0]].device
        table = torch.stack([self._sums[name].to(device) for name in names])
        return table if reduce is None else reduce(table)
