"""`status`, `logs`, `cancel` and `resume` on a cluster, while a run goes on and after whoever led it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurm.cluster import Cluster
from slurm.works import DEADLINE, Works

pytestmark = pytest.mark.slurm


@pytest.fixture
def works(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Works]]:
    """Makes the program in a folder of the test."""
    made: list[Works] = []

    def make(**more: int) -> Works:
        made.append(Works(tmp_path / f"recipe{len(made)}", **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def called(work: Works, *words: str, code: int = 0) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "esp3rt.slurm", words[0], str(work.folder), *words[1:]]
    env = {**os.environ, "PATH": f"{work.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_run_is_seen_while_it_is_led_and_after(works: Callable[..., Works], cluster: Cluster) -> None:
    """Who leads it; that nobody does, and that its jobs run on; that the work is done though nobody has collected it."""
    work = works(items=8, workers=2, shards=4)
    work.hold(0, 7)
    process = work.start()
    held = [work.held(0), work.held(7)]
    led = called(work, "status")
    shown = called(work, "logs", "--shard", "0")
    process.kill()
    process.wait()
    left = called(work, "status")
    work.release(0, 7)
    work.until(lambda: len(work.events("ended")) == 4)
    work.until(lambda: "no job of it is left" in called(work, "status"))
    called(work, "resume")

    assert f"led by process {process.pid} on " in led
    assert all(f" {one.node}" in led for one in held)
    assert f"shard 0: attempt 1, by {held[0].job}.0.0 on {held[0].node}, is at work" in shown
    assert f"job {held[0].job} on {held[0].node}" in shown
    assert f"nobody leads it: its jobs run on; `esp3c resume {work.folder}` takes the lead" in left
    assert "led by nobody" in left
    assert work.output() == work.expected()
    assert work.calls() == 1


def test_what_is_followed_ends_with_the_run(works: Callable[..., Works]) -> None:
    """The log of each job, to the end; the table's lines, to the end."""
    work = works(items=8, workers=2, shards=4)
    work.hold(0)
    process = work.start()
    work.held(0)
    with following(work, "logs", "-f") as logs, following(work, "status", "--watch") as status:
        assert status.stdout is not None
        assert status.stdout.readline().startswith("run ")
        work.release(0)
        printed, watched = logs.communicate(timeout=DEADLINE)[0], status.communicate(timeout=DEADLINE)[0]
    work.end(process, 0)

    assert (logs.returncode, status.returncode) == (0, 0)
    assert printed.count("job ") >= 1
    assert "4 of 4 shards done" in watched


def following(work: Works, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "esp3rt.slurm", words[0], str(work.folder), *words[1:]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_run_that_is_led_is_cancelled(works: Callable[..., Works], cluster: Cluster) -> None:
    """Its jobs end, whoever leads it ends by itself, and sends no others; later it goes on."""
    work = works(items=8, workers=2, shards=4)
    # One in each half of the items: both jobs are at work, and neither finds that there is nothing left.
    for item in (0, 4):
        work.hold(item)
    process = work.start()
    for item in (0, 4):
        work.held(item)
    said = called(work, "cancel")
    work.end(process, 1)
    work.until(lambda: not [job for job in cluster.squeue() if job.state in ("RUNNING", "PENDING")])
    after = called(work, "status")
    for item in (0, 4):
        work.release(item)
    called(work, "resume")

    assert "2 jobs of an array cancelled" in said
    assert "it was cancelled" in after
    assert work.calls() == 2
    assert work.output() == work.expected()


def test_a_run_that_nobody_leads_is_cancelled(works: Callable[..., Works], cluster: Cluster) -> None:
    """Its jobs end all the same."""
    work = works(items=8, workers=2, shards=4)
    work.hold(0)
    process = work.start()
    work.held(0)
    process.kill()
    process.wait()
    called(work, "cancel")
    work.until(lambda: not [job for job in cluster.squeue() if job.state in ("RUNNING", "PENDING")])

    assert "has no jobs to cancel: it is cancelled" in called(work, "cancel")


def test_the_controller_is_down(works: Callable[..., Works], cluster: Cluster) -> None:
    """What is known is shown, what cannot be done is said, and nothing is pretended."""
    work = works(items=8, workers=2, shards=4)
    work.hold(0)
    process = work.start()
    work.held(0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    cluster.kill_controller()
    seen = called(work, "status")
    refused = called(work, "cancel", code=1)

    assert "SLURM does not answer" in seen
    assert "nobody leads it: its jobs run on" in seen
    assert "nothing was written down, so try again when it does" in refused
    assert not work.events("over")
