"""Shards on a cluster, as an `Execution`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from esp3rt.lease import SECONDS_TO_DEATH
from esp3rt.slurm.runs import RUNNER, lead_run, run_in_force
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.shards import result_of
from esp3rt.wire import packed, unpacked
from esp3rt.work import Job, Outcome, WorkersDied


class SlurmJobs:
    """Tasks are done by an array of jobs; see `esp3rt.slurm.leader`.

    Args:
        settings: The machine setting.

    Where the iterator of `run` is closed before its end, jobs run on: their results are found by the next that does the
    same work. Where a task raises an error, the jobs are cancelled.
    """

    in_process = False
    shows_progress = True
    patience = SECONDS_TO_DEATH + 10

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workers = settings.workers

    def run(self, job: Job, tasks: Sequence[int], moved: Callable[[int], None]) -> Iterator[Outcome]:
        """Do the tasks; see `Execution.run`."""
        if not tasks:
            return
        with ExitStack() as stack:
            run = run_in_force()
            own = run is None
            if run is None:
                # A runner that was called by a program of its own, without stages.
                here = os.getcwd()
                command = [sys.executable, *sys.argv]
                run = stack.enter_context(lead_run(here, [RUNNER], command, here))
                stack.enter_context(run.stage_of(RUNNER, "slurm"))
            left = set(tasks)
            shards = run.shards(
                self.settings,
                lambda: packed(job),
                list(tasks),
                mark=job.mark,
                name_of=job.name_of,
                items=job.items,
                moved=moved,
            )
            for paths, ended in shards:
                if ended.task not in left:
                    continue
                data = result_of(paths, dict(ended.data))
                name = job.name_of(ended.task)
                if data is None:
                    raise WorkersDied(
                        f"the result of {name} in {paths.results} is not what its worker wrote; run it again"
                    )
                left.discard(ended.task)
                outcome = Outcome(ended.task, unpacked(data, f"the result of {name}"))
                if not left:
                    # Who has the last outcome may not ask for another: what is to be said at the end is said before.
                    for _ in shards:
                        continue
                    if own:
                        run.over("done")
                    stack.close()
                yield outcome

    def close(self) -> None:
        """Nothing is kept: jobs end when there is nothing left to do."""
