"""One training at a time in a folder.

Whoever trains there holds a lease. In a SLURM job that was put back into the queue, the process before may not be gone for
those who look from another machine: its heart has beaten a moment ago. It is waited for. If it is an earlier start of the
same job, nothing is waited for: SLURM says that it is over. It may still live, on a machine that SLURM has lost; it then
finds out, before it writes again, that the training is another's.
"""

import json
import logging
import os
import socket
import time
from pathlib import Path
from typing import Any

from esp3rt.files import write_json
from esp3rt.lease import SECONDS_BETWEEN_BEATS, SECONDS_TO_DEATH, Lease, LeaseLost, Owner, take
from esp3rt.progress import console_line
from espnet3.utils.again import Stop, Stopped
from espnet3.utils.errors import StageError

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LOOKS = 1.0


class Hold:
    """A training's hold on its experiment's folder, in the first of its processes. Nothing is lost that was not taken.

    Args:
        exp_dir: The folder.
    """

    def __init__(self, exp_dir: Path) -> None:
        self._exp_dir = exp_dir
        self._lease: Lease | None = None
        self._looked = 0.0

    def take(self) -> None:
        """Take it.

        Raises:
            StageError: Another process holds it.
        """
        self._lease = _taken(self._exp_dir)

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def is_lost(self, now: bool) -> bool:
        """Whether another process has taken it since.

        Args:
            now: Look in any case, and not only now and then.
        """
        time_now = time.monotonic()
        if self._lease is None or not (now or time_now - self._looked >= SECONDS_BETWEEN_BEATS):
            return False
        self._looked = time_now
        try:
            self._lease.check(now=True)
        except LeaseLost:
            return True
        except OSError as error:
            # Where the file system does not answer, nobody else gets an answer either.
            _LOG.warning("the lease of this training cannot be read: %s", error)
        return False

    def see_it_is_kept(self) -> None:
        """Look whether it is still this process's.

        Raises:
            Stopped: It is not.
        """
        if self.is_lost(now=True):
            raise Stopped(Stop.LOST)


def _taken(exp_dir: Path) -> Lease:
    """Hold an experiment's folder for a training, so that no other writes its checkpoints.

    Raises:
        StageError: Another process holds it.
    """
    folder = exp_dir / ".leases" / "train"
    note = exp_dir / ".leases" / "train.job"
    job = _this_job()
    # A beat may have been due when it died.
    seconds = SECONDS_TO_DEATH + SECONDS_BETWEEN_BEATS
    deadline = time.monotonic() + seconds
    said = False
    while isinstance(lease := take(folder), Owner):
        if not job or time.monotonic() >= deadline:
            raise StageError(
                f"{lease} is training in {exp_dir}; wait until it is done, end it, or choose another exp_tag"
            )
        if _is_earlier_start(lease, note, job):
            taken = take(folder, death=0.0)
            if isinstance(taken, Lease):
                console_line(f"train: takes over from {lease}, where this job ran before")
                lease = taken
                break
        if not said:
            said = True
            console_line(
                f"train: {lease} was training in {exp_dir} until now; waiting for its end, at most {seconds:.0f} s"
            )
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if job:
        write_json(note, job)
    return lease


def _this_job() -> dict[str, Any]:
    """This process as a start of a SLURM job; nothing outside of one."""
    if "SLURM_JOB_ID" not in os.environ:
        return {}
    return {
        "job": os.environ["SLURM_JOB_ID"],
        "restarts": int(os.environ.get("SLURM_RESTART_COUNT") or 0),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def _is_earlier_start(owner: Owner, note: Path, job: dict[str, Any]) -> bool:
    """Whether the owner was an earlier start of this job."""
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        its = (noted["host"], noted["pid"], noted["job"])
        return its == (owner.host, owner.pid, job["job"]) and int(noted["restarts"]) < job["restarts"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
