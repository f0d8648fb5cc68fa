"""Processes beside this one, with which it trains together.

Lightning starts some by the command of this one: they run the same `run.py` with the same stages. Such a process is to
take part in the one training for which it was started, and in nothing else: not in the stages before and after, whose
files it would write a second time. So the stage that is running is told to the processes by a variable of the
environment, a process of that kind runs only this stage, and ends with its training. The next training starts new ones.

Those that SLURM has started are all there from the beginning to the end: each runs the stage by itself, and takes part in
each of its trainings. Only the first of them is to be seen and heard (`follows`). Processes that something else has started
(torchrun) know nothing of this and are left alone.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from espnet3.utils.again import Stopped
from espnet3.utils.slurm_shape import task_of

_STAGE = "ESPNET3_STAGE_OF_RANKS"
_FOLDER = "ESPNET3_FOLDER_OF_RANKS"
# Lightning sets them in the process that starts the others, where they say from then on that all are there.
_OF_LIGHTNING = ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "WORLD_SIZE")


def assigned_stage() -> str | None:
    """The stage for which this process was started by Lightning; None where it was started by anybody else."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        return None
    return os.environ.get(_STAGE)


def follows() -> bool:
    """Whether this process trains beside another one that says and writes what is to be said and written."""
    if assigned_stage() is not None:
        return True
    task = task_of()
    return task is not None and task.rank > 0


def go_where_it_was_started() -> None:
    """In a process that Lightning has started: go to the folder from where paths on the command line are meant."""
    if assigned_stage() is not None and _FOLDER in os.environ:
        os.chdir(os.environ[_FOLDER])


@contextmanager
def stage_of_ranks(stage: str, started_in: str) -> Iterator[None]:
    """Let processes that are started meanwhile know that they are for `stage`.

    Args:
        stage: The stage that is running.
        started_in: The folder in which this process was started.
    """
    before = {name: os.environ.get(name) for name in (_STAGE, _FOLDER)}
    os.environ.update({_STAGE: stage, _FOLDER: started_in})
    # Lightning looks for it where this process is by then.
    if sys.argv and sys.argv[0] not in ("", "-c", "-m"):
        sys.argv[0] = os.path.join(started_in, sys.argv[0])
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def one_training(trainer: Any) -> Iterator[None]:
    """Around a training: what was started for it ends with it.

    Args:
        trainer: Lightning's Trainer.

    Raises:
        SystemExit: In a process that Lightning started for this training, once it is done or has stopped.
        Stopped: In others, where it has stopped.
    """
    before = {name: os.environ.get(name) for name in _OF_LIGHTNING}
    if trainer.world_size > 1:
        # A process that ends without leaving may be aborted on its last steps, and lose its exit code.
        atexit.register(_leave_group)
    stopped: Stopped | None = None
    try:
        yield
    except Stopped as error:
        stopped = error
    started = getattr(getattr(trainer.strategy, "launcher", None), "procs", None)
    if assigned_stage() is not None:
        _leave_group()
        raise SystemExit(0)
    if started:
        _leave_group()
        for process in started:
            process.wait()
        _restore(before)
    if stopped is not None:
        raise stopped


def _leave_group() -> None:
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
