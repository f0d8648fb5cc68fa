"""Which jobs and workers of a work live, by what its ledger knows."""

from __future__ import annotations

from collections.abc import Collection

from esp3rt.slurm.ledger import Job, Ledger, Worker

# SLURM ended them for reasons of its own; whoever did not get far at least got somewhere.
NOT_ITS_FAULT = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")


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


def in_vain(ledger: Ledger, at_work: Collection[str]) -> list[Job]:
    """The jobs that have ended before they did anything.

    Args:
        ledger: The work.
        at_work: The jobs whose workers have begun something.
    """
    over = (job for job in ledger.jobs.values() if job.alive is False and job.state not in NOT_ITS_FAULT)
    return [job for job in over if job.id not in at_work and not job.adopted and not has_left(ledger, job)]
