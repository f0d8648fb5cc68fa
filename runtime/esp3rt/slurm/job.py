"""What each process of a job runs: `python -m esp3rt.slurm work FOLDER NUMBER`.

It is a supervisor. What is to be done is done by a process that it starts, so that there is always somebody who hears
SLURM's signals, whatever that process is busy with, and who can say how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths

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


def main(words: list[str]) -> int:
    """Do what a job is for, and return the exit code of the process.

    Args:
        words: The folder of the work, and the number of the call of sbatch that sent the job.
    """
    paths, number = WorkPaths(Path(words[0])), int(words[1])
    about: dict[str, Any] = json.loads(paths.description.read_text(encoding="utf-8"))
    me = this_process()
    journal = Journal(paths.journal, me.worker)
    journal.write("worker", job=me.job, restarts=me.restarts, process=me.rank, node=me.node, pid=os.getpid())
    os.environ[JOB] = str(paths.folder)
    # A log that is read while it is written shows whose lines these are.
    again = f", started for the {me.restarts + 1}. time" if me.restarts else ""
    print(f"job {me.job} on {me.node}{again}", flush=True)
    if about["kind"] == "shards":
        from esp3rt.slurm.shards import serve

        return serve(paths, number, me, journal, about)
    from esp3rt.slurm.commands import obey

    return obey(paths, number, me, journal, about)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
