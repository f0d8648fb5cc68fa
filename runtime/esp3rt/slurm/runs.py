"""A run as the process that leads it holds it: its folder, its lease, and the works that it begins or goes on with.

A run is led by one process at a time. One that ends before its jobs do leaves them running; whoever calls the same again,
or `esp3c resume`, takes the lead and finds every job where it is.
"""

from __future__ import annotations

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
from esp3rt.lease import Lease, Owner, holder, take
from esp3rt.progress import console_line
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.leader import Ended, Leader, WorkCancelled
from esp3rt.slurm.ledger import Ledger, Run, read_run
from esp3rt.slurm.paths import RunPaths, WorkPaths, new_run, runs_of
from esp3rt.slurm.request import COMMANDS, SHARDS, Shape
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.view import Live

RUN = "ESP3RT_RUN"


class RunBusy(RuntimeError):
    """Another process leads the run."""


@dataclass(kw_only=True)
class LedRun:
    """A run that this process leads; `lead_run` makes it.

    Attributes:
        paths: Its files.
        recipe: The folder of the recipe.
        stage: The stage that is running.
    """

    paths: RunPaths
    recipe: str
    lease: Lease
    journal: Journal
    stage: str = ""
    after: tuple[str, ...] = ()
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        self.run = read_run(self.paths)

    @contextmanager
    def stage_of(self, name: str, where: str) -> Iterator[None]:
        """Around a stage: what it does on the cluster belongs to it, and the run says so."""
        before, self.stage = self.stage, name
        self.journal.write("stage_began", stage=name, where=where)
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
            how = "waiting" if stopped else "failed"
            why = "whoever led it was ended" if stopped else (str(error).splitlines() or [type(error).__name__])[0]
            self.journal.write("stage_ended", stage=name, how=how, why=why)
            raise
        finally:
            self.stage = before
        self.journal.write("stage_ended", stage=name, how="done")

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
        if paths is None:
            place = {"sys_path": sys.path, "argv": sys.argv, "folder": os.getcwd()}
            about = {"mark": mark, "tasks": list(tasks), "items": items, "place": place}
            paths = self._new_work(self.stage or "shards", SHARDS, settings, about)
            write_bytes(paths.job, job())
            # Whoever finds it from here on finds it whole.
            self._whole(paths)
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
        self, settings: Settings, commands: Sequence[tuple[str, list[str]]], folder: str, variables: dict[str, str]
    ) -> Iterator[int]:
        """Have an array of jobs run a command each; yield the number of each that has ended well.

        Args:
            settings: Where.
            commands: What each is called, and the command.
            folder: Where to run them.
            variables: Environment variables that they get besides those of this process.
        """
        for ended in self._lead(self._commands(commands, settings, folder, Shape(), variables)):
            yield ended.task

    def send_command(
        self,
        settings: Settings,
        command: Sequence[str],
        folder: str,
        shape: Shape,
        variables: dict[str, str],
        *,
        gpus: bool,
    ) -> list[str]:
        """Send a job that runs a command after those that were sent before, and do not wait for it.

        Returns:
            What SLURM calls it.
        """
        leader = self._commands([(self.stage, list(command))], settings, folder, shape, variables)
        leader.gpus, leader.after = gpus, self.after
        self.after = tuple(leader.send_all())
        return list(self.after)

    def over(self, how: str, why: str = "") -> None:
        """Say that the run is over."""
        self.journal.write("run_over", how=how, why=why)

    def close(self) -> None:
        """Let go of the lead."""
        self.lease.release()

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
                "place": {"folder": folder},
            }
            paths = self._new_work(self.stage or "commands", COMMANDS, settings, about)
            self._whole(paths)
        names = [name for name, _ in commands]
        return self._leader(paths, settings, shape=shape, name_of=names.__getitem__)

    def _leader(self, paths: WorkPaths, settings: Settings, **more: Any) -> Leader:
        return Leader(paths=paths, settings=settings, recipe=self.recipe, say=console_line, **more)

    def _lead(self, leader: Leader) -> Iterator[Ended]:
        with Live(self.run) as live:
            leader.tick = live.tick
            try:
                yield from leader.lead()
            except (GeneratorExit, KeyboardInterrupt):
                # Jobs run on: whoever takes the lead finds them.
                raise
            except WorkCancelled:
                raise
            except Exception as error:
                leader.end("failed", (str(error).splitlines() or [type(error).__name__])[0])
                raise

    def _new_work(self, name: str, kind: str, settings: Settings, about: dict[str, Any]) -> WorkPaths:
        return self.paths.new_work(
            name,
            {
                "version": 1,
                "kind": kind,
                "name": name,
                "stage": self.stage or name,
                "token": secrets.token_hex(8),
                "created": round(time.time(), 3),
                "options": dict(settings.options),
                "workers": settings.workers,
                **about,
            },
        )

    def _whole(self, paths: WorkPaths) -> None:
        Journal(paths.journal, f"maker-{socket.gethostname().partition('.')[0]}-{os.getpid()}").write("made")

    def _left(self, kind: str, mark: str, tasks: Sequence[int]) -> WorkPaths | None:
        """A work of this kind and mark that was left before its end."""
        for paths in reversed(self.paths.works()):
            about = json.loads(paths.description.read_text(encoding="utf-8"))
            if not mark or (about["kind"], about["mark"]) != (kind, mark) or not set(tasks) <= set(about["tasks"]):
                continue
            if not any(paths.journal.glob("maker-*")):
                continue
            if not _state_of(paths).over:
                return paths
        return None


def _state_of(paths: WorkPaths) -> Ledger:
    from esp3rt.slurm.journal import Reader

    ledger = Ledger.of(paths)
    ledger.fold(Reader(paths.journal).read())
    return ledger


_now: LedRun | None = None


def run_in_force() -> LedRun | None:
    """The run that this process leads, or None."""
    return _now


@contextmanager
def lead_run(
    recipe: str | os.PathLike[str], stages: Sequence[str], command: Sequence[str], cwd: str, *, detached: bool = False
) -> Iterator[LedRun]:
    """Lead a run: a new one, or the one that was left of the same command.

    Args:
        recipe: The folder of the recipe.
        stages: The stages that are called.
        command: What was called, so that it can be called again: Python, `run.py`, its arguments.
        cwd: From which folder.
        detached: Whether it is to go on without a process that leads it.

    Raises:
        RunBusy: Another process leads it.
    """
    global _now
    if _now is not None:
        yield _now
        return
    paths, lease = _find(Path(recipe), stages, command, cwd, detached)
    journal = Journal(paths.journal, f"leader-{socket.gethostname().partition('.')[0]}-{os.getpid()}")
    led = LedRun(paths=paths, recipe=str(Path(recipe).absolute()), lease=lease, journal=journal)
    journal.write("leader", host=socket.gethostname(), pid=os.getpid())
    _now = led
    try:
        yield led
    except WorkCancelled as error:
        led.over("cancelled", str(error))
        raise
    except Exception as error:
        led.over("failed", (str(error).splitlines() or [type(error).__name__])[0])
        raise
    finally:
        _now = None
        led.close()


def _find(
    recipe: Path, stages: Sequence[str], command: Sequence[str], cwd: str, detached: bool
) -> tuple[RunPaths, Lease]:
    given = os.environ.get(RUN)
    if given:
        paths = RunPaths(Path(given))
        lease = take(paths.lead)
        if isinstance(lease, Owner):
            raise RunBusy(f"run {paths.name} is led by {lease}")
        return paths, lease
    key = _key(command)
    for paths in reversed(runs_of(recipe)[-20:]):
        about = json.loads(paths.description.read_text(encoding="utf-8"))
        if _key(about["command"]) != key or not set(stages) & set(about["stages"]):
            continue
        owner = holder(paths.lead)
        if owner is not None:
            raise RunBusy(
                f"{owner} leads run {paths.name}, which has {', '.join(s for s in stages if s in about['stages'])} of this "
                "recipe under the same configs; `esp3c status` shows it, `esp3c cancel` ends it"
            )
        run = read_run(paths)
        if run.over or not _has_work(run):
            break
        lease = take(paths.lead)
        if isinstance(lease, Owner):
            raise RunBusy(f"run {paths.name} is led by {lease}")
        console_line(f"run {paths.name} was left before its end; this goes on with it")
        return paths, lease
    paths = new_run(recipe)
    write_json(
        paths.description,
        {
            "version": 1,
            "command": list(command),
            "cwd": cwd,
            "recipe": str(recipe.absolute()),
            "name": recipe.absolute().name,
            "stages": list(stages),
            "created": round(time.time(), 3),
            "detached": detached,
        },
    )
    lease = take(paths.lead)
    assert isinstance(lease, Lease)
    return paths, lease


def _has_work(run: Run) -> bool:
    return any(not work.over for stage in run.stages.values() for work in stage.works)


def _key(command: Sequence[str]) -> list[str]:
    """A command without its stages: what tells which configs it has."""
    kept, skip = [], False
    for word in command[1:]:
        if word == "--stages":
            skip = True
        elif word.startswith("--"):
            skip = False
        if not skip and word not in ("--detach",):
            kept.append(word)
    return kept
