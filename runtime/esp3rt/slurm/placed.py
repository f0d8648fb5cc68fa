"""A process of a job: where SLURM has placed it, and how it hears signals."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass

from esp3rt.slurm.journal import Journal

JOB = "ESP3RT_JOB"
# What a process ends with that wants to be started again, from where it is.
AGAIN = 85


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """This process, as SLURM has placed it.

    Attributes:
        job: `17`, or `17_3` in an array.
        index: Its number in the array, 0 where it is in none.
        restarts: How often SLURM has started the job again.
        rank: Its number among the processes of the job.
        world: How many these are.
        nodes: On how many machines.
        node: The machine's name in SLURM.
    """

    job: str
    index: int
    restarts: int
    rank: int
    world: int
    nodes: int
    node: str

    @property
    def worker(self) -> str:
        """Its name among the workers of a work."""
        return f"{self.job}.{self.restarts}.{self.rank}"


def this_process() -> Process:
    """This process, by what SLURM has put into its environment."""
    env = os.environ
    array, index = env.get("SLURM_ARRAY_JOB_ID"), env.get("SLURM_ARRAY_TASK_ID")
    return Process(
        job=f"{array}_{index}" if array and index else env["SLURM_JOB_ID"],
        index=int(index or 0),
        restarts=int(env.get("SLURM_RESTART_COUNT", "0")),
        rank=int(env.get("SLURM_PROCID", "0")),
        world=int(env.get("SLURM_NTASKS", "1")),
        nodes=int(env.get("SLURM_NNODES", "1")),
        node=env.get("SLURMD_NODENAME") or socket.gethostname(),
    )


def say_hello(journal: Journal, me: Process) -> None:
    """Write down that this process has begun."""
    journal.write("worker", job=me.job, restarts=me.restarts, process=me.rank, node=me.node, pid=os.getpid())


class Signals:
    """Signals as they are heard at a place that a `select` looks at."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda number, frame: None)

    def fileno(self) -> int:
        """What to look at."""
        return self._reader.fileno()

    def heard(self) -> list[int]:
        """The signals since the last call."""
        try:
            return list(self._reader.recv(1024))
        except BlockingIOError:
            return []
