"""Points of a sweep as jobs of an array: one fails, one is lost, whoever leads is killed, and the others do not mind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from esp3rt.slurm.paths import runs_of
from slurm.cluster import Cluster
from support.sweeps import DEADLINE, Sweep, until

pytestmark = pytest.mark.slurm

SETTING = {"env": "slurm", "n_workers": 1, "options": {"mem": "100M", "time": 10}}
GOOD = "mark(); result({loss}, {rate})"
HELD = "mark(); wait_for('go'); result(1, 1)"


class Running:
    """A process that is killed at the end of the test."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._file = folder / f"out-{os.urandom(4).hex()}.txt"
        with self._file.open("w") as out:
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def out(self) -> str:
        return self._file.read_text()

    def wait(self) -> int:
        return self.process.wait(DEADLINE)


@pytest.fixture
def start(cluster: Cluster) -> Iterator[Any]:
    """Starts a sweep."""
    running: list[Running] = []

    def started(sweep: Sweep, *words: str) -> Running:
        running.append(Running(sweep.command(*words), sweep.folder))
        return running[-1]

    yield started
    for each in running:
        each.process.kill()
        each.process.wait()


def sent(sweep: Sweep) -> list[int]:
    """The numbers of jobs for which sbatch was called, in order."""
    runs = sorted(runs_of(sweep.folder), key=lambda run: run.about()["created"])
    calls = [call for run in runs for work in run.works() for call in sorted(work.send.glob("*.json"))]
    return [json.loads(call.read_text())["jobs"] for call in calls]


def ask(sweep: Sweep, command: str, *words: str) -> str:
    """What a command about its runs prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "esp3rt.slurm", command, str(sweep.folder), *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.stdout + done.stderr


def test_one_point_fails_and_one_is_lost_and_tried_again(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    """One array; the exit code is 1, every other point is done, and the one that failed is not tried twice."""
    lost = "mark()\nif not (here / 'lost').exists():\n    (here / 'lost').touch()\n    os.kill(os.getpid(), 9)\n"
    sweep = Sweep(
        tmp_path / "toy",
        {"1": GOOD.format(loss=1, rate=3), "2": "mark(); sys.exit('out of luck')", "3": lost + "result(1, 2)"},
        SETTING,
        here="mark()",
    )

    running = start(sweep)

    assert running.wait() == 1, running.out
    assert sweep.states() == {"lr=3": "done", "lr=1": "done", "lr=2": "failed"}, running.out
    assert "lr=2 failed: ended with exit code 1 (out of luck)" in running.out
    assert [len(sweep.marks(f"lr={value}", "job")) for value in (1, 2, 3)] == [1, 1, 2]
    assert [len(sweep.marks(f"lr={value}", "prepare")) for value in (1, 2, 3)] == [1, 1, 1]
    assert sent(sweep) == [3, 1]
    assert [point["attempts"] for point in sweep.results()["points"]] == [2, 1, 1]
    status = ask(sweep, "status")
    assert "lr=2  failed: ended with exit code 1" in status
    assert "lr=3  done in" in status


def test_the_same_again_sends_what_is_left(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "toy", {"1": GOOD.format(loss=1, rate=3), "2": "mark(); sys.exit(1)"}, SETTING)
    codes = [start(sweep).wait()]
    sweep.set("2", GOOD.format(loss=1, rate=2))
    codes += [start(sweep).wait(), start(sweep).wait()]

    assert codes == [1, 0, 0]
    assert [mark["point"] for mark in sweep.marks()] in (["lr=1", "lr=2", "lr=2"], ["lr=2", "lr=1", "lr=2"])
    assert sent(sweep) == [2, 1]


def test_jobs_go_on_when_whoever_leads_is_killed(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    """The same command finds them, sends none anew, and does not prepare them again."""
    sweep = Sweep(
        tmp_path / "toy",
        {"1": HELD, "2": HELD, "3": GOOD.format(loss=1, rate=3)},
        SETTING,
        here="mark()",
        shared="mark()",
    )
    first = start(sweep)
    until(lambda: len(sweep.marks(stage="job")) == 3, lambda: first.out)

    first.process.kill()
    first.process.wait()
    second = start(sweep)
    until(lambda: "was left before its end" in second.out, lambda: second.out)
    sweep.let("go")

    assert second.wait() == 0, second.out
    assert sweep.states() == {"lr=1": "done", "lr=2": "done", "lr=3": "done"}
    assert [len(sweep.marks(stage=stage)) for stage in ("shared", "prepare", "job")] == [1, 3, 3]


def test_an_interrupt_leaves_the_jobs_and_says_so(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "toy", {"1": HELD, "2": HELD}, SETTING)
    running = start(sweep)
    until(lambda: len(sweep.marks()) == 2, lambda: running.out)

    running.process.send_signal(signal.SIGINT)

    assert running.wait() == 130, running.out
    assert "interrupted; its jobs run on: `esp3c status` shows them; the same command goes on" in running.out
    assert {job.state for job in cluster.squeue()} == {"RUNNING"}


def test_a_detached_sweep_is_seen_and_taken_up(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    """`status` names the points; `resume` waits for them and shows the results."""
    sweep = Sweep(tmp_path / "toy", {"1": HELD, "2": GOOD.format(loss=1, rate=2), "3": HELD}, SETTING)

    running = start(sweep, "--detach", "--jobs=2")

    assert running.wait() == 0, running.out
    assert "sent: 3 points (job " in running.out
    until(lambda: len(sweep.marks()) == 2 and "lr=2  done in" in ask(sweep, "status"), lambda: ask(sweep, "status"))
    sweep.let("go")
    out = ask(sweep, "resume")
    assert "* lr=1: WER test 1, where less is better" in out, out
    assert set(sweep.states().values()) == {"done"}
    assert len(list(runs_of(sweep.folder))) == 1


def test_a_sweep_that_is_cancelled_begins_anew(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    """What is done is kept."""
    sweep = Sweep(tmp_path / "toy", {"1": HELD, "2": GOOD.format(loss=1, rate=2)}, SETTING)
    running = start(sweep)
    until(lambda: len(sweep.marks()) == 2 and "lr=2  done in" in ask(sweep, "status"), lambda: running.out)

    ask(sweep, "cancel")

    assert running.wait() == 1, running.out
    assert "was cancelled" in running.out
    assert sweep.states() == {"lr=2": "done", "lr=1": "waiting"}
    sweep.let("go")
    assert start(sweep).wait() == 0
    assert [mark["point"] for mark in sweep.marks()][-1] == "lr=1"
    assert len(sweep.marks()) == 3


def test_a_point_that_is_lost_again_and_again_is_given_up(cluster: Cluster, start: Any, tmp_path: Path) -> None:
    setting = {**SETTING, "options": {**SETTING["options"], "attempts": 2}}  # type: ignore[dict-item]
    sweep = Sweep(tmp_path / "toy", {"1": "mark(); os.kill(os.getpid(), 9)", "2": GOOD.format(loss=1, rate=2)}, setting)

    running = start(sweep)

    assert running.wait() == 1, running.out
    assert sweep.states() == {"lr=2": "done", "lr=1": "failed"}
    assert len(sweep.marks("lr=1")) == 2
    until(
        lambda: (
            not [each for each in psutil.process_iter(["cmdline"]) if str(sweep.folder) in str(each.info["cmdline"])]
        )
    )
