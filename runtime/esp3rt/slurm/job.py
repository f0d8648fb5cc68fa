"""What each process of a job runs: `python -m esp3rt.slurm work FOLDER NUMBER`.

It is a supervisor. What is to be done is done by a process that it starts, so that there is always somebody who hears
SLURM's signals, whatever that process is busy with, and who can say how it ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.placed import JOB, say_hello, this_process


def main(words: list[str]) -> int:
    """Do what a job is for, and return the exit code of the process.

    Args:
        words: The folder of the work, and the number of the call of sbatch that sent the job.
    """
    paths, number = WorkPaths(Path(words[0])), int(words[1])
    about: dict[str, Any] = json.loads(paths.description.read_text(encoding="utf-8"))
    me = this_process()
    journal = Journal(paths.journal, me.worker)
    say_hello(journal, me)
    os.environ[JOB] = str(paths.folder)
    # A log that is read while it is written shows whose lines these are.
    again = f", started for the {me.restarts + 1}. time" if me.restarts else ""
    print(f"job {me.job} on {me.node}{again}", flush=True)
    if about["kind"] == "shards":
        from esp3rt.slurm.shards import serve

        return serve(paths, number, me, journal, about)
    from esp3rt.slurm.commands import obey

    return obey(paths, number, me, journal, about)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
