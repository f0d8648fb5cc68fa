"""One training at a time in a folder.

Whoever trains there holds a lease. In a SLURM job that was put back into the queue, the process before may not be gone for
those who look from another machine: its heart has beaten a moment ago. It is waited for. If it is an earlier start of the
same job, nothing is waited for: SLURM says that it is over. It may still live, on a machine that SLURM has lost; it then
finds out, before it writes again, that the training is another's.
"""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from esp3rt.files import write_json
from esp3rt.lease import SECONDS_BETWEEN_BEATS, SECONDS_TO_DEATH, Lease, Owner, take
from esp3rt.progress import console_line
from espnet3.utils.errors import StageError

_SECONDS_BETWEEN_LOOKS = 1.0


def hold(exp_dir: Path) -> Lease:
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
            console_line(f"train: {lease} was training in {exp_dir} until now; waiting for its end, at most {seconds:.0f} s")
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
