"""Which run a call of `run.py` belongs to: the one that it was told, the one that was left of the same call, or a new one.

A run has been left where it is not over and nobody leads it; a chain of stages that was detached and failed, too, goes on from
where it failed. Two calls are the same where their words are, but for the stages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from esp3rt.files import write_json
from esp3rt.lease import Lease, Owner, holder, take
from esp3rt.slurm.asked import Asker
from esp3rt.slurm.ledger import FAILED, Run, read_run
from esp3rt.slurm.paths import RUNS, RunPaths, new_run, runs_of
from esp3rt.slurm.placed import JOB
from esp3rt.slurm.rows import living_jobs, open_works

RUN = "ESP3RT_RUN"
_RUNS_LOOKED_AT = 20
_SECONDS_BETWEEN_LOOKS = 0.2


class RunBusy(RuntimeError):
    """Another process leads the run, or its jobs go on under other configs."""


class LeadLost(RunBusy):
    """Another process leads the run in the place of this one, which seemed to be dead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What was called.

    Attributes:
        recipe: The folder of the recipe.
        stages: The stages that are called.
        command: What was called, so that it can be called again: Python, `run.py`, its arguments.
        cwd: From which folder.
        mark: What tells the configs from others, where somebody knows it.
        detached: Whether it is to go on without a process that leads it.
    """

    recipe: Path
    stages: Sequence[str]
    command: Sequence[str]
    cwd: str
    mark: str = ""
    detached: bool = False


def find(call: Call, say: Callable[[str], None]) -> tuple[RunPaths, Lease]:
    """The run that a call belongs to, and the lead of it.

    Args:
        call: The call.
        say: Told where it is no new one.

    Raises:
        RunBusy: Another process leads it, or its jobs go on under other configs.
    """
    told = told_run(call.recipe)
    if told is not None:
        return told, _taken(told, call, say)
    with _one_at_a_time(call.recipe):
        left = _left(call)
        if left is None:
            return _new(call)
        lease = _taken(left.paths, call, say)
    how = "was left before its end: this goes on with it"
    if left.about["detached"]:
        how = "failed: this goes on where it did" if left.over else "was detached and is not over: this goes on with it"
    say(f"run {left.paths.name} {how} (after `esp3c cancel` it would begin anew)")
    return left.paths, lease


def told_run(recipe: Path) -> RunPaths | None:
    """The run that this process was told to go on with, where it is one of the recipe in a folder."""
    told = os.environ.get(RUN)
    if told is None:
        return None
    paths = RunPaths(Path(told))
    return paths if paths.about()["recipe"] == str(recipe) else None


@contextmanager
def _one_at_a_time(recipe: Path) -> Iterator[None]:
    """Of two that begin at the same moment one finds the run of the other."""
    folder = recipe / RUNS / "finding"
    folder.parent.mkdir(parents=True, exist_ok=True)
    while isinstance(lease := take(folder), Owner):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    with lease:
        yield


def _left(call: Call) -> Run | None:
    """The latest run of the same call, where it was left.

    Raises:
        RunBusy: See `find`.
    """
    for paths in reversed(runs_of(call.recipe)[-_RUNS_LOOKED_AT:]):
        about = paths.about()
        shared = [stage for stage in call.stages if stage in about["stages"]]
        if not shared or _words(about["command"]) != _words(call.command):
            continue
        owner = holder(paths.lead)
        if owner is not None:
            raise RunBusy(
                f"{owner} leads run {paths.name}, which has {', '.join(shared)} of this recipe under the same configs; "
                "`esp3c status` shows it, `esp3c cancel` ends it"
            )
        run = read_run(paths)
        goes_on = not run.over or (run.over == FAILED and about["detached"])
        if not goes_on or not any(stage.works for stage in run.stages.values()):
            return None
        if about.get("mark", "") == call.mark:
            return run
        Asker(run).ask()
        jobs = [job.id for ledger in open_works(run) for job in living_jobs(ledger)]
        if jobs:
            raise RunBusy(
                f"run {paths.name} was left with jobs that go on ({', '.join(jobs[:3])}{' …' if jobs[3:] else ''}), under "
                "configs that were others; `esp3c resume` waits for them, `esp3c cancel` ends them"
            )
        return None
    return None


def _taken(paths: RunPaths, call: Call, say: Callable[[str], None]) -> Lease:
    """The lead of a run. A job waits for it: whoever sent it may be about to send those after it."""
    told = False
    while isinstance(lease := take(paths.lead), Owner):
        if JOB not in os.environ:
            raise RunBusy(f"run {paths.name} is led by {lease}")
        if not told:
            say(f"{lease} leads the run; waiting until it lets go")
            told = True
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    about = paths.about()
    if call.detached and not about["detached"]:
        write_json(paths.description, {**about, "detached": True})
    return lease


def _new(call: Call) -> tuple[RunPaths, Lease]:
    paths = new_run(call.recipe)
    # Before it can be found by others.
    lease = take(paths.lead)
    assert isinstance(lease, Lease)
    write_json(
        paths.description,
        {
            "version": 1,
            "command": list(call.command),
            "cwd": call.cwd,
            "recipe": str(call.recipe),
            "name": call.recipe.name,
            "stages": list(call.stages),
            "mark": call.mark,
            "created": round(time.time(), 3),
            "detached": call.detached,
        },
    )
    return paths, lease


def _words(command: Sequence[str]) -> list[str]:
    """A command without its stages, and without its Python."""
    kept, skip = [], False
    for word in command[1:]:
        if word.startswith("-"):
            skip = word == "--stages"
        if not skip:
            kept.append(word)
    return kept
