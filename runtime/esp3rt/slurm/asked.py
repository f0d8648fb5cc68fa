"""Asks SLURM about the jobs of a run that nobody leads, so that what is said of them is not as old as its last leader.

What is found out goes into the run as it is held here, and is written nowhere.
"""

from __future__ import annotations

from esp3rt.slurm.client import NotInstalled
from esp3rt.slurm.ledger import Ledger, Run
from esp3rt.slurm.looks import Watch
from esp3rt.slurm.rows import living_jobs, open_works

_SECONDS_TO_ANSWER = 12.0


def names_of(ledger: Ledger) -> dict[str, str]:
    """What the jobs of a work are called in SLURM: the number that sbatch gave, and the name."""
    return {job.id.partition("_")[0]: job.name for job in ledger.jobs.values()}


class Asker:
    """Asks SLURM about the living jobs of a run, from time to time.

    Args:
        run: The run; what is found out is put into it.

    Attributes:
        silent: Why SLURM did not answer; empty where it did, or was not asked.
    """

    def __init__(self, run: Run) -> None:
        self.silent = ""
        self._run = run
        self._watch = Watch()
        self._known: set[str] = set()

    def ask(self) -> None:
        """Ask, unless there is nothing to ask about, or it was done a moment ago."""
        for ledger in open_works(self._run):
            for job in living_jobs(ledger):
                if job.id not in self._known:
                    self._known.add(job.id)
                    self._watch.add([job.id], name=job.name)
        if not self._watch.due():
            return
        try:
            looks = self._watch.look(deadline=_SECONDS_TO_ANSWER)
        except NotInstalled as error:
            self.silent = str(error)
            for ledger in open_works(self._run):
                ledger.silent = self.silent
            return
        self.silent = self._watch.unreachable
        for ledger in open_works(self._run):
            ledger.silent = self.silent
            for job in living_jobs(ledger):
                look = looks.get(job.id)
                if look is None or (look.alive is None and self.silent):
                    # What the journals say is the best that there is.
                    continue
                job.state, job.alive, job.reason = look.state, look.alive, look.reason
                job.node, job.restarts = look.node or job.node, look.restarts or job.restarts
