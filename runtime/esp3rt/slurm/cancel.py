"""`esp3c cancel`: ends the jobs of a run, and says so in its journals, where a process that leads it hears it.

Jobs first, then the word: where SLURM does not answer nothing is written, and nobody is told that jobs are gone which may
run on. Whoever leads the run may send jobs in that moment; those are ended when it has heard.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from esp3rt.lease import Owner
from esp3rt.slurm import client
from esp3rt.slurm.asked import Asker
from esp3rt.slurm.chosen import Failure, add_choice, chosen, fail, leader_of
from esp3rt.slurm.claims import LEADER
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.ledger import Ledger, Run, read_run
from esp3rt.slurm.rows import CANCELLED, living_jobs, open_works, works_of
from esp3rt.slurm.tails import plain_text

_SECONDS_TO_ANSWER = 15.0
_SECONDS_TO_HEAR = 20.0
_SECONDS_BETWEEN_LOOKS = 0.2
_JOBS_SHOWN = 5


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    parser = argparse.ArgumentParser(
        prog="esp3c cancel",
        description="Ends the jobs of a run. What is done stays, and `esp3c resume` goes on from there.",
    )
    add_choice(parser)
    parser.add_argument("--stage", metavar="STAGE", help="the jobs of this stage only")
    parser.add_argument("-y", "--yes", action="store_true", help="nothing is asked in any case; for scripts")
    args = parser.parse_args(words)
    try:
        choice = chosen(args.recipe, args.run)
        run = read_run(choice.paths)
        if args.stage is not None and args.stage not in run.stages:
            raise Failure(f"--stage {args.stage}: the run has no such stage; it has {', '.join(run.stages)}", 2)
        return _Cancelled(run, args.stage).cancel()
    except Failure as failure:
        return fail(failure)


class _Cancelled:
    def __init__(self, run: Run, stage: str | None) -> None:
        self._run = run
        self._stage = stage
        self._writer = f"{LEADER}cancel-{socket.gethostname().partition('.')[0]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._ended: set[tuple[str, str]] = set()

    def cancel(self) -> int:
        """End the jobs and say so.

        Raises:
            Failure: SLURM does not answer, or refuses.
        """
        run = self._run
        owner = leader_of(run.paths)
        if owner is None:
            # What the journals say of jobs is as old as the last leader.
            asker = Asker(run)
            asker.ask()
            if asker.silent:
                raise _unanswered(asker.silent, [job.id for ledger in self._open() for job in living_jobs(ledger)])
        works = self._open()
        if not works and (run.over or self._stage is not None):
            what = f"{self._stage} of run {run.paths.name}" if self._stage is not None else f"run {run.paths.name}"
            print(plain_text(f"{what} has no jobs to cancel" + (f": it is {run.over}" if run.over else "")))
            return 0
        for ledger in works:
            self._end_jobs(ledger)
        try:
            for ledger in works:
                Journal(ledger.paths.journal, self._writer).write("over", sure=True, how=CANCELLED, why=_who())
            run.refresh()
            if not open_works(run):
                Journal(run.paths.journal, self._writer).write("run_over", sure=True, how=CANCELLED, why=_who())
        except OSError as error:
            raise Failure(
                f"the jobs are cancelled, but it cannot be written down ({error}): whoever leads the run may send others"
            ) from error
        if owner is not None and works:
            self._tell(owner, works)
        if not self._ended:
            print(f"run {run.paths.name} had no job in the queue; it is cancelled")
        return 0

    def _open(self) -> list[Ledger]:
        if self._stage is None:
            return open_works(self._run)
        return [ledger for ledger in works_of(self._run.stages[self._stage]) if not ledger.over]

    def _tell(self, owner: Owner, works: Sequence[Ledger]) -> None:
        """Wait until whoever leads the run has heard; what it has sent in the meantime is ended too."""
        print(plain_text(f"{owner} leads the run; waiting until it has heard"), flush=True)
        end = time.monotonic() + _SECONDS_TO_HEAR
        while time.monotonic() < end and leader_of(self._run.paths) == owner:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        self._run.refresh()
        for ledger in works:
            self._end_jobs(ledger)
        if leader_of(self._run.paths) == owner:
            print(f"{owner} has not ended yet; it ends when it reads its journals", file=sys.stderr)

    def _end_jobs(self, ledger: Ledger) -> None:
        """End the jobs of a work, and those of which it is not known whether they were sent."""
        jobs = Counter((job.id.partition("_")[0], job.name) for job in living_jobs(ledger))
        calls = [(base, name, count) for (base, name), count in jobs.items()]
        try:
            for sending in list(ledger.unsent.values()):
                look = partial(client.find_by_name, sending["name"], deadline=_SECONDS_TO_ANSWER)
                found = client.retried(look, seconds=_SECONDS_TO_ANSWER, say=_say)
                calls += [(base, sending["name"], sending.get("jobs", 1)) for base in found]
            for base, name, count in calls:
                if (base, name) in self._ended:
                    continue
                end = partial(client.cancel, [base], name=name, deadline=_SECONDS_TO_ANSWER)
                client.retried(end, seconds=_SECONDS_TO_ANSWER, say=_say)
                self._ended.add((base, name))
                what = f"job {base}" if count == 1 else f"job {base}, {count} jobs of an array"
                print(plain_text(f"{ledger.name}: {what} cancelled"), flush=True)
        except client.Unreachable as error:
            raise _unanswered(str(error), [base for base, _, _ in calls]) from error
        except client.Refused as error:
            raise Failure(f"{ledger.name}: SLURM does not cancel its jobs: {error}") from error


def _unanswered(why: str, jobs: Sequence[str]) -> Failure:
    shown = ", ".join(jobs[:_JOBS_SHOWN]) + (" …" if len(jobs) > _JOBS_SHOWN else "")
    return Failure(
        f"SLURM does not answer ({why}): whether the jobs ({shown or 'of unknown number'}) run on is not known; nothing was "
        "written down, so try again when it does"
    )


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # Not every machine has a name for every user.
        user = f"user {os.getuid()}"
    return f"`esp3c cancel` by {user} on {socket.gethostname()}"


def _say(line: str) -> None:
    print(plain_text(line), file=sys.stderr, flush=True)
