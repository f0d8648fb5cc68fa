"""A chain of stages that was detached: each job waits for the one before, and nobody leads them.

Whoever takes the lead of such a run either finds that it goes on by itself, or takes back what has not begun.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from esp3rt.slurm.asked import Asker, names_of
from esp3rt.slurm.client import cancel
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.ledger import Ledger, Run
from esp3rt.slurm.rows import living_jobs, open_works


def goes_on_alone(run: Run, stages: Iterable[str]) -> list[str]:
    """The jobs of a chain that does all of these stages; none where it does not, or not any more."""
    living = [ledger for ledger in _asked(run) if living_jobs(ledger)]
    all_sent = {*stages} <= {stage for ledger in living for stage in _detached(ledger)["stages"]}
    return [job.id for ledger in living for job in living_jobs(ledger)] if all_sent else []


def take_back(run: Run, writer: str) -> None:
    """End the jobs of a chain; what is to be done is sent again when it is its turn.

    A job that has begun with a stage goes on with it, and is waited for like any other.

    Args:
        run: The run, which this process leads.
        writer: Who says so in the journals; a leader's name.

    Raises:
        Unreachable: SLURM does not answer.
        Refused: It does not end them.
    """
    for ledger in _asked(run):
        begun = any(task.attempt for task in ledger.tasks.values())
        if begun and living_jobs(ledger) and not _detached(ledger)["leads"]:
            continue
        for number, name in names_of(ledger).items():
            cancel([number], name=name)
        why = "what has not begun of a chain goes on anew"
        Journal(ledger.paths.journal, writer).write("over", sure=True, how="cancelled", why=why)
    run.refresh()


def _asked(run: Run) -> list[Ledger]:
    """The works of a chain that are not over, with what SLURM says of their jobs."""
    run.refresh()
    found = [ledger for ledger in open_works(run) if _detached(ledger)]
    if found:
        Asker(run).ask()
    return found


def _detached(ledger: Ledger) -> dict[str, Any]:
    found: dict[str, Any] = ledger.paths.about().get("detached") or {}
    return found
