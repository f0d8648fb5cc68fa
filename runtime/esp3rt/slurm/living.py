"""Which jobs and workers of a work live, by what its ledger knows."""

from __future__ import annotations

import time
from collections.abc import Collection

from esp3rt.slurm.ledger import Job, Ledger, Worker
from esp3rt.slurm.request import SHARDS

# SLURM ended them for reasons of its own; whoever did not get far at least got somewhere.
NOT_ITS_FAULT = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")
# What SLURM says of a job where nodes that it may run on are down or drained; for a moment, also where they are not.
_NO_NODE, _SECONDS_WITHOUT_NODE = "ReqNodeNotAvail", 60.0


def job_of(worker: str) -> str:
    """The job of a worker, by the worker's name."""
    return worker.rsplit(".", 2)[0]


def restarts_of(worker: str) -> int:
    """How often SLURM had started the job again, by the worker's name."""
    return int(worker.rsplit(".", 2)[1])


def workers_of(ledger: Ledger, job: str) -> list[Worker]:
    """The processes of a job that have said something."""
    return [worker for worker in ledger.workers.values() if worker.job == job]


def has_left(ledger: Ledger, job: Job) -> bool:
    """Whether every process of a job has ended in order, and SLURM has not started it again."""
    latest = [worker for worker in workers_of(ledger, job.id) if restarts_of(worker.name) >= job.restarts]
    return bool(latest) and all(worker.over for worker in latest)


def living(ledger: Ledger) -> list[Job]:
    """The jobs that do something, or will."""
    return [job for job in ledger.jobs.values() if job.alive is not False and not has_left(ledger, job)]


def is_gone(ledger: Ledger, worker: str) -> bool:
    """Whether a worker's job is over, or was started again."""
    job = ledger.jobs.get(job_of(worker))
    return job is not None and (job.alive is False or restarts_of(worker) < job.restarts)


def at_work(ledger: Ledger, claims: Collection[str]) -> set[str]:
    """The jobs whose workers have begun something, by the owners of all claims."""
    return {job_of(worker) for worker in claims} & ledger.jobs.keys()


def in_vain(ledger: Ledger, working: Collection[str]) -> list[Job]:
    """The jobs that came to nothing of the last calls of sbatch, back to one of which a job has begun something.

    They have ended before they began, or have found nothing to do while tasks waited.

    Args:
        ledger: The work.
        working: The jobs whose workers have begun something.

    Returns:
        The jobs; the last is the newest.
    """
    calls: dict[str, list[Job]] = {}
    for job in ledger.jobs.values():
        if not job.adopted:
            calls.setdefault(job.id.partition("_")[0], []).append(job)
    found: list[Job] = []
    for jobs in reversed(calls.values()):
        if any(job.id in working for job in jobs):
            break
        found += [job for job in reversed(jobs) if _came_to_nothing(ledger, job)]
    return found[::-1]


def _came_to_nothing(ledger: Ledger, job: Job) -> bool:
    if has_left(ledger, job):
        return all(worker.is_idle for worker in workers_of(ledger, job.id))
    return job.alive is False and job.state not in NOT_ITS_FAULT


def without_node(ledger: Ledger) -> list[Job]:
    """Jobs that wait for nodes that may never come back, while they are kept from others; none where one of them may run."""
    kept_out = [job for job in ledger.jobs.values() if job.avoid and job.alive is not False]
    since = time.time() - _SECONDS_WITHOUT_NODE
    stuck = [
        job for job in kept_out if job.state == "PENDING" and job.reason.startswith(_NO_NODE) and job.since <= since
    ]
    return stuck if len(stuck) == len(kept_out) else []


def how_lost(job: Job, kind: str) -> str:
    """What is said of a task whose job is over.

    Args:
        job: The job.
        kind: The kind of its work.
    """
    state = job.state.lower().replace("_", " ")
    detail = job.reason if job.reason not in ("", "None") else job.exit
    if job.state == "TIMEOUT" and kind == SHARDS:
        detail = f"{detail}: jobs need more time, or smaller shards"
    return f"lost: its job {job.id} was {state}" + (f" ({detail})" if detail else "")
