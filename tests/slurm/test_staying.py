"""Jobs go from one work of a stage to the next, so that the stage stands in the queue once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slurm.cluster import Cluster

pytestmark = pytest.mark.slurm

_PROGRAM = '''
"""Two works of one stage: squares, then cubes."""
import json, sys, time
from pathlib import Path
from esp3rt.slurm.execution import SlurmJobs
from esp3rt.slurm.runs import lead_run
from esp3rt.slurm.settings import read_settings
from esp3rt.work import Job

power, seconds, workers = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
OPTIONS = {"partition": "cpu", "time": 5, "mem": "200M", "cpus_per_task": 1}

def setup():
    return None

def work_of(power):
    def work(built, task, moved):
        time.sleep(0.02)
        moved(1)
        return task**power
    return work

if __name__ == "__main__":
    here = str(Path.cwd())
    with lead_run(here, ["infer"], [sys.executable, *sys.argv], here) as run:
        execution = SlurmJobs(read_settings({"env": "slurm", "n_workers": workers, "options": OPTIONS}))
        with run.stage_of("infer", "slurm"):
            for each in range(1, power + 1):
                job = Job(setup=setup, work=work_of(each), mark=f"power {each}")
                found = {outcome.task: outcome.result for outcome in execution.run(job, range(12), lambda n: None)}
                Path(f"power{each}.json").write_text(json.dumps([found[task] for task in range(12)]))
                time.sleep(seconds)
        run.over("done")
'''


class Program:
    """The program in a folder, with an sbatch that counts its calls."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        (folder / "program.py").write_text(_PROGRAM)
        (folder / "bin").mkdir()
        (folder / "bin/sbatch").write_text(f'#!/bin/sh\necho >> "{folder}/calls"\nexec /usr/bin/sbatch "$@"\n')
        (folder / "bin/sbatch").chmod(0o755)
        path = f"{folder}/bin:{os.environ['PATH']}"
        self.env = {**os.environ, **cluster.env, "PATH": path}

    def start(self, works: int, seconds: float = 0.0, workers: int = 3) -> subprocess.Popen[bytes]:
        """Start it; between works it waits for so many seconds."""
        words = [sys.executable, "program.py", str(works), str(seconds), str(workers)]
        return subprocess.Popen(words, cwd=self.folder, env=self.env)

    def calls(self) -> int:
        """How often sbatch was called."""
        return len((self.folder / "calls").read_text().splitlines())

    def results(self) -> list[list[int]]:
        """What each work gave."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("power*.json"))]


def gone(cluster: Cluster) -> bool:
    """Whether no job is left, soon."""
    deadline = time.monotonic() + 20
    while cluster.squeue():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def program(tmp_path: Path, cluster: Cluster) -> Program:
    """The program."""
    return Program(tmp_path, cluster)


def test_one_array_does_all_works_of_a_stage(program: Program, cluster: Cluster) -> None:
    """The jobs of the first work do the others as well, and end with the stage."""
    assert program.start(3).wait(90) == 0

    assert [[task**power for task in range(12)] for power in (1, 2, 3)] == program.results()
    assert program.calls() == 1
    assert gone(cluster)


def test_a_job_that_is_lost_between_works_is_replaced(program: Program, cluster: Cluster) -> None:
    """The next work takes the jobs that are left, and sends what lacks."""
    process = program.start(2, seconds=4.0)
    deadline = time.monotonic() + 60
    while not (program.folder / "power1.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    cluster.run("scancel", *[job.job_id for job in cluster.squeue()])
    assert process.wait(90) == 0

    assert [[task**power for task in range(12)] for power in (1, 2)] == program.results()
    assert program.calls() >= 2
    assert gone(cluster)


def test_jobs_that_still_wait_in_the_queue_end_with_the_stage(program: Program, cluster: Cluster) -> None:
    """More jobs than the cluster has places for: those that never began are not left behind."""
    assert program.start(1, workers=40).wait(90) == 0

    assert program.results() == [list(range(12))]
    assert gone(cluster)


def test_a_driver_is_killed_between_works(program: Program) -> None:
    """The program, started again, does what is left."""
    process = program.start(2, seconds=5.0)
    deadline = time.monotonic() + 60
    while not (program.folder / "power1.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert program.start(2).wait(90) == 0

    assert [[task**power for task in range(12)] for power in (1, 2)] == program.results()
