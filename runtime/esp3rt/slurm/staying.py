"""Jobs that go from one work to the next.

A stage may have several works, one after the other: a test set each, say. Jobs of the first that find nothing more to do stay
for a while and go on with the next, so that a stage waits in the queue once. Where the next work stands is written beside the
one that is done (`next`); that there will be none, too (`closed`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from esp3rt.files import write_text
from esp3rt.slurm import client
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.ledger import Job, Ledger
from esp3rt.slurm.living import living, workers_of
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.placed import Signals

SECONDS_TO_STAY = 60.0
_SECONDS_BETWEEN_LOOKS = 0.2


def hand_over(before: Ledger, journal: Journal) -> None:
    """Let the jobs of a work that is done be those of the next; `send_on` then tells them.

    Args:
        before: The work that is done.
        journal: A journal of the next.
    """
    # Its workers have left that work; they wait for this one.
    for job in (job for job in before.jobs.values() if job.alive is not False):
        journal.write(
            "seen", job=job.id, name=job.name, state=job.state, alive=True, reason=job.reason, node=job.node,
            restarts=job.restarts, adopted=True,
        )  # fmt: skip


def send_on(before: WorkPaths, after: WorkPaths) -> None:
    """Tell the jobs of a work that is done where to go on; the next is whole by now."""
    write_text(before.next, str(after.folder))


def close(works: Sequence[Ledger], say: Callable[[str], None]) -> None:
    """Let the jobs of works that are done go; those that never began to run are cancelled."""
    for work in works:
        work.paths.closed.touch()
    begun = {worker.job for work in works for worker in work.workers.values()}
    for work in works[-1:]:
        end_jobs([job for job in living(work) if job.id not in begun and not workers_of(work, job.id)], say)


def clear(works: Sequence[Ledger]) -> None:
    """Remove what nobody needs of works that are done, when their stage is: what they did, who did it, what came of it.

    What was sent, said and printed stays.
    """
    for work in works:
        # First what tells a job that comes late that it is late.
        work.paths.job.unlink(missing_ok=True)
        for folder in (work.paths.claims, work.paths.workers, work.paths.results):
            # A job that is late may be writing there.
            shutil.rmtree(folder, ignore_errors=True)


def end_jobs(jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    """Cancel jobs, and say where that cannot be done."""
    by_name: dict[str, list[str]] = {}
    for job in jobs:
        by_name.setdefault(job.name, []).append(job.id)
    for name, ids in by_name.items():
        try:
            client.cancel(ids, name=name)
        except (client.Unreachable, client.Refused) as error:
            say(f"jobs {', '.join(ids)} could not be cancelled ({error}); they end when they find no work")


def next_work(paths: WorkPaths, seconds: float, signals: Signals) -> WorkPaths | None:
    """In a job: wait for the next work; None where there is none, or SLURM wants the job to end.

    Args:
        paths: The files of the work that is done.
        seconds: For how long to wait.
        signals: What SLURM says.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_closed = paths.closed.exists()
        if paths.next.exists():
            return WorkPaths(Path(paths.next.read_text(encoding="utf-8")))
        if is_closed or signals.heard() or time.monotonic() >= deadline:
            return None
        time.sleep(_SECONDS_BETWEEN_LOOKS)
