"""Calls of SLURM's own commands, and what a failed one means.

A call ends in one of three ways: with what the command printed; with `Refused`, where SLURM heard it and said no, so that
asking again is of no use; or with `Unreachable`, where nobody answered, so that asking again later is (`retried`). After
`Unreachable` nobody knows whether a command that changes something was obeyed: for a submission `find_by_name` tells.

Where the controller is down a command of SLURM blocks for 4 to 9 seconds, and without its configuration for a minute:
every function takes a `deadline`, in seconds, after which the command is killed.

Times are as SLURM writes them, `2026-11-21T17:46:06`, and always in UTC: they can be compared as text, also with those of
another machine, and do not jump when a summer ends.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

DEADLINE = 30.0
_LONGEST_WAIT = 30.0
# As many as fit into one argument of a command, with room to spare: the kernel allows 128 KiB.
_IDS_PER_CALL = 4000

_T = TypeVar("_T")

# Words of errors that go by themselves. The last ones are munge's, and those of a host without a copy of the configuration.
_NOBODY_ANSWERED = re.compile(
    r"unable to contact slurm|slurm controller not responding|in standby mode|socket timed out|timed out"
    r"|zero bytes were transmitted|unexpected message received|communication (connection|shutdown) failure"
    r"|message (send|receive) failure|connection (refused|reset|aborted)|temporarily un|transport endpoint"
    r"|no route to host|network is unreachable|broken pipe|unable to resolve|problem talking to the database"
    r"|unable to connect|failed to open persistent connection"
    r"|authentication error|munge (en|de)code failed|could not establish a configuration source",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^[\w.-]+:? (?:error|fatal): ")
_UNKNOWN_JOB = "Invalid job id specified"
_OVER_ALREADY = "already completing or completed"

# They only look; a user's settings for their tables would hide jobs from this.
_LOOKING = frozenset({"squeue", "sacct", "scontrol"})
_TABLES = ("SQUEUE_", "SACCT_", "SCONTROL_")
_PLAIN = {"TZ": "UTC0", "SLURM_TIME_FORMAT": "standard", "SLURM_BITSTR_LEN": "0"}


class Unreachable(RuntimeError):
    """Nobody answered: SLURM may have done what it was told, or not."""


class Refused(RuntimeError):
    """SLURM said no, in the words of the error."""


class NotInstalled(Refused):
    """This machine does not have SLURM's commands."""


def command(*words: str, deadline: float = DEADLINE, input: str | None = None) -> str:
    """Run a command of SLURM and return what it prints.

    Ctrl-C in a terminal reaches it through this process only.

    Args:
        words: The command and its arguments.
        deadline: After how many seconds it is killed.
        input: What it reads.

    Raises:
        Unreachable: No daemon answered, or none within the deadline.
        Refused: It failed for another reason; says which.
        NotInstalled: There is no such command here.
    """
    name = words[0]
    if deadline <= 0:
        raise Unreachable(f"{name}: no time was left to ask")
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=_environment(name),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError):
        raise NotInstalled(
            f"{name} is not installed on this machine, or not in PATH: do this on a machine of the cluster, such as its "
            "login node, perhaps after `module load slurm`"
        ) from None
    except OSError as error:
        # Too many processes, or no memory for one more, which passes.
        raise Unreachable(f"{name} could not be started: {error.strerror}") from error
    try:
        printed, complaint = process.communicate(input, timeout=deadline)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise Unreachable(f"{name}: no answer within {deadline:.3g} s") from None
    except BaseException:
        _kill(process)
        raise
    if process.returncode == 0:
        return printed
    text = _cleaned(complaint) or _cleaned(printed) or f"ended with exit code {process.returncode}"
    kind = Unreachable if _NOBODY_ANSWERED.search(text) else Refused
    raise kind(f"{name}: {text}")


def retried(call: Callable[[], _T], *, seconds: float, say: Callable[[str], None]) -> _T:
    """Call again, 1, 2, 4 … and at most 30 seconds later, while nobody answers.

    Args:
        call: What is tried; it bounds itself.
        seconds: After so long it is not tried again; the time that `call` takes counts.
        say: Is told once that it waits, and once that it goes on.

    Raises:
        Unreachable: Nobody answered in all that time; the last error.
    """
    end = time.monotonic() + seconds
    wait = 1.0
    failed = False
    while True:
        try:
            answer = call()
        except Unreachable as error:
            left = end - time.monotonic()
            if left <= 0:
                raise
            if not failed:
                say(f"{error}; trying again for {left:.0f} s")
            failed = True
            time.sleep(min(wait, left))
            wait = min(_LONGEST_WAIT, 2 * wait)
        else:
            if failed:
                say("SLURM answers again")
            return answer


def cancel(job_ids: Iterable[str], *, name: str = "", deadline: float = DEADLINE) -> None:
    """End jobs and array tasks; those that are over, or unknown, do no harm.

    Args:
        job_ids: `123`, or `123_4` for one task of an array.
        name: Only jobs of this name, so that a number that is another job's by now does not end that one.
        deadline: In seconds, for each call of a command; there is one for each few thousand jobs.

    Raises:
        Unreachable: As for `command`.
        Refused: Some cannot be ended, such as jobs of another user; the others are.
    """
    bad: list[Refused] = []
    for part in in_parts(dict.fromkeys(job_ids)):
        # Not by scancel's own --name: with that it ends the whole array of a task that waits.
        ids = _named(part, name, deadline) if name else part
        try:
            if ids:
                command("scancel", *ids, deadline=deadline)
        except NotInstalled:
            raise
        except Refused as refused:
            # There is a line for each job that could not be cancelled.
            if not all(_UNKNOWN_JOB in line or _OVER_ALREADY in line for line in str(refused).split("; ")):
                bad.append(refused)
    if bad:
        raise bad[0]


def requeue(job_id: str, *, deadline: float = DEADLINE) -> None:
    """End a job, or one task of an array, and let it wait in the queue again under the same number.

    Raises:
        Unreachable: As for `command`.
        Refused: SLURM does not know the job, or it must not be requeued.
    """
    command("scontrol", "requeue", job_id, deadline=deadline)


def find_by_name(name: str, *, deadline: float = DEADLINE) -> list[str]:
    """The numbers of this user's jobs that are called `name`, lowest first: those in the queue, and those just over.

    An array is one job. SLURM forgets a job some minutes after its end.

    Raises:
        Unreachable: As for `command`.
        Refused: As for `command`.
    """
    names = _names("-u", str(os.getuid()), deadline=deadline)
    return sorted((number for number, called in names.items() if called == name), key=int)


def submit_time(job_id: str, *, deadline: float = DEADLINE) -> str | None:
    """When a job was submitted, or requeued for the last time; None where the queue does not know it.

    Together with the job's number it tells the job from another that gets the same number after SLURM was set up anew.

    Raises:
        Unreachable: As for `command`.
        Refused: As for `command`.
    """
    times = (as_time(line.strip("| ")) for line in _column("SubmitTime:|", "-j", job_id, deadline=deadline))
    return min((found for found in times if found), default=None)


def max_array_size(*, deadline: float = DEADLINE) -> int | None:
    """How many tasks an array may have at this site, 0 where it takes no arrays; None where it does not say.

    Raises:
        Unreachable: As for `command`.
        Refused: As for `command`.
    """
    text = command("scontrol", "show", "config", deadline=deadline)
    # Tasks are numbered from 0, and their numbers are below MaxArraySize.
    found = re.findall(
        r"^MaxArraySize\s*=\s*(\d+)|^SchedulerParameters\s*=.*\bmax_array_tasks=(\d+)", text, re.MULTILINE
    )
    return min((int(size or tasks) for size, tasks in found), default=None)


def says_unknown_job(refused: Refused) -> bool:
    """Whether SLURM refused since it does not know the job."""
    return _UNKNOWN_JOB in str(refused)


def as_time(text: str) -> str | None:
    """A time in SLURM's words; None for `Unknown`, `N/A` and their like."""
    return text if text[:1].isdigit() else None


def in_parts(ids: Iterable[str]) -> list[list[str]]:
    """Job ids in parts that one call of a command can take."""
    every = list(ids)
    return [every[k : k + _IDS_PER_CALL] for k in range(0, len(every), _IDS_PER_CALL)]


def _named(job_ids: Iterable[str], name: str, deadline: float) -> list[str]:
    ids = list(job_ids)
    numbers = dict.fromkeys(job.partition("_")[0] for job in ids)
    names = _names("-j", ",".join(numbers), deadline=deadline)
    return [job for job in ids if names.get(job.partition("_")[0]) == name]


def _names(*which: str, deadline: float) -> dict[str, str]:
    """The names of jobs by their numbers, an array being one job."""
    lines = (line.partition("|") for line in _column("ArrayJobID:|,Name:|", *which, deadline=deadline))
    return {number: name.removesuffix("|") for number, bar, name in lines if bar}


def _column(fields: str, *which: str, deadline: float) -> list[str]:
    """What squeue says of the jobs `which`, a line each; none where it does not know them."""
    try:
        text = command("squeue", "-a", "-h", "-t", "all", *which, "-O", fields, deadline=deadline)
    except Refused as refused:
        if says_unknown_job(refused):
            return []
        raise
    return text.split("\n")


def _environment(name: str) -> dict[str, str] | None:
    if name not in _LOOKING:
        # sbatch gives its own environment to the job.
        return None
    return {key: value for key, value in os.environ.items() if not key.startswith(_TABLES)} | _PLAIN


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # One that hangs on a dead file system does not die; nothing here may hang with it.
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=1)


def _cleaned(text: str) -> str:
    lines = (_PREFIX.sub("", line.strip()) for line in text.splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line))
