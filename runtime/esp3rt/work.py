"""Work that is cut into tasks, and what can be asked of a place where tasks are done.

A task is a number. A `Job` says what is built once in every process that takes part, and what is done with a task. An
`Execution` is a place: this process, several processes of this machine, a cluster. All that a place has to offer is
`run`, which does each task once to its end, wherever it likes, and yields what came of it in the order in which tasks
end.

```
WorkError (RuntimeError)
├── TaskFailed     a task raised an error that cannot be carried over from the process where it was raised
└── WorkersDied    the processes that worked on a task died again and again
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class WorkError(RuntimeError):
    """Tasks could not be done."""


class TaskFailed(WorkError):
    """A task raised an error; the message is what Python said of it where it was raised."""


class WorkersDied(WorkError):
    """The processes that worked on a task died; the message says which task, how often and of what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What the tasks of one run have in common.

    Attributes:
        setup: Builds what all tasks need. Called once in each process that takes part, before its first task.
        work: `work(built, task, moved)` does one task and returns what came of it. It calls `moved(n)` from time to
            time, when `n` more of what is counted are done.
        prepare: Called in a fresh process before `setup`.
        name_of: What to call a task in a message.
        mark: What tells this work from others, also when it is asked for again by another process; empty where nothing
            does.
        items: How many things that `work` counts by `moved` the tasks have together; 0 where it is not known.

    All of them are sent to other processes by cloudpickle, at the place's own risk: nothing of it is kept.
    """

    setup: Callable[[], Any]
    work: Callable[[Any, int, Callable[[int], None]], Any]
    prepare: Callable[[], None] | None = None
    name_of: Callable[[int], str] = "task {}".format
    mark: str = ""
    items: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task that has ended, and what `work` returned for it."""

    task: int
    result: Any


class Execution(Protocol):
    """A place where tasks are done.

    Attributes:
        workers: How many tasks are done at once.
        in_process: Whether they are done in the process that asks, so that what it has built can be used.
        shows_progress: Whether it shows by itself how far they have come.
        patience: For how many seconds a task should wait for another process that seems to be at the same work, since
            that may have been on a machine that is gone.
    """

    @property
    def workers(self) -> int: ...

    @property
    def in_process(self) -> bool: ...

    @property
    def shows_progress(self) -> bool: ...

    @property
    def patience(self) -> float: ...

    def run(self, job: Job, tasks: Sequence[int], moved: Callable[[int], None]) -> Iterator[Outcome]:
        """Do the tasks and yield each that has ended, in the order in which they end.

        A process that dies is noticed, and its task is done again by another. Where a task raises an error, no further
        task is begun, those that have been begun elsewhere are given up, and the error is raised here. The same holds
        where the iterator is closed before its end: no process of it stays behind.

        Args:
            job: What to do.
            tasks: The numbers of the tasks.
            moved: Told how many more of what is counted are done; negative where a task begins again.

        Raises:
            WorkersDied: The processes that worked on a task died again and again.
            TaskFailed: A task raised an error that cannot be carried over.
        """
        ...

    def close(self) -> None:
        """Let go of what was kept for a next run."""
        ...


class InProcess:
    """Tasks are done here, one after the other."""

    workers = 1
    in_process = True
    shows_progress = False
    patience = 0.0

    def run(self, job: Job, tasks: Sequence[int], moved: Callable[[int], None]) -> Iterator[Outcome]:
        """Do the tasks; see `Execution.run`. Errors are raised as they are."""
        built: Any = None
        for place, task in enumerate(tasks):
            if place == 0:
                built = job.setup()
            yield Outcome(task, job.work(built, task, moved))

    def close(self) -> None:
        """Nothing is kept."""
