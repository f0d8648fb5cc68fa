"""Calls sbatch, once for each request, and knows afterwards whether it went through.

submitit makes the text of the job script and reads the answer. What the job runs is this package's own
(`esp3rt.slurm.job`), not submitit's: that would unpickle a function from a file that is moved to its place only after
sbatch has returned, and take SLURM's signals for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from esp3rt.files import write_json, write_text
from esp3rt.slurm import client
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.request import Request

_SECONDS_TO_SEND = 30.0
# Of the job that this process may be part of; a job that it sends must not take them for its own.
_OF_A_JOB = ("SLURM_", "SBATCH_", "SRUN_", "SLURMD_", "SUBMITIT_", "PMI_", "PMIX_", "PMI2_", "MASTER_ADDR", "MASTER_PORT")
_OF_A_CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")


def send(
    request: Request,
    number: int,
    paths: WorkPaths,
    journal: Journal,
    about: dict[str, object],
    patience: float,
    say: Callable[[str], None],
) -> str:
    """Send a request and give the number of its job.

    Args:
        request: What to ask. Its name is nobody else's, so that it can be found again.
        number: Which request of the work it is.
        paths, journal: Where to keep it.
        about: What else its jobs and the ledger must know: `first`, `of`, `tasks`, `attempts`.
        patience: For how many seconds to try again where SLURM does not answer.
        say: Told where it does not.

    Raises:
        Refused: SLURM does not take it.
        Unreachable: It does not answer.
    """
    script = paths.send / f"{number}.sh"
    write_text(script, request.text(paths.logs))
    write_json(paths.send / f"{number}.json", {**request.as_json(), **about})
    tasks = about.get("tasks")
    journal.write(
        "sending", sure=True, number=number, name=request.name, jobs=request.jobs, array=request.is_array, tasks=tasks
    )

    def call() -> str:
        sent_before = client.find_by_name(request.name) if attempts else []
        attempts.append(request.name)
        return sent_before[0] if sent_before else _sbatch(str(script))

    attempts: list[str] = []
    try:
        job = client.retried(call, seconds=patience, say=say)
    except (client.Refused, client.Unreachable) as error:
        journal.write("not_sent", number=number, why=str(error))
        raise
    journal.write("sent", sure=True, number=number, job=job)
    return job


def _sbatch(script: str) -> str:
    from submitit import SlurmExecutor

    with _environment_of_no_job():
        answer = client.command("sbatch", script, deadline=_SECONDS_TO_SEND)
    return SlurmExecutor._get_job_id_from_submission_command(answer)


@contextmanager
def _environment_of_no_job() -> Iterator[None]:
    taken = {
        name: value for name, value in os.environ.items() if name.startswith(_OF_A_JOB) and name not in _OF_A_CLUSTER
    }
    for name in taken:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(taken)
