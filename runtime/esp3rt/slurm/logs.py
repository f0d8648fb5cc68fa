"""`esp3c logs`: what the jobs of a run print.

Of several logs each line bears the name of its worker. Who has which shard is asked of the journals, SLURM is not asked.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from esp3rt.slurm.chosen import Chosen, Failure, add_choice, chosen, fail, leader_of
from esp3rt.slurm.journal import Reader
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, Ledger, Run, Stage, read_run
from esp3rt.slurm.news import task_text
from esp3rt.slurm.rows import living_jobs, living_workers, state_of, works_of
from esp3rt.slurm.tails import Tail, plain_text

_SECONDS_BETWEEN_READS = 0.25
_SECONDS_BETWEEN_GLANCES = 5.0
# Of several logs, so that all of them are seen.
_LINES_OF_MANY = 20

EPILOG = """\
examples:
  esp3c logs                         the stage that runs, or failed, or ran last
  esp3c logs digits -f               and what is added to it, until the work is over
  esp3c logs --stage infer --shard 7 the job that has shard 7, or had it last
"""


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    parser = argparse.ArgumentParser(
        prog="esp3c logs",
        description="Shows what the jobs of a run print.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added, until the work is over")
    parser.add_argument("--stage", metavar="STAGE", help="of this stage")
    parser.add_argument("--shard", metavar="N", help="of the job that has this shard, or had it last")
    parser.add_argument(
        "--lines",
        type=_count,
        metavar="N",
        help=f"the last N lines of each log; by default all of one log, and {_LINES_OF_MANY} of each of several",
    )
    args = parser.parse_args(words)
    try:
        choice = chosen(args.recipe, args.run)
        run = read_run(choice.paths)
        stage = _stage(choice, run, args.stage)
        return _Shown(choice, run, stage, args.lines, args.shard).show(args.follow)
    except Failure as failure:
        return fail(failure)
    except KeyboardInterrupt:
        # Only the view ends.
        return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError("a number of lines is 0 or more")
    return count


def _stage(choice: Chosen, run: Run, name: str | None) -> Stage:
    """The stage that is asked for: the one that runs, or failed, or else the last that had jobs.

    Raises:
        Failure: It has no jobs, or there is no such stage.
    """
    sent = [stage for stage in run.stages.values() if stage.works]
    if name is not None:
        if name not in run.stages:
            raise Failure(f"--stage {name}: the run has no such stage; it has {', '.join(run.stages)}", 2)
        if not run.stages[name].works:
            leading = [ledger for stage in sent for ledger in stage.works if name in _stages_led_by(ledger)]
            if leading:
                return Stage(name, run.stages[name].state, works=leading[-1:])
            raise Failure(f"{name} has sent no jobs" + _own_log(run, name))
        return run.stages[name]
    if not sent:
        raise Failure(f"run {choice.paths.name} has sent no jobs yet: `{choice.command('status')}` says how far it is")
    open_ = [stage for stage in sent if any(not ledger.over for ledger in works_of(stage))]
    failed = [stage for stage in sent if state_of(run, stage) == FAILED]
    return max(open_ or failed or sent, key=lambda stage: stage.works[-1].began)


def _stages_led_by(ledger: Ledger) -> list[str]:
    """The stages that the job of a detached run runs, and has others do shards of."""
    found: list[str] = (ledger.paths.about().get("detached") or {}).get("stages", [])
    return found


def _own_log(run: Run, stage: str) -> str:
    own = run.about.get("logs", {}).get(stage)
    return "" if own is None else f"; its own log is {Path(run.about.get('recipe', '')) / own}"


@dataclass(slots=True)
class _Open:
    """A log that is shown: `name` stands before its lines where there are several."""

    name: str
    tail: Tail


@dataclass(slots=True)
class _Shown:
    """What is shown of a stage."""

    choice: Chosen
    run: Run
    stage: Stage
    lines: int | None
    task: str | None = None
    logs: dict[Path, _Open] = field(default_factory=dict)
    said: str = ""

    def show(self, follow: bool) -> int:
        """Show it; the exit code."""
        followed = _Followed(self.run, self.stage) if follow else None
        self._find(at_first=True)
        if not self.logs and not follow:
            raise Failure(self._nothing_yet())
        if not self.logs:
            print(plain_text(self._nothing_yet()), file=sys.stderr)
        while followed is not None and not followed.is_over():
            self._print(whole=False)
            time.sleep(_SECONDS_BETWEEN_READS)
            self.run.refresh()
            self._find(at_first=False)
        if followed is not None:
            # The last lines of a job may come a moment after what it says in its journal.
            time.sleep(_SECONDS_BETWEEN_READS)
        self._print(whole=True)
        return 0

    def _print(self, *, whole: bool) -> None:
        for log in self.logs.values():
            prefix = f"{log.name} | " if len(self.logs) > 1 else ""
            for line in log.tail.rest() if whole else log.tail.read():
                print(prefix + line)
        sys.stdout.flush()

    def _find(self, *, at_first: bool) -> None:
        """Open the logs that are there now and were not before."""
        workers = self._workers()
        # A job that goes from one work to the next has one log.
        paths = {ledger.paths.log_of(worker).resolve(): (ledger, worker) for ledger, worker in workers}
        count = self.lines if self.lines is not None or len(paths) < 2 else _LINES_OF_MANY
        for path, (_, worker) in paths.items():
            if path not in self.logs and path.exists():
                # What came in the meantime is shown from its beginning.
                job, _, process = worker.rsplit(".", 2)
                self.logs[path] = _Open(f"{job}.{process}", Tail(path, count if at_first else None))

    def _workers(self) -> list[tuple[Ledger, str]]:
        if self.task is None:
            works = works_of(self.stage)
            current = [ledger for ledger in works if not ledger.over] or works
            return [(ledger, name) for ledger in current for name in _names(ledger)]
        ledger, number = self._task(self.task)
        task = ledger.tasks[number]
        if not task.worker:
            return []
        self._say(ledger, number)
        return [(ledger, task.worker)]

    def _task(self, text: str) -> tuple[Ledger, int]:
        """The work that has a task, and the task's number.

        Raises:
            Failure: There is no such task.
        """
        for ledger in reversed(works_of(self.stage)):
            names = {name: number for number, name in ledger.names.items()}
            number = int(text) if text.isdecimal() else names.get(text, -1)
            if number in ledger.tasks:
                return ledger, number
        numbers = self.stage.works[-1].tasks
        raise Failure(f"--shard {text}: {self.stage.name} has shards {min(numbers)} to {max(numbers)}", 2)

    def _say(self, ledger: Ledger, number: int) -> None:
        """Say, once for each attempt, whose log this is."""
        task = ledger.tasks[number]
        worker = ledger.workers.get(task.worker)
        node = f" on {worker.node}" if worker is not None and worker.node else ""
        ended = {DONE: "is done", RUNNING: "is at work", FAILED: f"failed: {task.why}"}
        text = f"{task_text(ledger, number)}: attempt {task.attempt}, by {task.worker}{node}, "
        text += ended.get(task.state, f"came to nothing: {task.why or 'its job was lost'}; it begins again")
        if text == self.said:
            return
        self.said = text
        print(plain_text(text), file=sys.stderr)
        for attempt, before in _attempts(ledger, number).items():
            if before != task.worker:
                print(f"  attempt {attempt} was by {before}: {ledger.paths.log_of(before)}", file=sys.stderr)
        print(f"  its log has all that this job did: {ledger.paths.log_of(task.worker)}", file=sys.stderr)

    def _nothing_yet(self) -> str:
        status = f"`{self.choice.command('status')}` says how far it is"
        if self.task is not None:
            ledger, number = self._task(self.task)
            return f"{task_text(ledger, number)} has not begun yet; {status}"
        return f"no job of {self.stage.name} has begun yet; {status}"


class _Followed:
    """Whether there is still something to come of a stage."""

    def __init__(self, run: Run, stage: Stage) -> None:
        self._run = run
        self._stage = stage
        self._next_glance = 0.0
        self._led = True
        self._asker: object = None

    def is_over(self) -> bool:
        """Whether nothing is added to its logs any more."""
        if self._run.over or self._stage.state in (DONE, FAILED):
            return True
        now = time.monotonic()
        if now >= self._next_glance:
            self._next_glance = now + _SECONDS_BETWEEN_GLANCES
            self._led = leader_of(self._run.paths) is not None
            if not self._led:
                self._ask()
        works = [ledger for ledger in works_of(self._stage) if not ledger.over]
        if self._led:
            # Where a work is over, the next one of the stage may be about to begin.
            return not works and self._stage.state != RUNNING
        # Without a leader nobody says that a work is over.
        return not any(living_jobs(ledger) for ledger in works)

    def _ask(self) -> None:
        from esp3rt.slurm.asked import Asker

        if not isinstance(self._asker, Asker):
            self._asker = Asker(self._run)
        self._asker.ask()


def _names(ledger: Ledger) -> list[str]:
    """The workers whose logs are shown: of those that have the same log the last."""
    living = {worker.name for worker in living_workers(ledger)}
    found = {ledger.paths.log_of(name): name for name in sorted(ledger.workers, key=lambda name: name in living)}
    if not found:
        # They ended before a process of theirs could say so.
        found = {ledger.paths.log_of(f"{job}.0.0"): f"{job}.0.0" for job in ledger.jobs}
    return sorted(found.values(), key=lambda name: [int(digits) for digits in re.findall(r"\d+", name)])


def _attempts(ledger: Ledger, number: int) -> dict[int, str]:
    """The attempts at a task, and the workers that made them."""
    return {
        event.data["attempt"]: event.writer
        for event in sorted(Reader(ledger.paths.journal).read(), key=lambda event: event.time)
        if event.kind == "began" and event.data["task"] == number
    }
