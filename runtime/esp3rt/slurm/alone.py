"""What a job says of its run where no process leads it: of a chain of stages that was detached, each job speaks for its own.

A job that itself leads (`leads`: it runs stages one after the other, and sends others jobs for their items) says what becomes
of each stage by itself; what is said here is how it ended where it could not.
"""

from __future__ import annotations

from typing import Any

from esp3rt.slurm.journal import Journal
from esp3rt.slurm.ledger import DONE, FAILED, read_run
from esp3rt.slurm.paths import RunPaths, WorkPaths
from esp3rt.slurm.placed import Process


class Alone:
    """The words of a job's first process; it says nothing where somebody leads.

    Args:
        paths: The files of the work; a run may be detached when its job has begun.
        me: This process.
    """

    def __init__(self, paths: WorkPaths, me: Process) -> None:
        self._paths = paths
        self._run = RunPaths(paths.folder.parent.parent)
        self._writer = f"job-{me.worker}"

    @property
    def is_alone(self) -> bool:
        """Whether nobody leads."""
        return self._detached is not None

    @property
    def leads(self) -> bool:
        """Whether what the job runs leads the run while it runs."""
        detached = self._detached
        return detached is not None and bool(detached["leads"])

    @property
    def _detached(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._paths.about().get("detached")
        return found

    def began(self) -> None:
        """The job has begun."""
        detached = self._detached
        if detached is not None and not detached["leads"]:
            # What it says comes after all that was said before, whatever the clock of this machine.
            read_run(self._run)
            Journal(self._run.journal, self._writer).write("stage_began", stage=detached["stages"][0], where="slurm")

    def over(self, journal: Journal, how: str, why: str = "") -> None:
        """The job's work is over, and so is the run where nothing follows.

        Args:
            journal: The journal of the work.
            how: `done` or `failed`.
            why: Why.
        """
        detached = self._detached
        if detached is None:
            return
        journal.write("over", sure=True, how=how, why=why)
        said = Journal(self._run.journal, self._writer)
        states = {name: stage.state for name, stage in read_run(self._run).stages.items()}
        if how == FAILED:
            stage = next((name for name in detached["stages"] if states.get(name) != DONE), detached["stages"][-1])
            if states.get(stage) != FAILED:
                said.write("stage_ended", stage=stage, how=FAILED, why=why)
            said.write("run_over", sure=True, how=FAILED, why=why)
            return
        if not detached["leads"]:
            said.write("stage_ended", stage=detached["stages"][0], how=DONE)
            states[detached["stages"][0]] = DONE
        if set(states.values()) == {DONE}:
            said.write("run_over", sure=True, how=DONE, why="")
