"""What processes that train together do together: each knows something, and all act the same."""

from typing import Any

import torch

from espnet3.utils.again import Stop, asked


def highest(trainer: Any, *numbers: int) -> list[int]:
    """The highest of each number over all processes; all must ask at the same place. Alone: the numbers."""
    if trainer.world_size == 1:
        return list(numbers)
    table = torch.tensor(numbers, device=trainer.strategy.root_device)
    torch.distributed.all_reduce(table, op=torch.distributed.ReduceOp.MAX)
    return [int(number) for number in table.tolist()]


def asked_anywhere(trainer: Any) -> Stop:
    """What any of the processes has been asked, by whatever signal; all must ask at the same place."""
    return Stop(highest(trainer, asked())[0])
