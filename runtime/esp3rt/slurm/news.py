"""What has changed in a run, as lines for a person: sent, begun, a quarter done, lost, begun again, ended.

Some lines are lasting: what they say is never left out, and is worth keeping on the screen. The others say how far it is;
of those that come at once the last says it all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from esp3rt.progress import duration
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, WAITING, Ledger, Run
from esp3rt.slurm.rows import CANCELLED, SHARDS, Row, rows, works_of

_TROUBLE = (
    "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "CANCELLED", "BOOT_FAIL", "DEADLINE", "REVOKED",
    "SUSPENDED",
)  # fmt: skip
_NOTHING, _SENT, _RUNS = -2, -1, 0
_NAMES_SHOWN = 3


@dataclass(slots=True)
class _Told:
    """What has been said of a stage. `far`: `_NOTHING`, `_SENT`, `_RUNS`, then the number of quarters."""

    state: str = WAITING
    far: int = _NOTHING
    lost: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    trouble: dict[str, tuple[str, int]] = field(default_factory=dict)
    silent: str = ""


class News:
    """What has changed since it was made, and since it was asked last.

    Args:
        run: The run; it is refreshed elsewhere.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._told: dict[str, _Told] = {}
        for _ in self._of_run(0.0):
            # What was there before is no news.
            continue

    def since(self, now: float, *, lasting_only: bool = False) -> list[tuple[str, bool]]:
        """The lines, each with whether it is lasting; of the others there is one at most.

        Args:
            now: The time, in seconds since 1970.
            lasting_only: Keep the others for the next time.
        """
        found = list(self._of_run(now, lasting_only))
        others = [line for line, lasting in found if not lasting]
        return [(line, lasting) for line, lasting in found if lasting or line == others[-1]]

    def _of_run(self, now: float, lasting_only: bool = False) -> Iterator[tuple[str, bool]]:
        for row in rows(self._run, now):
            told = self._told.setdefault(row.stage, _Told())
            for line in self._lasting(row, told):
                yield f"{row.stage}: {line}", True
            if not lasting_only and (line := _how_far(row, told)):
                yield f"{row.stage}: {line}", False

    def _lasting(self, row: Row, told: _Told) -> Iterator[str]:
        for ledger in works_of(self._run.stages[row.stage]):
            yield from _lost(ledger, told)
            if not ledger.over:
                yield from _trouble(ledger, told)
        if row.silent != told.silent:
            told.silent = row.silent
            yield f"SLURM does not answer ({row.silent}); its jobs go on" if row.silent else "SLURM answers again"
        if row.state != told.state:
            told.state = row.state
            if line := _end(row):
                yield line


def task_text(ledger: Ledger, number: int) -> str:
    """What to call a task."""
    if number in ledger.names:
        return ledger.names[number]
    return f"shard {number}" if ledger.kind == SHARDS else "the job" if len(ledger.tasks) == 1 else f"job {number}"


def _how_far(row: Row, told: _Told) -> str:
    if row.state in (DONE, FAILED, CANCELLED):
        return ""
    far = _SENT if row.jobs else _NOTHING
    if row.state == RUNNING and row.jobs:
        far = row.done * 4 // row.total if row.unit and row.total else _RUNS
    if far == told.far or far == _NOTHING:
        return ""
    if far < told.far:
        # It was begun again.
        told.far = far
        return ""
    told.far = far
    if far == _SENT:
        number = row.jobs[0].id.partition("_")[0]
        what = f"{row.total} {row.unit} as {len(row.jobs)} jobs" if row.unit else "a job"
        return f"{what} sent to SLURM ({number})" + (f"; {row.reason}" if row.reason else "")
    if far == _RUNS:
        return f"runs on {' '.join(row.nodes)}" if row.nodes else "runs"
    parts = [f"{row.done} of {row.total} {row.unit} ({100 * row.done // row.total}%)"]
    parts += [duration(row.elapsed)] if row.elapsed is not None else []
    parts += [f"about {duration(row.left)} left"] if row.left is not None else []
    return ", ".join(parts)


def _end(row: Row) -> str:
    after = f" after {duration(row.elapsed)}" if row.elapsed is not None else ""
    if row.state == DONE:
        took = f" in {duration(row.elapsed)}" if row.elapsed is not None else ""
        return f"{row.total} {row.unit} done{took}" if row.unit else f"done{took}"
    if row.state == FAILED:
        return f"failed{after}" + (f": {row.why.splitlines()[0]}" if row.why else "")
    return f"cancelled{after}" if row.state == CANCELLED else ""


def _lost(ledger: Ledger, told: _Told) -> Iterator[str]:
    again: dict[str, list[int]] = defaultdict(list)
    gone: dict[str, list[int]] = defaultdict(list)
    for task in ledger.tasks.values():
        lost = task.attempt if task.state in (WAITING, FAILED) else task.attempt - 1
        if lost <= 0 and task.state != FAILED:
            continue
        key = ledger.name, task.number
        before, state = told.lost.get(key, (0, ""))
        if task.state == FAILED and state != FAILED:
            gone[task.why].append(task.number)
        elif task.state != FAILED and lost > before:
            again[task.why].append(task.number)
        told.lost[key] = lost, task.state
    for why, numbers in again.items():
        yield _of_many(ledger, numbers, "begins again", "begin again", why)
    for why, numbers in gone.items():
        yield _of_many(ledger, numbers, "failed", "failed", why)


def _trouble(ledger: Ledger, told: _Told) -> Iterator[str]:
    found: dict[str, list[str]] = defaultdict(list)
    for job in ledger.jobs.values():
        state, restarts = told.trouble.get(job.id, ("", 0))
        if job.restarts > restarts:
            found["SLURM starts it again"].append(job.id)
        elif job.state != state and job.state in _TROUBLE:
            where = f" on {job.node}" if job.node else ""
            found[job.state + where + (f" ({job.reason})" if job.reason not in ("", "None") else "")].append(job.id)
        told.trouble[job.id] = job.state, job.restarts
    for what, jobs in found.items():
        yield f"{_few('job', 'jobs', jobs)}: {what}"


def _of_many(ledger: Ledger, numbers: Sequence[int], one: str, many: str, why: str) -> str:
    because = f": {why}" if why else ""
    if len(numbers) == 1:
        return f"{task_text(ledger, numbers[0])} {one}{because}"
    return f"{_few('', SHARDS if ledger.kind == SHARDS else 'tasks', list(map(str, numbers)))} {many}{because}"


def _few(one: str, many: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{one} {names[0]}"
    rest = " …" if len(names) > _NAMES_SHOWN else ""
    return f"{len(names)} {many} ({', '.join(names[:_NAMES_SHOWN])}{rest})"
