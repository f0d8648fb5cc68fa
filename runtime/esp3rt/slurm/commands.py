"""A job that runs a command, such as `run.py --stages train`: in each of its processes, with SLURM's signals handed on.

The command learns by SIGUSR2 that its time is nearly over, or its place needed. It then writes down how far it is and ends
with `AGAIN`. A command that does not end in time, being busy in code that lets no handler run, is cut off shortly before
SLURM would do it, and goes on from what it wrote last. What becomes of the job depends on how the command ends:

| end | then |
|---|---|
| with 0, in each process of the job | it is done |
| with `AGAIN`, cut off, or by the warning | SLURM puts the job back into the queue [1] |
| with another exit code | it has failed |
| by a signal of somebody else's | whoever leads sends another job; where nobody does, back into the queue [2] |
| badly, when SLURM had begun to end the job | SLURM knows why, and starts it again where it wants to |

[1] `attempts` times in all, not counting those in which the command has said that it made progress (`PROGRESS`); as often as
    need be where another job needs its place.
[2] `attempts` times in all.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from esp3rt.slurm.alone import Alone
from esp3rt.slurm.client import NotInstalled, Refused, Unreachable, requeue, retried
from esp3rt.slurm.journal import Journal, Reader
from esp3rt.slurm.ledger import DONE, FAILED, Ledger
from esp3rt.slurm.looks import UNKNOWN, Watch
from esp3rt.slurm.meeting import are_others_done, meeting_place, say_done
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.placed import AGAIN, Process, Signals
from esp3rt.worker_process import cause_of

PROGRESS = "ESP3RT_PROGRESS"
# SLURM sends the warning up to a minute early and needs a moment for the rest.
_SECONDS_BEFORE_THE_END = 10.0
_SECONDS_TO_END = 5.0
_SECONDS_EARLY = 90.0
# A site may let a job keep its place for a while when another needs it.
_SECONDS_TO_BE_TAKEN = 900.0
# What follows SIGTERM by itself: SIGKILL after the site's KillWait, which is 30 s nearly everywhere. Where nothing does, somebody
# has sent the signal alone.
_SECONDS_TO_BE_KILLED = 90.0
_SECONDS_TO_LOOK = 10.0
_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 5.0


def obey(paths: WorkPaths, number: int, me: Process, journal: Journal, about: dict[str, Any]) -> int:
    """Run the command of this job; see the module's text.

    Args:
        paths: The files of the work.
        number: Which call of sbatch has sent the job.
        me: This process.
        journal: Where to say what happens.
        about: The content of work.json.

    Returns:
        The exit code.
    """
    sent = json.loads((paths.send / f"{number}.json").read_text(encoding="utf-8"))
    task = sent["tasks"][me.index]
    ledger = Ledger.of(paths)
    ledger.fold(sorted(Reader(paths.journal).read(), key=lambda event: event.time))
    if ledger.over or ledger.tasks[task].state == DONE:
        # It was sent, or started again, by somebody who did not know yet.
        print(f"there is nothing left to do: {ledger.over or DONE}", flush=True)
        journal.write("left", code=0)
        return 0
    return _Obeying(paths, me, journal, about, task, sent["attempts"][str(task)]).run()


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """How a command has ended: `taken` where SLURM had begun to end the job, `warned` and `cut` as the names say."""

    code: int
    warned: bool = False
    cut: bool = False
    taken: bool = False

    @property
    def wants_again(self) -> bool:
        return self.code == AGAIN or self.cut or (self.warned and self.code == -signal.SIGUSR2)

    @property
    def is_lost(self) -> bool:
        return self.code < 0 or self.code in (128 + signal.SIGTERM, 128 + signal.SIGINT)


class _Obeying:
    def __init__(
        self, paths: WorkPaths, me: Process, journal: Journal, about: dict[str, Any], task: int, attempt: int
    ) -> None:
        self._paths = paths
        self._me = me
        self._journal = journal
        self._about = about
        self._which: dict[str, Any] = {"task": task, "attempt": attempt}
        self._began = time.monotonic()
        self._delay = float(about["signal_delay"])
        self._alone = Alone(paths, me)
        self._signals = Signals(signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGUSR1)
        self._progress = self._progress_in(me.restarts)

    def run(self) -> int:
        about, me = self._about, self._me
        if me.rank == 0:
            self._journal.write("began", **self._which)
            self._alone.began()
        variables = {
            **os.environ,
            **about["variables"],
            PROGRESS: str(self._progress),
            **meeting_place(self._paths, me),
        }
        process = subprocess.Popen(
            about["commands"][str(self._which["task"])],
            cwd=about["place"]["folder"],
            env=variables,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        end = _Watched(process, self._signals, self._journal, self._delay).wait()
        if end.code == 0:
            return self._done()
        if end.taken:
            return self._await_removal()
        refusal = self._refusal(end)
        if end.wants_again and not refusal:
            return self._again(asks=me.rank == 0)
        why = refusal or cause_of(end.code)
        print(f"the command {'was ' if why.startswith('killed') else ''}{why}", flush=True)
        if end.is_lost and not refusal and self._alone.is_alone and me.restarts + 1 < about["attempts"]:
            return self._again(asks=True)
        return self._bad("died" if end.is_lost and not refusal else "failed", why, end.code)

    def _done(self) -> int:
        if self._me.rank != 0:
            self._journal.write("left", code=0)
            say_done(self._paths, self._me)
            return 0
        wait = _SHORTEST_WAIT
        while not are_others_done(self._paths, self._me):
            # One that fails ends the job, and this process with it.
            if self._is_told_to_end(wait):
                return self._await_removal()
            wait = min(_LONGEST_WAIT, 2 * wait)
        # In one event: between two, it would look as if the job had ended without an end, or gone on after it.
        self._journal.write("ended", sure=True, **self._which, token=self._about["token"], left=True)
        self._alone.over(self._journal, DONE)
        return 0

    def _refusal(self, end: _End) -> str:
        """Why a command that wants to be started again is not; empty where it is."""
        if not end.wants_again or self._progress.exists() or self._alone.leads:
            return ""
        limit = self._about["limit"]
        its_time_was_over = time.monotonic() - self._began > 60 * limit - self._delay - _SECONDS_EARLY
        if end.warned and not its_time_was_over:
            # Another job needs the place.
            return ""
        times = sum(not self._progress_in(life).exists() for life in range(self._me.restarts + 1))
        if times < self._about["attempts"]:
            return ""
        if end.warned:
            return f"did not end within its time limit of {limit} min, {times} times"
        return f"asked to be started again (exit code {AGAIN}) {times} times without progress"

    def _progress_in(self, life: int) -> Path:
        """There where the command has made progress in a life of the job: 0 is the first."""
        return self._paths.ranks / f"{self._me.job}.{life}.progress"

    def _again(self, asks: bool) -> int:
        """Have SLURM start the job again; a process that does not ask for that waits until another has."""
        print("the command goes on when SLURM starts the job again", flush=True)
        if asks:
            self._journal.write("requeued", sure=True, **self._which)
            try:
                left = self._delay - _SECONDS_BEFORE_THE_END
                retried(partial(requeue, self._me.job), seconds=left, say=partial(print, flush=True))
            except (Refused, Unreachable) as error:
                # SLURM may be about to do it by itself, which it calls an error, too.
                if self._me.rank == 0 and self._runs_on():
                    return self._bad("died", f"not requeued by SLURM: {error}", AGAIN, progress=True)
        # It must not have ended by itself before SLURM takes it away.
        self._is_told_to_end(_SECONDS_TO_BE_TAKEN)
        return AGAIN

    def _await_removal(self) -> int:
        """Wait until SLURM has taken the job away, as it said it would.

        Were this process to end before, so would the job, by itself, and SLURM would not start it again.
        """
        end = time.monotonic() + _SECONDS_TO_BE_KILLED
        wait = _SHORTEST_WAIT
        # One call for a job is enough: the others end with its first process.
        while time.monotonic() < end and (self._me.rank != 0 or self._runs_on()):
            time.sleep(wait)
            wait = min(_LONGEST_WAIT, 2 * wait)
        return 128 + signal.SIGTERM

    def _runs_on(self) -> bool:
        """Whether the job runs, as far as SLURM says."""
        try:
            look = Watch([self._me.job]).look(deadline=_SECONDS_TO_LOOK)[self._me.job]
        except NotInstalled:
            return True
        return look.state in ("RUNNING", UNKNOWN)

    def _is_told_to_end(self, seconds: float) -> bool:
        """Wait for SIGTERM, up to so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            select.select([self._signals], [], [], left)
            if signal.SIGTERM in self._signals.heard():
                return True
        return False

    def _bad(self, kind: str, why: str, code: int, progress: bool = False) -> int:
        made = progress or self._progress.exists()
        self._journal.write(kind, sure=True, **self._which, why=why, text=why, progress=made)
        self._alone.over(self._journal, FAILED, why)
        self._journal.write("left", code=code)
        return code if code >= 0 else 128 - code


class _Watched:
    def __init__(self, process: subprocess.Popen[bytes], signals: Signals, journal: Journal, delay: float) -> None:
        self._process = process
        self._signals = signals
        self._journal = journal
        self._delay = delay
        self._deadline: float | None = None
        self._taken = False

    def wait(self) -> _End:
        """Wait for the command's end, and hand signals on."""
        life = os.pidfd_open(self._process.pid)
        cut = False
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(life, selectors.EVENT_READ)
                selector.register(self._signals, selectors.EVENT_READ)
                while not cut:
                    wait = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
                    ready = {key.fileobj for key, _ in selector.select(wait)}
                    # First what was heard: the command may have ended of it.
                    self._hand_on(self._signals.heard())
                    if life in ready:
                        break
                    cut = self._deadline is not None and time.monotonic() >= self._deadline
        finally:
            os.close(life)
        if cut:
            print("the command does not end in time: it is cut off, and goes on from what it wrote last", flush=True)
        # What it has started does not outlive it.
        self._signal(signal.SIGKILL)
        return _End(code=self._process.wait(), warned=self._deadline is not None, cut=cut, taken=self._taken)

    def _hand_on(self, numbers: list[int]) -> None:
        if signal.SIGUSR2 in numbers and self._deadline is None:
            self._journal.write("stopping", why="the time limit is near, or another job needs the place")
            self._deadline = time.monotonic() + max(_SECONDS_TO_END, self._delay - _SECONDS_BEFORE_THE_END)
            self._process.send_signal(signal.SIGUSR2)
        if {signal.SIGTERM, signal.SIGINT} & {*numbers}:
            self._journal.write("stopping", why="SLURM ends the job")
            self._taken = True
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return
