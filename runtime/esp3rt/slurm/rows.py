"""A run as a table shows it: a row for each stage, as plain values.

What stands in the journals is turned into what a person asks: is it under way, how far is it, where, how much longer, and
what did it say last. Nothing is asked of SLURM here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from esp3rt.slurm.claims import LEADER
from esp3rt.slurm.journal import Reader
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, WAITING, Job, Ledger, Run, Stage, Task, Worker
from esp3rt.slurm.tails import newest

SENDING, QUEUED, STOPPED, CANCELLED = "being sent", "queued", "stopped", "cancelled"
SHARDS = "shards"
# Of those that have said something last, one has the newest log.
_LOGS_LOOKED_AT = 4
_SECONDS_TO_TELL = 1.0
_PENDING = "PENDING"
_AT_WORK = ("RUNNING", "CONFIGURING", "COMPLETING", "SIGNALING", "STAGE_OUT", "SUSPENDED", "STOPPED", "RESIZING")
NO_REASON = ("", "None", "(null)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A stage.

    Attributes:
        stage: Its name.
        state: `waiting`, `being sent`, `queued`, `running`, `stopped`, `done`, `failed`, `cancelled`.
        where: Where it runs, in a few words.
        unit: What is counted: "shards", or "jobs"; empty where it is not sent to the cluster in parts.
        total, done, running, queued, failed: How many of these.
        jobs: The jobs that live, or the last ones.
        reason: Why jobs wait, in SLURM's words.
        nodes: Where it runs or ran.
        elapsed: For how many seconds it has run or did run, or None.
        left: How many seconds it will take, or None where nobody can say.
        log: The log that was written to last of what runs.
        why: Why it failed.
        silent: Why SLURM does not answer.
        silent_since: Since when, in seconds since 1970.
    """

    stage: str
    state: str
    where: str = ""
    unit: str = ""
    total: int = 0
    done: int = 0
    running: int = 0
    queued: int = 0
    failed: int = 0
    jobs: tuple[Job, ...] = ()
    reason: str = ""
    nodes: tuple[str, ...] = ()
    elapsed: float | None = None
    left: float | None = None
    log: Path | None = None
    why: str = ""
    silent: str = ""
    silent_since: float = 0.0


@dataclass(slots=True)
class _Counts:
    total: int = 0
    done: int = 0
    running: int = 0
    queued: int = 0
    failed: int = 0
    works: list[Ledger] = field(default_factory=list)


def rows(run: Run, now: float, *, leads: bool = True) -> list[Row]:
    """The stages of a run, in order.

    Args:
        run: The run.
        now: The time, in seconds since 1970.
        leads: Whether somebody leads it. Where nobody does, a stage without living jobs has stopped.
    """
    return [_row(run, stage, now, leads) for stage in run.stages.values()]


def works_of(stage: Stage) -> list[Ledger]:
    """The works of a stage that count: one that failed or was cancelled does no more, once another was begun."""
    return [ledger for ledger in stage.works if ledger.over in ("", DONE) or ledger is stage.works[-1]]


def state_of(run: Run, stage: Stage, leads: bool = True) -> str:
    """The state of a stage in one word; see `Row`."""
    works = works_of(stage)
    if stage.state == FAILED and works and works[-1].over == CANCELLED:
        return CANCELLED
    if stage.state in (DONE, FAILED, CANCELLED):
        return stage.state
    if run.over in (CANCELLED, FAILED) and (stage.began or works):
        return run.over
    if not stage.began and not works:
        return WAITING
    begun = [ledger for ledger in works if not ledger.over]
    if not begun:
        if works and works[-1].over in (FAILED, CANCELLED):
            return works[-1].over
        return (RUNNING if leads else STOPPED) if stage.state == RUNNING else WAITING
    alive = [job for ledger in begun for job in ledger.jobs.values() if job.alive is not False]
    if any(map(is_at_work, begun)):
        return RUNNING
    if alive:
        return QUEUED
    if all(task.state == DONE for ledger in begun for task in ledger.tasks.values()):
        return RUNNING if leads else WAITING
    if not leads:
        return STOPPED
    return SENDING if any(ledger.unsent for ledger in begun) else QUEUED


def failed_tasks(ledger: Ledger, over: bool) -> list[Task]:
    """The tasks that failed.

    Args:
        ledger: The work.
        over: Whether nothing is tried again any more, so that a bad end was the last.
    """
    found = [
        task
        for task in ledger.tasks.values()
        if task.state == FAILED or (over and task.state == WAITING and task.why and task.worker)
    ]
    # What the work failed of comes first; others may only have waited for their next attempt.
    return sorted(found, key=lambda task: (task.state != FAILED, task.why not in ledger.why))


def open_works(run: Run) -> list[Ledger]:
    """The works of a run that are not over."""
    return [ledger for stage in run.stages.values() for ledger in stage.works if not ledger.over]


def living_jobs(ledger: Ledger) -> list[Job]:
    """The jobs of a work that may still run."""
    return [job for job in ledger.jobs.values() if job.alive is not False]


def living_workers(ledger: Ledger) -> list[Worker]:
    """The workers that may still be at work: of each process of a job the last one, unless it or its job has ended."""
    last: dict[tuple[str, str], Worker] = {}
    for worker in ledger.workers.values():
        job, _, process = worker.name.rsplit(".", 2)
        known = last.get((job, process))
        if known is None or known.began <= worker.began:
            last[job, process] = worker
    return [worker for worker in last.values() if not worker.over and not _is_gone(ledger, worker)]


def is_at_work(ledger: Ledger) -> bool:
    """Whether a job of a work runs."""
    return any(job.state in _AT_WORK for job in living_jobs(ledger)) or bool(living_workers(ledger))


def nodes_of(works: Iterable[Ledger]) -> list[str]:
    """Where works run."""
    works = list(works)
    names = [worker.node for ledger in works for worker in living_workers(ledger)]
    names = names or [job.node for ledger in works for job in living_jobs(ledger)]
    return sorted({name for name in names if name}, key=_natural)


def log_of(ledger: Ledger) -> Path | None:
    """The log of a work that was written to last: of a worker that lives, or else of any."""
    workers = living_workers(ledger) or list(ledger.workers.values())
    busy = [worker for worker in workers if worker.task is not None] or workers
    busy.sort(key=lambda worker: worker.heard, reverse=True)
    return newest(ledger.paths.log_of(worker.name) for worker in busy[:_LOGS_LOOKED_AT])


def seconds_left(ledger: Ledger, now: float) -> float | None:
    """How long a work will take from now on, as far as what was done so far tells it.

    It is reckoned in seconds of workers, so that neither a pause nor a change in their number spoils it: from the items
    that have been done, where it is known how many there are, and else from the tasks.
    """
    running = [now - task.began for task in ledger.tasks.values() if task.state == RUNNING and task.began]
    took = [task.ended - task.began for task in ledger.tasks.values() if task.state == DONE and task.began]
    # A node's clock may be behind or ahead.
    running, took = [max(0.0, seconds) for seconds in running], [max(0.0, seconds) for seconds in took]
    spent = sum(running) + sum(took)
    if not running or spent < _SECONDS_TO_TELL:
        return None
    if ledger.items and ledger.moved > 0:
        return max(0, ledger.items - ledger.moved) * spent / ledger.moved / len(running)
    if not took:
        return None
    each = sum(took) / len(took)
    ahead = sum(max(0.0, each - seconds) for seconds in running)
    return (each * ledger.count(WAITING) + ahead) / len(running)


def reason_of(jobs: Iterable[Job]) -> str:
    """Why jobs wait: what SLURM says of most of them."""
    said = Counter(job.reason for job in jobs if job.state == _PENDING and job.reason not in NO_REASON)
    return said.most_common(1)[0][0] if said else ""


def _row(run: Run, stage: Stage, now: float, leads: bool) -> Row:
    state = state_of(run, stage, leads)
    works = works_of(stage)
    # A job that sends others for the items is none of these.
    counts = _counts([ledger for ledger in works if ledger.kind == SHARDS] or works, state)
    ended = state in (DONE, FAILED, CANCELLED)
    current = next((ledger for ledger in works if not ledger.over), works[-1] if works else None)
    jobs = [job for ledger in works for job in ledger.jobs.values()]
    alive = [] if ended else [job for job in jobs if job.alive is not False]
    silent = "" if ended or current is None else current.silent
    parts = bool(works) and (any(ledger.kind == SHARDS for ledger in works) or counts.total > 1)
    nodes = nodes_of(works)
    if ended:
        nodes = sorted({worker.node for ledger in works for worker in ledger.workers.values()}, key=_natural)
    return Row(
        stage=stage.name,
        state=state,
        where=stage.where,
        unit="" if not parts else SHARDS if works[-1].kind == SHARDS else "jobs",
        total=counts.total,
        done=counts.done,
        running=counts.running,
        queued=counts.queued,
        failed=counts.failed,
        jobs=tuple(alive or jobs[-1:]),
        reason=reason_of(alive),
        nodes=tuple(nodes),
        elapsed=_elapsed(stage, works, state, now),
        left=seconds_left(current, now) if state == RUNNING and current is not None else None,
        log=log_of(current) if current is not None else None,
        why=stage.why or (current.why if current is not None and ended else ""),
        silent=silent,
        silent_since=_silent_since(current) if silent and current is not None else 0.0,
    )


def _counts(works: Sequence[Ledger], state: str) -> _Counts:
    counts = _Counts()
    over = state in (FAILED, CANCELLED)
    for ledger in works:
        of = Counter(task.state for task in ledger.tasks.values())
        failed = len(failed_tasks(ledger, state == FAILED))
        counts.total += len(ledger.tasks)
        counts.done += of[DONE]
        counts.failed += failed
        counts.running += 0 if over else of[RUNNING]
        counts.queued += 0 if over else of[WAITING]
    return counts


def _natural(name: str) -> tuple[str, int, str]:
    digits = name[len(name.rstrip("0123456789")) :]
    return name.removesuffix(digits), int(digits or 0), name


def _elapsed(stage: Stage, works: Sequence[Ledger], state: str, now: float) -> float | None:
    began = stage.began or min((ledger.began for ledger in works), default=0.0)
    if not began or state == STOPPED:
        return None
    ended = now
    if state in (DONE, FAILED, CANCELLED):
        ended = stage.ended or max((ledger.ended for ledger in works), default=0.0)
    return max(0.0, ended - began) if ended else None


def _is_gone(ledger: Ledger, worker: Worker) -> bool:
    job = ledger.jobs.get(worker.job)
    if job is None:
        return False
    # A job that waits again has not yet another worker.
    waits = job.state == _PENDING and job.since > worker.heard
    return job.alive is False or waits or int(worker.name.rsplit(".", 2)[1]) < job.restarts


def _silent_since(ledger: Ledger) -> float:
    since = 0.0
    for event in Reader(ledger.paths.journal, LEADER).read():
        if event.kind == "silent":
            since = (since or event.time) if event.data["why"] else 0.0
    return since
