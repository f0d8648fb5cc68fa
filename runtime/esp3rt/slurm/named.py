"""Commands of an array that have names of their own, such as the points of a sweep: a line for each."""

from __future__ import annotations

from collections import Counter

from esp3rt.progress import duration
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, WAITING, Ledger, Run, Task
from esp3rt.slurm.request import COMMANDS
from esp3rt.slurm.rows import works_of

_SHOWN = 24
_ORDER = (RUNNING, FAILED, WAITING, DONE)


def named_lines(run: Run, now: float) -> list[str]:
    """What the commands with names are at, those that run first; of many, those that are done are counted only.

    Args:
        run: The run.
        now: The time, in seconds since 1970.
    """
    lines = []
    for stage in run.stages.values():
        for ledger in works_of(stage)[-1:]:
            if ledger.kind == COMMANDS and any(name != stage.name for name in ledger.names.values()):
                lines += _lines(ledger, now)
    return lines


def _lines(ledger: Ledger, now: float) -> list[str]:
    tasks = sorted(ledger.tasks.values(), key=lambda task: (_ORDER.index(task.state), task.number))
    shown, rest = tasks[:_SHOWN], tasks[_SHOWN:]
    names = [ledger.names.get(task.number, f"job {task.number}") for task in shown]
    width = max(map(len, names), default=0)
    lines = [f"  {name:<{width}}  {_text(ledger, task, now)}" for name, task in zip(names, shown, strict=True)]
    counts = Counter(task.state for task in rest)
    if rest:
        lines.append(
            f"  and {len(rest)} more: " + ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
        )
    return lines


def _text(ledger: Ledger, task: Task, now: float) -> str:
    worker = ledger.workers.get(task.worker)
    if task.state == RUNNING and not ledger.over:
        where = f" on {worker.node}" if worker is not None and worker.node else ""
        again = f", attempt {task.attempt}" if task.attempt > 1 else ""
        return f"running{where}, {duration(max(0.0, now - task.began))}{again}"
    if task.state == DONE:
        return f"done in {duration(max(0.0, task.ended - task.began))}" if task.began else "done"
    if task.state == FAILED:
        return f"failed: {task.why}"
    if ledger.over:
        return f"not done: it was {ledger.over}"
    return f"waiting: {task.why}" if task.why else "waiting"
