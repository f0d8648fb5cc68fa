"""Points as jobs of one array: each job runs what is left of its point, from the first stage that is a job to the last."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from esp3rt.slurm.journal import Reader
from esp3rt.slurm.ledger import DONE as TASK_DONE
from esp3rt.slurm.ledger import FAILED as TASK_FAILED
from esp3rt.slurm.ledger import Ledger, Task, read_run
from esp3rt.slurm.paths import runs_of
from esp3rt.slurm.runs import LedRun, lead_run
from esp3rt.slurm.settings import Settings, read_settings
from esp3rt.slurm.tails import last_lines
from esp3rt.sweep.spec import DONE, FAILED, Point, Record, Records, Sweep

STAGE = "sweep"
PREPARED = "prepare"
# In the jobs: the process is the job of all stages that it was called for.
_VARIABLES = {"ESP3RT_STAGE": "all"}
_LINES_LOOKED_AT = 40
# What SLURM says of a job's end, and what stands there because of it.
_NOT_ITS_WORDS = ("srun: ", "slurmstepd: ", "job ", "the command ")
_ENDS = ("ended", "failed", "died", "requeued")


class PointsFailed(RuntimeError):
    """Some points have failed; the others are done."""


def has_jobs(sweep: Sweep) -> bool:
    """Whether jobs of the sweep were sent of which nobody has seen the end."""
    for paths in reversed(runs_of(sweep.recipe)):
        if str(sweep.file) in paths.about()["command"]:
            run = read_run(paths)
            return any(not ledger.over for stage in run.stages.values() for ledger in stage.works)
    return False


def run_jobs(
    sweep: Sweep,
    points: Sequence[Point],
    at_once: int | None,
    prepare: Callable[[Sequence[Point]], list[Point]],
    *,
    detached: bool,
) -> list[str]:
    """Have jobs do points, and write down what becomes of each.

    Args:
        sweep: The sweep.
        points: The points.
        at_once: How many jobs run at once; None: as many as SLURM lets.
        prepare: Does what is to be done of points before they are sent, and gives those of which it is done.
        detached: Whether to send the jobs and not to wait.

    Returns:
        Where it is detached, what SLURM calls the jobs.

    Raises:
        SettingError: The machine setting does not fit.
        RunBusy: Another process leads the jobs.
        WorkersDied: A job ended before it began to work, or somebody has cancelled all.
        Refused: SLURM does not take the jobs.
        Unreachable: It does not answer.
        PointsFailed: Some points have failed.
    """
    settings = read_settings(sweep.setting or {})
    if at_once is not None:
        settings = replace(settings, options={**settings.options, "array_parallelism": at_once})
    command = [sys.executable, "-P", "-m", "esp3rt.sweep", str(sweep.file)]
    stages = [*([PREPARED] if any(point.here for point in sweep.points) else []), STAGE]
    with lead_run(sweep.recipe, stages, command, str(sweep.recipe), detached=detached) as run:
        jobs = _in_jobs(run, sweep, points, settings, prepare, detached)
        if not detached:
            run.over("done")
    return jobs


def _in_jobs(
    run: LedRun,
    sweep: Sweep,
    points: Sequence[Point],
    settings: Settings,
    prepare: Callable[[Sequence[Point]], list[Point]],
    detached: bool,
) -> list[str]:
    records = Records(sweep)
    left = _left(run)
    sent = [point for point in points if point.name in {name for commands in left for name, _ in commands}]
    ready = sent
    others = [point for point in points if point not in sent]
    if others and any(point.here for point in others):
        with run.stage_of(PREPARED, "this machine"):
            ready = [*sent, *prepare(others)]
    elif others:
        ready = [*sent, *prepare(others)]
    # -u: what it prints is in the log when it is killed.
    python = [settings.python or sys.executable, "-u"]
    new = [(point.name, [*python, *point.job[1:]]) for point in ready if point not in sent]
    if detached:
        run.stage = STAGE
        groups = [each for each in (*left, new) if each]
        return [job for each in groups for job in run.send_commands(settings, each, str(sweep.recipe), _VARIABLES)]
    with run.stage_of(STAGE, "slurm"):
        for commands in (*left, new):
            if commands:
                _wait(run, sweep, records, settings, commands)
        failed = [point.name for point in points if records.of(point).state == FAILED]
        if failed:
            raise PointsFailed(f"{len(failed)} of {len(sweep.points)} points failed: {', '.join(failed)}")
    return []


def _left(run: LedRun) -> list[list[tuple[str, list[str]]]]:
    """The names and the commands of each work that was left before its end."""
    run.run.refresh()
    stage = run.run.stages.get(STAGE)
    left = []
    for ledger in [] if stage is None else [ledger for ledger in stage.works if not ledger.over]:
        commands = ledger.paths.about()["commands"]
        left.append([(ledger.names[number], list(commands[str(number)])) for number in sorted(ledger.tasks)])
    return left


def _wait(
    run: LedRun, sweep: Sweep, records: Records, settings: Settings, commands: Sequence[tuple[str, list[str]]]
) -> None:
    """Wait for the end of each command, and write down what became of its point."""
    points = {point.name: point for point in sweep.points}
    ledger, ended = run.commands(settings, commands, str(sweep.recipe), _VARIABLES, keep_going=True)
    try:
        for number in ended:
            point = points.get(ledger.names[number])
            if point is not None:
                _write(records, point, ledger, number)
    finally:
        for number, task in ledger.tasks.items():
            point = points.get(ledger.names.get(number, ""))
            if point is not None and task.state in (TASK_DONE, TASK_FAILED):
                _write(records, point, ledger, number)


def _write(records: Records, point: Point, ledger: Ledger, number: int) -> None:
    task = ledger.tasks[number]
    done = task.state == TASK_DONE
    log = str(ledger.paths.log_of(task.worker)) if task.worker else ""
    record = Record(
        state=DONE if done else FAILED,
        prepared=True,
        seconds=round(_seconds(ledger, number), 3),
        attempts=task.attempt,
        why="" if done else _why(task, ledger),
        log=log,
    )
    records.write(point, record)


def _why(task: Task, ledger: Ledger) -> str:
    lines = last_lines(ledger.paths.log_of(task.worker), _LINES_LOOKED_AT) if task.worker else []
    said = next((line for line in reversed(lines) if line and not line.startswith(_NOT_ITS_WORDS)), "")
    return f"{task.why} ({said})" if said and said not in task.why else task.why


def _seconds(ledger: Ledger, number: int) -> float:
    """For how long jobs have run a command, all attempts and restarts together."""
    began: dict[str, float] = {}
    heard: dict[str, float] = {}
    spent = 0.0
    for event in sorted(Reader(ledger.paths.journal).read(), key=lambda event: event.time):
        heard[event.writer] = event.time
        if event.data.get("task") != number:
            continue
        if event.kind == "began":
            began[event.writer] = event.time
        elif event.kind in _ENDS and event.writer in began:
            spent += event.time - began.pop(event.writer)
    return spent + sum(heard[writer] - start for writer, start in began.items())
