"""What has changed in a run, as lines for a person: sent, begun, a quarter done, lost, begun again, ended.

Some lines are lasting: what they say is never left out, and is worth keeping on the screen. The others say how far a work
is; of those that come at once the last says it all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from esp3rt.progress import duration
from esp3rt.slurm.ledger import DONE, FAILED, WAITING, Ledger, Run
from esp3rt.slurm.rows import (
    CANCELLED,
    NO_REASON,
    SHARDS,
    is_at_work,
    living_jobs,
    nodes_of,
    reason_of,
    seconds_left,
    state_of,
    works_of,
)

_TROUBLE = (
    "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "CANCELLED", "BOOT_FAIL", "DEADLINE", "REVOKED",
    "SUSPENDED",
)  # fmt: skip
_NOTHING, _SENT, _RUNS = -2, -1, 0
_NAMES_SHOWN = 3


@dataclass(slots=True)
class _Told:
    """What has been said of a work. `far`: `_NOTHING`, `_SENT`, `_RUNS`, then the number of quarters."""

    far: int = _NOTHING
    over: str = ""
    silent: str = ""
    lost: dict[int, tuple[int, str]] = field(default_factory=dict)
    trouble: dict[str, tuple[str, int]] = field(default_factory=dict)


class News:
    """What has changed since it was made, and since it was asked last.

    Args:
        run: The run; it is refreshed elsewhere.
        watching: Whether another process leads the run, or none. Who leads it says itself what it sends, what it begins
            again and that SLURM does not answer.
    """

    def __init__(self, run: Run, *, watching: bool = False) -> None:
        self._run = run
        self._watching = watching
        self._works: dict[Path, _Told] = {}
        self._stages: dict[str, str] = {}
        # What was there before is no news.
        self.since(0.0)

    def since(self, now: float, *, lasting_only: bool = False) -> list[tuple[str, bool]]:
        """The lines, each with whether it is lasting; of the others there is one at most.

        Args:
            now: The time, in seconds since 1970.
            lasting_only: Keep the others for the next time.
        """
        lasting: list[tuple[str, bool]] = []
        others: list[tuple[str, bool]] = []
        for stage in self._run.stages.values():
            works = works_of(stage)
            for ledger in works:
                told = self._works.setdefault(ledger.paths.folder, _Told())
                lasting += [(f"{stage.name}: {line}", True) for line in self._lasting(ledger, told)]
                if not lasting_only and (line := self._how_far(ledger, told, now)):
                    others.append((f"{stage.name}: {line}", False))
            state = state_of(self._run, stage)
            if state != self._stages.get(stage.name, WAITING) and state in (DONE, FAILED, CANCELLED):
                took = f" after {duration(stage.ended - stage.began)}" if stage.ended and stage.began else ""
                if self._watching and not works:
                    lasting.append((f"{stage.name}: {state}{took}", True))
            self._stages[stage.name] = state
        return lasting + others[-1:]

    def _lasting(self, ledger: Ledger, told: _Told) -> Iterator[str]:
        lost = list(_lost(ledger, told))
        yield from lost if self._watching else ()
        if not ledger.over:
            yield from _trouble(ledger, told)
        if ledger.silent != told.silent:
            told.silent = ledger.silent
            if self._watching and ledger.silent:
                yield f"SLURM does not answer ({ledger.silent}); its jobs go on"
            elif self._watching and not ledger.over:
                yield "SLURM answers again"
        if ledger.over != told.over:
            told.over = ledger.over
            after = f" after {duration(ledger.ended - ledger.began)}" if ledger.ended and ledger.began else ""
            if ledger.over == DONE and _unit(ledger):
                yield f"{len(ledger.tasks)} {_unit(ledger)} done{after}"
            elif ledger.over:
                yield f"{ledger.over}{after}"

    def _how_far(self, ledger: Ledger, told: _Told, now: float) -> str:
        if ledger.over:
            return ""
        jobs = living_jobs(ledger)
        done, total, unit = ledger.count(DONE), len(ledger.tasks), _unit(ledger)
        far = _SENT if jobs else _NOTHING
        if is_at_work(ledger):
            far = done * 4 // total if unit else _RUNS
        before, told.far = told.far, max(far, told.far)
        if far <= before:
            return ""
        if far == _SENT:
            if not self._watching:
                return ""
            reason = reason_of(jobs)
            what = f"{total} {unit} as {len(jobs)} jobs" if unit else "a job"
            return f"{what} sent to SLURM ({jobs[0].id.partition('_')[0]})" + (f"; {reason}" if reason else "")
        if far == _RUNS:
            nodes = nodes_of([ledger])
            return f"runs on {_few('', 'nodes', nodes).strip()}" if nodes else "runs"
        parts = [f"{done} of {total} {unit} ({100 * done // total}%)", duration(max(0.0, now - ledger.began))]
        left = seconds_left(ledger, now)
        return ", ".join([*parts, *([] if left is None else [f"about {duration(left)} left"])])


def task_text(ledger: Ledger, number: int) -> str:
    """What to call a task."""
    if number in ledger.names and len(ledger.tasks) > 1:
        return ledger.names[number]
    return f"shard {number}" if ledger.kind == SHARDS else "the job" if len(ledger.tasks) == 1 else f"job {number}"


def _unit(ledger: Ledger) -> str:
    return SHARDS if ledger.kind == SHARDS else "jobs" if len(ledger.tasks) > 1 else ""


def _lost(ledger: Ledger, told: _Told) -> Iterator[str]:
    again: dict[str, list[int]] = defaultdict(list)
    gone: dict[str, list[int]] = defaultdict(list)
    for task in ledger.tasks.values():
        lost = task.attempt if task.state in (WAITING, FAILED) else task.attempt - 1
        if lost <= 0 and task.state != FAILED:
            continue
        before, state = told.lost.get(task.number, (0, ""))
        if task.state == FAILED and state != FAILED:
            gone[task.why].append(task.number)
        elif task.state != FAILED and lost > before:
            again[task.why].append(task.number)
        told.lost[task.number] = lost, task.state
    for why, numbers in again.items():
        yield _of_many(ledger, numbers, "begins again", "begin again", why)
    for why, numbers in gone.items():
        yield _of_many(ledger, numbers, "failed", "failed", why)


def _trouble(ledger: Ledger, told: _Told) -> Iterator[str]:
    found: dict[str, list[str]] = defaultdict(list)
    for job in ledger.jobs.values():
        state, restarts = told.trouble.get(job.id, ("", 0))
        if job.restarts > restarts:
            found["SLURM starts it again" if job.state not in _TROUBLE else job.state].append(job.id)
        elif job.state != state and job.state in _TROUBLE:
            where = f" on {job.node}" if job.node else ""
            found[job.state + where + (f" ({job.reason})" if job.reason not in NO_REASON else "")].append(job.id)
        told.trouble[job.id] = job.state, job.restarts
    for what, jobs in found.items():
        yield f"{_few('job ', 'jobs', jobs)}: {what}"


def _of_many(ledger: Ledger, numbers: Sequence[int], one: str, many: str, why: str) -> str:
    because = f": {why}" if why else ""
    if len(numbers) == 1:
        return f"{task_text(ledger, numbers[0])} {one}{because}"
    return f"{_few('', SHARDS if ledger.kind == SHARDS else 'jobs', list(map(str, numbers)))} {many}{because}"


def _few(one: str, many: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return one + names[0]
    rest = " …" if len(names) > _NAMES_SHOWN else ""
    return f"{len(names)} {many} ({', '.join(names[:_NAMES_SHOWN])}{rest})"
