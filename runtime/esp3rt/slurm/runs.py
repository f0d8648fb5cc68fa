"""A run as the process that leads it holds it: its folder, its lease, and the works that it begins or goes on with.

A run is led by one process at a time. One that ends before its jobs do leaves them running; whoever calls the same again,
or `esp3c resume`, takes the lead and finds every job where it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esp3rt.files import write_bytes, write_json
from esp3rt.lease import Lease, LeaseLost, holder
from esp3rt.progress import console_line
from esp3rt.slurm.chain import Chain
from esp3rt.slurm.claims import LEADER
from esp3rt.slurm.client import Unreachable
from esp3rt.slurm.found import RUN, Call, LeadLost, RunBusy, find
from esp3rt.slurm.guard import Check, GuardedJournal, nobody_else_can
from esp3rt.slurm.journal import Journal, Reader
from esp3rt.slurm.leader import Ended, Leader, WorkCancelled
from esp3rt.slurm.ledger import DONE, WAITING, Ledger, Run, read_run
from esp3rt.slurm.paths import RunPaths, WorkPaths
from esp3rt.slurm.placed import AGAIN
from esp3rt.slurm.request import COMMANDS, SHARDS, Shape
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.staying import SECONDS_TO_STAY, clear, close, hand_over, send_on
from esp3rt.slurm.view import Live

__all__ = ["LedRun", "RunBusy", "lead_run", "run_in_force"]


@dataclass(kw_only=True)
class LedRun:
    """A run that this process leads; `lead_run` makes it.

    Attributes:
        paths: Its files.
        recipe: The folder of the recipe.
        check: See `Check`.
        stage: The stage that is running.
    """

    paths: RunPaths
    recipe: str
    journal: Journal
    check: Check = nobody_else_can
    stage: str = ""
    after: tuple[str, ...] = ()
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        self.run = read_run(self.paths)

    @property
    def chain(self) -> Chain:
        """Its chain of jobs, where it was detached."""
        name = f"{LEADER}{socket.gethostname().partition('.')[0]}-{os.getpid()}-{secrets.token_hex(3)}"
        return Chain(self.run, name, console_line, self.check)

    @contextmanager
    def stage_of(self, name: str, where: str) -> Iterator[None]:
        """Around a stage: what it does on the cluster belongs to it, and the run says so."""
        before, self.stage = self.stage, name
        self.journal.write("stage_began", stage=name, where=where)
        try:
            yield
        except BaseException as error:
            if isinstance(_cause(error), LeadLost):
                raise
            how, why = _how(error)
            self.journal.write("stage_ended", stage=name, how=how, why=why)
            if how != WAITING or isinstance(error, Exception):
                self._close_works(name)
            raise
        finally:
            self.stage = before
        self._close_works(name)
        self.journal.write("stage_ended", stage=name, how="done")
        clear([work for work in self.run.stages[name].works if work.over == DONE])

    def shards(
        self,
        settings: Settings,
        job: Callable[[], bytes],
        tasks: Sequence[int],
        *,
        mark: str,
        name_of: Callable[[int], str],
        items: int,
        moved: Callable[[int], None],
    ) -> Iterator[tuple[WorkPaths, Ended]]:
        """Have jobs do shards, and yield each that has ended.

        Args:
            settings: Where.
            job: Gives what is done with a shard, packed.
            tasks: The shards' numbers.
            mark: What tells this work from others; a work with it that was left is gone on with. Empty: it is new.
            name_of: What to call a shard.
            items: How many items they have together; 0 where it is not known.
            moved: Told how many more items are done.
        """
        paths = self._left(SHARDS, mark, tasks)
        if paths is None and not mark:
            self._end_what_nobody_finds()
        if paths is None:
            place = {"sys_path": sys.path, "argv": sys.argv, "folder": os.getcwd()}
            # A runner outside of a stage ends with its work; who knows whether there is another.
            stay = SECONDS_TO_STAY if self.stage and self.stage != RUNNER else 0.0
            about = {"mark": mark, "tasks": list(tasks), "items": items, "place": place, "stay": stay}
            before = self._work_before(settings) if stay else None
            paths = self._new_work(self.stage or "shards", SHARDS, settings, about)
            write_bytes(paths.job, job(), secret=True)
            # Whoever finds it from here on finds it whole.
            self._whole(paths, before)
        leader = self._leader(paths, settings, name_of=name_of, moved=moved)
        for ended in self._lead(leader):
            yield paths, ended

    def command(
        self, settings: Settings, command: Sequence[str], folder: str, shape: Shape, variables: dict[str, str]
    ) -> None:
        """Have one job run a command, and wait for its end.

        Args:
            settings: Where.
            command: The command, as a list.
            folder: Where to run it.
            shape: The processes of the job; each runs the command.
            variables: Environment variables that it gets besides those of this process.
        """
        for _ in self._lead(self._commands([(self.stage, list(command))], settings, folder, shape, variables)):
            continue

    def commands(
        self,
        settings: Settings,
        commands: Sequence[tuple[str, list[str]]],
        folder: str,
        variables: dict[str, str],
        *,
        keep_going: bool = False,
    ) -> tuple[Ledger, Iterator[int]]:
        """Have an array of jobs run a command each; what is known of them, and the number of each that has ended well.

        Args:
            settings: Where.
            commands: What each is called, and the command.
            folder: Where to run them.
            variables: Environment variables that they get besides those of this process.
            keep_going: Whether one that fails leaves the others to go on; the ledger says which have failed.
        """
        leader = self._commands(commands, settings, folder, Shape(), variables)
        leader.keep_going = keep_going
        return leader.ledger, (ended.task for ended in self._lead(leader))

    def send_commands(
        self, settings: Settings, commands: Sequence[tuple[str, list[str]]], folder: str, variables: dict[str, str]
    ) -> list[str]:
        """Send the jobs of `commands`, unless they are sent, and do not wait for them; what SLURM calls them."""
        return self._commands(commands, settings, folder, Shape(), variables).send_all()

    def send_command(
        self,
        settings: Settings,
        command: Sequence[str],
        folder: str,
        shape: Shape,
        variables: dict[str, str],
        *,
        stages: Sequence[str],
        leads: bool,
    ) -> list[str]:
        """Send a job that runs a command after those that were sent before, and do not wait for it.

        Args:
            settings, command, folder, shape, variables: As for `command`.
            stages: The stages that the command runs.
            leads: Whether it leads the run while it does; it gets no GPUs then.

        Returns:
            What SLURM calls it.
        """
        self.stage = stages[0]
        leader = self._commands([(self.stage, list(command))], settings, folder, shape, variables)
        self._detach(leader.paths, {"stages": list(stages), "leads": leads})
        leader.gpus, leader.after = not leads, self.after
        self.after = tuple(leader.send_all())
        return list(self.after)

    def over(self, how: str, why: str = "") -> None:
        """Say that the run is over."""
        self.journal.write("run_over", how=how, why=why)

    def is_done(self, stage: str) -> bool:
        """Whether a stage is done, in this run."""
        self.check(now=True)
        self.run.refresh()
        return stage in self.run.stages and self.run.stages[stage].state == DONE

    def has_open_work(self, stage: str) -> bool:
        """Whether something of a stage was sent, and is not over."""
        self.run.refresh()
        return stage in self.run.stages and any(not work.over for work in self.run.stages[stage].works)

    def _commands(
        self,
        commands: Sequence[tuple[str, list[str]]],
        settings: Settings,
        folder: str,
        shape: Shape,
        variables: dict[str, str],
    ) -> Leader:
        mark = json.dumps([[list(command) for _, command in commands], sorted(variables.items())])
        numbers = list(range(len(commands)))
        paths = self._left(COMMANDS, mark, numbers)
        if paths is None:
            about = {
                "mark": mark,
                "tasks": numbers,
                "names": {number: name for number, (name, _) in enumerate(commands)},
                "commands": {number: command for number, (_, command) in enumerate(commands)},
                "variables": {**variables, RUN: str(self.paths.folder)},
                "signal_delay": settings.signal_delay,
                "limit": settings.minutes,
                "attempts": settings.attempts,
                "place": {"folder": folder},
            }
            paths = self._new_work(self.stage or "commands", COMMANDS, settings, about)
            self._whole(paths)
        names = [name for name, _ in commands]
        return self._leader(paths, settings, shape=shape, name_of=names.__getitem__)

    def _leader(self, paths: WorkPaths, settings: Settings, **more: Any) -> Leader:
        return Leader(paths=paths, settings=settings, recipe=self.recipe, say=console_line, check=self.check, **more)

    def _lead(self, leader: Leader) -> Iterator[Ended]:
        with Live(self.run) as live:
            leader.tick = live.tick
            try:
                yield from leader.lead()
            except (WorkCancelled, *_ONLY_THE_LEADER):
                # Its end is said already; or there is none: jobs run on, and whoever takes the lead, or has it, finds them.
                raise
            except Exception as error:
                leader.end("failed", _first_line(error))
                raise

    def _detach(self, paths: WorkPaths, detached: dict[str, Any]) -> None:
        """Let the jobs of a work know that they speak for themselves."""
        about = paths.about()
        if about.get("detached") != detached:
            write_json(paths.description, {**about, "detached": detached})

    def _new_work(self, name: str, kind: str, settings: Settings, about: dict[str, Any]) -> WorkPaths:
        self.check(now=True)
        return self.paths.new_work(
            name,
            {
                "version": 1,
                "kind": kind,
                "name": name,
                "stage": self.stage or name,
                "token": secrets.token_hex(8),
                "created": round(time.time(), 3),
                "options": _told_apart(settings),
                "workers": settings.workers,
                **about,
            },
        )

    def _whole(self, paths: WorkPaths, before: Ledger | None = None) -> None:
        journal = Journal(paths.journal, f"maker-{socket.gethostname().partition('.')[0]}-{os.getpid()}")
        if before is not None:
            hand_over(before, journal)
        journal.write("made")
        if before is not None:
            send_on(before.paths, paths)

    def _end_what_nobody_finds(self) -> None:
        """End what was left of works without a mark of this stage: nothing tells them from the one that is begun now."""
        self.run.refresh()
        stage = self.run.stages.get(self.stage)
        for work in [] if stage is None else stage.works:
            if work.kind == SHARDS and not work.over and not work.paths.about()["mark"]:
                leader = Leader(
                    paths=work.paths, settings=Settings(), recipe=self.recipe, say=console_line, check=self.check
                )
                leader.take_back("nobody could go on with it")

    def _works_that_stay(self, stage: str) -> list[Ledger]:
        """The works of a stage whose jobs wait for what comes next."""
        self.run.refresh()
        works = self.run.stages[stage].works if stage in self.run.stages else []
        return [work for work in works if work.stay and not (work.paths.next.exists() or work.paths.closed.exists())]

    def _work_before(self, settings: Settings) -> Ledger | None:
        """A work of this stage that is done, and whose jobs can go on with another."""
        for work in reversed(self._works_that_stay(self.stage)):
            about = work.paths.about()
            if work.over == "done" and (about["options"], about["workers"]) == (
                _told_apart(settings),
                settings.workers,
            ):
                return work
        return None

    def _close_works(self, stage: str) -> None:
        self.check(now=True)
        close(self._works_that_stay(stage), console_line)

    def _left(self, kind: str, mark: str, tasks: Sequence[int]) -> WorkPaths | None:
        """A work of this kind and mark that was left before its end."""
        for paths in reversed(self.paths.works()):
            about = paths.about()
            if not mark or (about["kind"], about["mark"]) != (kind, mark) or not set(tasks) <= set(about["tasks"]):
                continue
            if not any(paths.journal.glob("maker-*")):
                continue
            if not _state_of(paths).over:
                return paths
        return None


def _state_of(paths: WorkPaths) -> Ledger:
    ledger = Ledger.of(paths)
    ledger.fold(Reader(paths.journal).read())
    return ledger


def _told_apart(settings: Settings) -> str:
    """What tells options from others. They may hold what people keep to themselves: `export TOKEN=…` in a set-up, say."""
    return hashlib.sha256(json.dumps(settings.options, sort_keys=True, default=str).encode()).hexdigest()


# They end who leads, and not the jobs: nobody answers it, another leads, or whoever read what it prints has gone.
_ONLY_THE_LEADER = (Unreachable, LeadLost, BrokenPipeError)
# Whoever ends with these was told to: by Ctrl-C, SIGTERM, SIGHUP or SIGPIPE, or so that a job is started again.
_CODES_OF_SIGNALS = (130, 143, 129, 141, AGAIN)

# The stage of what is not done by a stage.
RUNNER = "runner"

_now: LedRun | None = None


def run_in_force() -> LedRun | None:
    """The run that this process leads, or None."""
    return _now


@contextmanager
def lead_run(
    recipe: str | os.PathLike[str],
    stages: Sequence[str],
    command: Sequence[str],
    cwd: str,
    *,
    mark: str = "",
    detached: bool = False,
) -> Iterator[LedRun]:
    """Lead a run: a new one, or the one that was left of the same command.

    Args:
        recipe: The folder of the recipe.
        stages: The stages that are called.
        command: What was called, so that it can be called again: Python, `run.py`, its arguments.
        cwd: From which folder.
        mark: What tells the configs from others, where somebody knows it.
        detached: Whether it is to go on without a process that leads it.

    Raises:
        RunBusy: Another process leads it, or its jobs go on under other configs; as `LeadLost`, raised by whatever was to be
            done in the run, where another has taken the lead since.
    """
    global _now
    if _now is not None:
        yield _now
        return
    folder = Path(recipe).absolute()
    call = Call(recipe=folder, stages=stages, command=command, cwd=cwd, mark=mark, detached=detached)
    paths, lease = find(call, console_line)
    with lease:
        check = _check_of(paths, lease)
        writer = f"leader-{socket.gethostname().partition('.')[0]}-{os.getpid()}"
        journal = GuardedJournal(paths.journal, writer, check)
        journal.write("leader", host=socket.gethostname(), pid=os.getpid())
        led = LedRun(paths=paths, recipe=str(folder), journal=journal, check=check)
        _now = led
        try:
            yield led
        except BaseException as error:
            how, why = _how(error)
            # Who was told to end leaves it to whoever comes next.
            if how != WAITING and not isinstance(_cause(error), _ONLY_THE_LEADER):
                led.over(how, why)
            raise
        finally:
            _now = None


def _check_of(paths: RunPaths, lease: Lease) -> Check:
    def check(*, now: bool = False) -> None:
        try:
            lease.check(now=now)
        except LeaseLost as error:
            who = holder(paths.lead) or "another process"
            raise LeadLost(
                f"{who} leads run {paths.name} now, since this one did not move for a while; `esp3c status` shows it"
            ) from error

    return check


def _how(error: BaseException) -> tuple[str, str]:
    """How an error ends a stage or a run, and why."""
    cause = _cause(error)
    if isinstance(error, SystemExit) and error.code not in (None, 0, *_CODES_OF_SIGNALS):
        return "failed", f"it ended the program with {error.code!r}"
    if not isinstance(error, Exception) or isinstance(cause, (Unreachable, BrokenPipeError)):
        return WAITING, "whoever led it was ended" if cause is error else _first_line(cause)
    return "cancelled" if isinstance(cause, WorkCancelled) else "failed", _first_line(error)


def _cause(error: BaseException) -> BaseException:
    """What of an error matters here, whatever it was turned into on its way."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (WorkCancelled, *_ONLY_THE_LEADER)):
            return found
        found = found.__cause__
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
