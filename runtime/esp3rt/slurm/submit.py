"""Sends jobs: calls sbatch, once for each request, and knows afterwards whether it went through.

submitit makes the text of the job script and reads the answer. What the job runs is this package's own
(`esp3rt.slurm.job`), not submitit's: that would unpickle a function from a file that is moved to its place only after
sbatch has returned, and take SLURM's signals for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from esp3rt.files import write_json, write_text
from esp3rt.slurm import client
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.request import Request, Wanted, requests
from esp3rt.slurm.settings import Settings

_SECONDS_TO_SEND = 30.0
# Of the job that this process may be part of; a job that it sends must not take them for its own.
_OF_A_JOB = (
    "SLURM_",
    "SBATCH_",
    "SRUN_",
    "SLURMD_",
    "SUBMITIT_",
    "PMI_",
    "PMIX_",
    "PMI2_",
    "MASTER_ADDR",
    "MASTER_PORT",
)
_OF_A_CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")


class Sender:
    """Sends the jobs of a work.

    Args:
        paths: The files of the work.
        settings: The machine setting.
        journal: Where to write down what was sent.
        label: A part of each job's name that no other work has.
        say: Told of what a person should know, a line each.

    Attributes:
        patience: For how many seconds to try again where SLURM does not answer.
        may_exclude: Whether jobs can be kept from some nodes; False once it has turned out that there are no others.
    """

    def __init__(
        self, paths: WorkPaths, settings: Settings, journal: Journal, label: str, say: Callable[[str], None]
    ) -> None:
        self.patience = 600.0
        self._paths = paths
        self._settings = settings
        self._journal = journal
        self._label = label
        self._say = say
        self._largest: int | None = None
        self.may_exclude = True

    def find_lost(self, unsent: Mapping[int, Mapping[str, object]]) -> None:
        """Find out what became of calls of sbatch that nobody has heard the end of.

        Args:
            unsent: What their `sending` events say, by their numbers.

        Raises:
            Unreachable: SLURM does not answer.
        """
        find_lost(unsent, self._journal, self.patience, self._say)

    def send(self, wanted: Wanted, tasks: Sequence[int], attempts: Mapping[int, int]) -> None:
        """Send what is wanted, by as many calls as the site's limits make necessary.

        Where SLURM refuses it and nodes were to be kept out, nothing is sent: see `may_exclude`.

        Args:
            wanted: What.
            tasks: Of each job the task; none where jobs find tasks by themselves.
            attempts: Which attempt it is at each of these tasks.

        Raises:
            Refused: SLURM does not take it.
            Unreachable: It does not answer.
        """
        try:
            self._send_all(wanted, tasks, attempts)
        except client.Refused:
            if not wanted.exclude:
                raise
            self.may_exclude = False

    def _send_all(self, wanted: Wanted, tasks: Sequence[int], attempts: Mapping[int, int]) -> None:
        if self._largest is None and wanted.jobs > 1:
            self._largest = client.retried(client.max_array_size, seconds=self.patience, say=self._say)
        number = max((int(file.stem) for file in self._paths.send.glob("*.json")), default=0)
        first = 0
        for request in requests(self._settings, wanted, self._largest):
            number += 1
            about = {
                "first": first,
                "of": wanted.jobs,
                "tasks": list(tasks[first : first + request.jobs]),
                "attempts": dict(attempts),
                "avoid": list(wanted.exclude),
            }
            # No other job has it, and it tells a person what the job is for.
            name = f"{request.name}.{self._label}.{number}"
            named = replace(
                request,
                name=name,
                parameters={**request.parameters, "job_name": name},
                arguments=("work", str(self._paths.folder), str(number)),
            )
            job = send(named, number, self._paths, self._journal, about, self.patience, self._say)
            what = f"an array of {request.jobs} jobs" if request.is_array else "a job"
            self._say(f"{wanted.name}: {what} is in the queue ({job})")
            first += request.jobs


def find_lost(
    unsent: Mapping[int, Mapping[str, object]], journal: Journal, patience: float, say: Callable[[str], None]
) -> None:
    """Find out what became of calls of sbatch that nobody has heard the end of, and write it down.

    Args:
        unsent: What their `sending` events say, by their numbers.
        journal: Where to write it down.
        patience: For how many seconds to try again where SLURM does not answer.
        say: Told where it does not.

    Raises:
        Unreachable: SLURM does not answer.
    """
    for number, sending in sorted(unsent.items()):
        find = partial(client.find_by_name, str(sending["name"]))
        if found := client.retried(find, seconds=patience, say=say):
            journal.write("sent", sure=True, job=found[0], **{**sending, "number": number})
        else:
            journal.write("not_sent", sure=True, number=number, why="SLURM has no such job")


def send(
    request: Request,
    number: int,
    paths: WorkPaths,
    journal: Journal,
    about: dict[str, Any],
    patience: float,
    say: Callable[[str], None],
) -> str:
    """Send a request and give the number of its job.

    Args:
        request: What to ask. Its name is nobody else's, so that it can be found again.
        number: Which request of the work it is.
        paths, journal: Where to keep it.
        about: What else its jobs and the ledger must know: `first`, `of`, `tasks`, `attempts`, `avoid`.
        patience: For how many seconds to try again where SLURM does not answer.
        say: Told where it does not.

    Raises:
        Refused: SLURM does not take it.
        Unreachable: It does not answer. Whether it has taken it is then to be found out.
    """
    script = paths.send / f"{number}.sh"
    text = request.text(paths.logs)

    def call() -> str:
        sent_before = client.find_by_name(request.name) if attempts else []
        if not sent_before:
            journal.write("sending", sure=True, **what)
            # Not before: whoever leads in the meantime may have taken the number. Lines of a set-up may hold what people keep
            # to themselves.
            write_text(script, text, secret=True)
            write_json(paths.send / f"{number}.json", {**request.as_json(), **about}, secret=True)
        attempts.append(request.name)
        return sent_before[0] if sent_before else _sbatch(str(script))

    what: dict[str, Any] = {
        "number": number,
        "name": request.name,
        "jobs": request.jobs,
        "array": request.is_array,
        "tasks": about.get("tasks"),
        "attempts": [about["attempts"][task] for task in about.get("tasks", ())],
        "avoid": about.get("avoid", ()),
    }
    attempts: list[str] = []
    try:
        job = client.retried(call, seconds=patience, say=say)
    except client.Refused as error:
        journal.write("not_sent", number=number, why=str(error))
        raise
    journal.write("sent", sure=True, job=job, **what)
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
