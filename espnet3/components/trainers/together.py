"""Processes that were started side by side, and decide together.

Each of them could look at the experiment's folder by itself, but what they see may differ: machines keep what they saw of a
shared folder for a while, and in the meantime somebody else may finish there. So the first looks, and tells.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from espnet3.utils.errors import UserError

Told = TypeVar("Told")


def meet(trainer: Any) -> bool:
    """Have the processes of a training find each other, unless Lightning is still to start them.

    Returns:
        Whether they have: there are several, and `by_first` goes through the first.
    """
    strategy = trainer.strategy
    if trainer.world_size == 1 or not isinstance(strategy, DDPStrategy):
        return False
    if isinstance(strategy.cluster_environment, LightningEnvironment):
        return False
    strategy.setup_environment()
    return True


def by_first(trainer: Any, act: Callable[[], Told]) -> Told:
    """Let the first of the processes that have met act, and give its result in all of them.

    Raises:
        UserError: What `act` has raised, in each process.
    """
    result: Told | None = None
    error: UserError | None = None
    if trainer.is_global_zero:
        try:
            result = act()
        except UserError as raised:
            error = raised
    result, error = trainer.strategy.broadcast((result, error))
    if error is not None:
        raise error
    return result
