"""A chain of stages that was detached: each job waits for the one before, and nobody leads them.

Whoever takes the lead of such a run either finds that it goes on by itself, or takes back what has not begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from esp3rt.slurm.asked import Asker, names_of
from esp3rt.slurm.client import cancel
from esp3rt.slurm.guard import Check, GuardedJournal
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.ledger import Ledger, Run
from esp3rt.slurm.request import COMMANDS
from esp3rt.slurm.rows import living_jobs, open_works
from esp3rt.slurm.submit import find_lost

_SECONDS_TO_ANSWER = 60.0


class Chain:
    """The chain of a run that this process leads.

    Args:
        run: The run.
        writer: Who says in the journals what a leader says; a leader's name that no other has.
        say: Told where SLURM does not answer.
        check: See `Check`.
    """

    def __init__(self, run: Run, writer: str, say: Callable[[str], None], check: Check) -> None:
        self._check = check
        self._run = run
        self._writer = writer
        self._say = say

    def goes_on(self, stages: Iterable[str]) -> bool:
        """Whether its jobs live, and do all of these stages.

        Raises:
            Unreachable: SLURM does not answer.
        """
        living = [ledger for ledger in self._asked() if living_jobs(ledger)]
        return {*stages} <= {stage for ledger in living for stage in _detached(ledger)["stages"]}

    def take_back(self, detaches: bool = False) -> None:
        """End its jobs; what is to be done is sent again when it is its turn.

        A job that has begun with a stage goes on with it, and is waited for like any other.

        Args:
            detaches: Whether this process is going to detach the run, so that nobody will look after stages that were sent
                before, either.

        Raises:
            Unreachable: SLURM does not answer.
            Refused: It does not end them.
        """
        for ledger in self._asked(also_led=detaches):
            self._check(now=True)
            begun = any(task.attempt for task in ledger.tasks.values())
            if begun and living_jobs(ledger) and not _detached(ledger).get("leads"):
                continue
            for number, name in names_of(ledger).items():
                cancel([number], name=name)
            why = "what has not begun of a chain goes on anew"
            self._journal_of(ledger).write("over", sure=True, how="cancelled", why=why)
        self._run.refresh()

    def _asked(self, also_led: bool = False) -> list[Ledger]:
        """The works of the chain that are not over, with what SLURM says of their jobs."""
        self._run.refresh()
        found = [
            ledger for ledger in open_works(self._run) if _detached(ledger) or (also_led and ledger.kind == COMMANDS)
        ]
        for ledger in found:
            find_lost(ledger.unsent, self._journal_of(ledger), _SECONDS_TO_ANSWER, self._say)
        self._run.refresh()
        if found:
            Asker(self._run).ask()
        return found

    def _journal_of(self, ledger: Ledger) -> Journal:
        return GuardedJournal(ledger.paths.journal, self._writer, self._check)


def _detached(ledger: Ledger) -> dict[str, Any]:
    found: dict[str, Any] = ledger.paths.about().get("detached") or {}
    return found
