"""`python -m esp3rt.sweep SPEC`: what `esp3c run --sweep` has written down is done, and what came of it is shown.

What is done stays done: the same again does the points that are left.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from esp3rt.lease import Owner, take
from esp3rt.progress import Panel, console_line, duration, on_terminal
from esp3rt.slurm.client import Refused, Unreachable
from esp3rt.slurm.found import RunBusy
from esp3rt.slurm.settings import SettingError
from esp3rt.slurm.tails import last_line, plain_text
from esp3rt.sweep.here import Begun, done_here, done_in_front
from esp3rt.sweep.jobs import PointsFailed, has_jobs, run_jobs
from esp3rt.sweep.results import aligned, results_of, show, write
from esp3rt.sweep.spec import DONE, FAILED, Point, Record, Records, Sweep, SweepError, read_sweep
from esp3rt.work import WorkersDied

_INTERRUPTED = 130
_SECONDS_BETWEEN_REDRAWS = 0.25


class _Stopped(Exception):
    """What is the same for all points could not be done; its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    parser = argparse.ArgumentParser(prog="esp3rt.sweep", description="Runs the points of a sweep.")
    parser.add_argument("spec", type=Path, help="the file that says what is to be done")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many points run at once")
    parser.add_argument("--detach", action="store_true", help="send the jobs, and do not wait for them")
    args = parser.parse_args(words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        sweep = read_sweep(args.spec)
        lease = take(sweep.folder / "lead")
    except (SweepError, OSError) as error:
        return _fail(str(error))
    if isinstance(lease, Owner):
        return _fail(f"{lease} is at this sweep already; `esp3c status` shows its jobs")
    with lease:
        return _Sweeping(sweep, args.jobs, args.detach).run()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    # In order, so that no process is left behind.
    sys.exit(128 + number)


def _fail(message: str) -> int:
    print("\n".join(map(plain_text, f"esp3c: error: {message}".split("\n"))), file=sys.stderr)
    return 1


class _Sweeping:
    def __init__(self, sweep: Sweep, at_once: int | None, detach: bool) -> None:
        self._sweep = sweep
        self._records = Records(sweep)
        self._at_once = at_once
        self._detach = detach

    def run(self) -> int:
        """Do the points that are not done, and show all; the exit code."""
        points = self._sweep.points
        left = [point for point in points if self._records.of(point).state != DONE]
        if len(left) < len(points):
            console_line(f"{len(points) - len(left)} of {len(points)} points are done already")
        for point in left:
            record = self._records.of(point)
            if record.state == FAILED:
                self._records.write(point, Record(prepared=record.prepared))
        try:
            code = self._done(left) if left else 0
        except KeyboardInterrupt:
            code = _INTERRUPTED
            going = (
                "; its jobs run on: `esp3c status` shows them" if self._sweep.setting and has_jobs(self._sweep) else ""
            )
            console_line(f"interrupted{going}; the same command goes on")
        except _Stopped as error:
            code = error.code
        except Unreachable as error:
            code = _fail(f"SLURM does not answer: {error}; nothing is lost, `esp3c resume` goes on")
        except Refused as error:
            code = _fail(f"SLURM does not take the jobs: {error}")
        except (WorkersDied, RunBusy, SettingError) as error:
            code = _fail(f"{error}\nwhat is done is kept; the same command goes on")
        if self._detach and code == 0 and left:
            return 0
        results = results_of(self._sweep)
        write(results)
        show(results)
        return code

    def _done(self, points: Sequence[Point]) -> int:
        if self._sweep.setting is None:
            self._share()
            failed = self._run_here(points, self._at_once or 1, last=True)
            return 1 if failed else 0
        if not has_jobs(self._sweep):
            self._share()
        try:
            jobs = run_jobs(self._sweep, points, self._at_once, self._prepare, detached=self._detach)
        except PointsFailed:
            return 1
        if self._detach:
            count = "1 point" if len(points) == 1 else f"{len(points)} points"
            console_line(f"sent: {count} (job {', '.join(jobs)})")
            console_line(
                "`esp3c status` shows them, `esp3c cancel` ends them; the same command without --detach waits for them and "
                "shows what came of them"
            )
        return 0

    def _share(self) -> None:
        """Do what is the same for all points.

        Raises:
            _Stopped: It cannot be done.
        """
        if not self._sweep.shared:
            return
        console_line("first what is the same for all points")
        code = done_in_front(self._sweep.shared, self._sweep.recipe)
        if code in (_INTERRUPTED, -signal.SIGINT):
            raise KeyboardInterrupt
        if code:
            console_line("what is the same for all points could not be done, so that none was begun")
            raise _Stopped(1)

    def _prepare(self, points: Sequence[Point]) -> list[Point]:
        """Do what comes before the jobs of points; those of which it is done."""
        new = [point for point in points if point.here and not self._records.of(point).prepared]
        failed = self._run_here(new, self._at_once or 1, last=False)
        return [point for point in points if point.name not in failed]

    def _run_here(self, points: Sequence[Point], at_once: int, *, last: bool) -> set[str]:
        """Run points on this machine, and write down what becomes of each.

        Args:
            points: The points.
            at_once: How many at once.
            last: Whether nothing comes after it.

        Returns:
            The names of those that failed.
        """
        failed = set()
        logs = [self._sweep.log_of(point) for point in points]
        running: dict[int, float] = {}
        with ExitStack() as stack:
            panel = stack.enter_context(Panel()) if on_terminal() else None
            happening = done_here([point.here for point in points], logs, self._sweep.recipe, at_once)
            stack.callback(happening.close)
            next_draw = 0.0
            for event in happening:
                if panel is not None and time.monotonic() >= next_draw:
                    next_draw = time.monotonic() + _SECONDS_BETWEEN_REDRAWS
                    panel.show(_picture(points, logs, running))
                if event is None:
                    continue
                point, log = points[event.number], logs[event.number]
                place = f"[{event.number + 1}/{len(points)}] {point.name}"
                if isinstance(event, Begun):
                    running[event.number] = time.monotonic()
                    console_line(plain_text(f"{place}; its log: {log}"))
                    continue
                del running[event.number]
                record = Record(prepared=True, seconds=round(event.seconds, 3), attempts=1, log=str(log))
                if event.bad:
                    failed.add(point.name)
                    said = last_line(log)
                    why = f"{event.bad} ({said})" if said else event.bad
                    record = Record(state=FAILED, seconds=record.seconds, attempts=1, why=why, log=record.log)
                elif last:
                    record = Record(state=DONE, prepared=True, seconds=record.seconds, attempts=1, log=record.log)
                self._records.write(point, record)
                how = f"failed: {record.why}" if event.bad else f"done in {duration(event.seconds)}"
                console_line(plain_text(f"{place}: {how}"))
        return failed


def _picture(points: Sequence[Point], logs: Sequence[Path], running: dict[int, float]) -> object:
    """The points that run, each with the last line of its log."""
    from rich.text import Text

    now = time.monotonic()
    rows = [
        (points[number].name, duration(now - began), f"│ {last_line(logs[number])}")
        for number, began in running.items()
    ]
    return Text("\n".join(aligned(rows, {1})) if rows else "", no_wrap=True, overflow="ellipsis", style="cyan")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
