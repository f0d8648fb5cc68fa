"""Gradients of processes that train together, where each backward pass is for some of the parameters only.

`DistributedDataParallel` expects one backward pass through all parameters a step, and waits for ever, or refuses,
where there are several. So its own exchange stays off here, and what a pass has added is averaged behind it. What
waits for an update is then the same in every process, and a checkpoint of one of them is that of all.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from espnet3.utils.errors import ConfigError

# Numbers that travel together: large enough to be worth a message, small beside a model.
_BUCKET = 8_000_000


@contextmanager
def shared_gradients(trainer: Any, parameters: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Average over all processes what the backward pass inside adds to the gradients of `parameters`.

    In a single process nothing is done.

    Args:
        trainer: Lightning's Trainer, with the strategy `ddp` where there are several processes.
        parameters: Those that the pass is for, in the same order everywhere.
    """
    if trainer.world_size == 1:
        yield
        return
    waiting = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    wrapper = trainer.strategy.model
    with wrapper.no_sync() if hasattr(wrapper, "no_sync") else nullcontext():
        yield
    _average(parameters, trainer.world_size)
    for parameter, before in zip(parameters, waiting, strict=True):
        if before is not None:
            parameter.grad = before if parameter.grad is None else before.add_(parameter.grad)


def check_strategy(trainer: Any) -> None:
    """See that several optimizers can train with a Trainer's strategy.

    Raises:
        ConfigError: There are several processes, and the parameters are not whole in each of them.
    """
    from lightning.pytorch.strategies import DDPStrategy

    if trainer.world_size > 1 and not isinstance(trainer.strategy, DDPStrategy):
        raise ConfigError(
            f"several optimizers cannot train with {type(trainer.strategy).__name__}; set trainer.strategy to ddp, or "
            "trainer.devices and trainer.num_nodes to 1",
            key="trainer.strategy",
        )


def _average(parameters: Sequence[torch.nn.Parameter], processes: int) -> None:
    # A parameter that the batch of one process did not reach may have been reached in another.
    reached = torch.tensor([float(each.grad is not None) for each in parameters], device=parameters[0].device)
    torch.distributed.all_reduce(reached, op=torch.distributed.ReduceOp.MAX)
    gradients = []
    for parameter, anywhere in zip(parameters, reached.tolist(), strict=True):
        if anywhere and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            raise ConfigError("sparse gradients of several optimizers cannot be shared; train in one process")
        gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        torch.distributed.all_reduce(flat)
        flat /= processes
        for gradient, mean in zip(bucket, torch.split(flat, [each.numel() for each in bucket]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def _buckets(gradients: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Group neighbours of one type until a bucket is full."""
    bucket: list[torch.Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (size + gradient.numel() > _BUCKET or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel()
    if bucket:
        yield bucket
