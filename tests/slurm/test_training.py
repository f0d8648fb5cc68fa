"""Trainings in SLURM jobs: of every shape, stopped, preempted, killed and doubled, they end with the same weights."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from slurm.cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.training]

_SUPPORT = Path(__file__).parents[1] / "espnet3" / "training" / "support"
_SRUN = "srun --kill-on-bad-exit=1"
# What the job of a training does: it is put back into the queue where the training asks for that.
_SCRIPT = """#!/bin/bash
{launch} {python} {program} config.json >> log 2>&1
code=$?
echo $code >> codes
[ $code = 85 ] && scontrol requeue $SLURM_JOB_ID && sleep 60
exit $code
"""


class Training:
    """A toy training of three epochs in a folder of its own, and the job that it runs in."""

    def __init__(self, cluster: Cluster, folder: Path, **changes: Any) -> None:
        from omegaconf import OmegaConf
        from toy_training import toy_config

        self.cluster = cluster
        self.folder = folder
        self.job = ""
        folder.mkdir(parents=True)
        config = toy_config("exp", dataloader__train__batch_bins=350, **changes)
        (folder / "config.json").write_text(json.dumps(OmegaConf.to_container(config, resolve=True)))

    def submit(self, *options: str, launch: str = _SRUN, **variables: str) -> Training:
        """Send the job; the variables are those of `run_toy.py`."""
        script = self.folder / "job.sh"
        script.write_text(_SCRIPT.format(launch=launch, python=sys.executable, program=_SUPPORT / "run_toy.py"))
        env = {**os.environ, **self.cluster.env, **_for_two(), "TOY_STEPS": "steps", **variables}
        command = ["sbatch", "--parsable", "--mem=3000M", "--output=batch", "--open-mode=append", *options, str(script)]
        sent = subprocess.run(command, cwd=self.folder, env=env, check=True, capture_output=True, text=True)
        self.job = sent.stdout.strip()
        return self

    def steps(self, but: set[int] | None = None) -> list[tuple[int, int, str]]:
        """Rank, process and node of each batch so far, without those of some processes."""
        lines = (line.split() for line in self.lines("steps") if line.count(" ") == 2)
        return [(int(rank), int(pid), node) for rank, pid, node in lines if int(pid) not in (but or ())]

    def wait_for_steps(self, count: int, but: set[int] | None = None) -> list[tuple[int, int, str]]:
        """Wait until there are so many."""
        found: list[tuple[int, int, str]] = self.until(
            lambda: self.steps(but) if len(self.steps(but)) >= count else None
        )
        return found

    def wait(self) -> Training:
        """Wait until the job is over."""
        self.until(lambda: all(held.job_id != self.job for held in self.cluster.squeue()))
        return self

    def until(self, what: Callable[[], Any], seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, f"nothing within {seconds} s:\n{self.text()}"
            time.sleep(0.05)
        return found

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def text(self) -> str:
        return "\n".join(self.lines("log") + self.lines("batch"))

    def codes(self) -> list[int]:
        """What the training has ended with, on each start of the job that lived to see it."""
        return [int(code) for code in self.lines("codes")]

    def end(self) -> dict[str, Any]:
        from end_state import final_state

        state: dict[str, Any] = final_state(self.folder / "exp")
        return state


def _for_two() -> dict[str, str]:
    """What lets processes import the toy training, and find each other."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    paths = [str(_SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }


def _assert_same(expected: Training, actual: Training) -> None:
    from same_state import assert_same

    assert_same(expected.end(), actual.end())


@pytest.fixture(scope="module", autouse=True)
def _importable() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_SUPPORT))
        yield


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Training]:
    """Trainings that nothing happens to, by the shape of their jobs: `1`, and with two processes `2x1` and `1x2`."""
    folder = tmp_path_factory.mktemp("undisturbed")
    sent = {
        # Not through srun: whatever the job asks for, there is one process.
        "1": Training(cluster, folder / "1").submit("--ntasks=2", launch=""),
        "2x1": Training(cluster, folder / "2x1").submit("--nodes=2", "--ntasks-per-node=1"),
        "1x2": Training(cluster, folder / "1x2").submit("--nodes=1", "--ntasks-per-node=2"),
        "wrong": Training(cluster, folder / "wrong", trainer__devices=3).submit("--ntasks-per-node=2", launch="srun"),
    }
    return {name: training.wait() for name, training in sent.items()}


def test_two_machines_and_one_with_two_processes(undisturbed: dict[str, Training]) -> None:
    """They are two processes in both cases, and end with the same weights; only one of the two speaks."""
    two, one = undisturbed["2x1"], undisturbed["1x2"]

    _assert_same(two, one)
    for training, nodes in ((two, 2), (one, 1)):
        assert training.codes() == [0]
        assert len({node for _, _, node in training.steps()}) == nodes
        assert {rank for rank, _, _ in training.steps()} == {0, 1}
        assert training.text().count("train: 3 epochs done") == 1
        assert training.text().count("model: ToyModel with 49 parameters, on 2 × CPU") == 1
        assert "arning" not in training.text()


def test_a_script_without_srun_trains_alone(undisturbed: dict[str, Training]) -> None:
    """Even in a job of two tasks, it waits for nobody."""
    alone = undisturbed["1"]

    assert alone.codes() == [0], alone.text()
    assert "with 49 parameters, on CPU" in alone.text()


def test_a_shape_that_is_not_the_jobs_is_refused_at_once(undisturbed: dict[str, Training]) -> None:
    """By each process for itself, before any waits for another."""
    wrong = undisturbed["wrong"]

    assert wrong.codes() == [1]
    assert wrong.text().count("trainer.devices is 3, but SLURM has started 2 processes for it on 1 machine") == 2


def test_asked_to_stop(cluster: Cluster, undisturbed: dict[str, Training], tmp_path: Path) -> None:
    """First only one of two processes is asked, then SLURM asks both: each time they stop together, and go on."""
    training = Training(cluster, tmp_path / "t")
    # Without --kill-on-bad-exit: here SLURM gives the slower one but a second to end by itself.
    training.submit("--nodes=2", "--ntasks-per-node=1", launch="srun", TOY_SECONDS="0.5", TOY_SLOW_STARTS="2")
    first = training.wait_for_steps(4)
    os.kill(next(pid for rank, pid, _ in first if rank == 1), signal.SIGUSR2)
    before = {pid for _, pid, _ in training.until(lambda: training.codes() and training.steps())}
    training.wait_for_steps(4, but=before)
    cluster.run("scancel", "--signal=USR2", training.job)
    training.wait()

    assert training.codes() == [85, 85, 0]
    assert training.text().count("train: stopped by SIGUSR2 after ") == 2
    # No batch is done twice.
    assert len(training.steps()) == len(undisturbed["2x1"].steps())
    _assert_same(undisturbed["2x1"], training)


def test_preempted(cluster: Cluster, undisturbed: dict[str, Training], tmp_path: Path) -> None:
    """A job that makes room for another goes on afterwards, from the batch that it was in."""
    cluster.set_grace(30)
    training = Training(cluster, tmp_path / "t")
    training.submit("--partition=preempt", "--nodelist=n1", "--signal=USR2@30", TOY_SECONDS="0.5")
    training.wait_for_steps(3)
    cluster.run("sbatch", "--output=/dev/null", "--exclusive", "--nodelist=n1", "--wrap=sleep 1")
    training.wait()

    assert training.codes() == [85, 0]
    assert len(training.steps()) == len(undisturbed["1"].steps())
    _assert_same(undisturbed["1"], training)


def test_out_of_time(cluster: Cluster, undisturbed: dict[str, Training], tmp_path: Path) -> None:
    """SLURM's warning before the limit is enough, and it may come up to a minute early: it waits until it can be heard."""
    block = (
        "import os, signal as s, sys; s.pthread_sigmask(s.SIG_BLOCK, [s.SIGUSR2]); os.execv(sys.argv[1], sys.argv[1:])"
    )
    training = Training(cluster, tmp_path / "t", dataloader__train__num_workers=1)
    launch = f"{_SRUN} {sys.executable} -c '{block}'"
    training.submit("--time=1", "--signal=USR2@45", launch=launch, TOY_SECONDS="1.5").wait()

    assert training.codes() == [85] * training.text().count("train: stopped by SIGUSR2 after ") + [0]
    assert len(training.codes()) > 1
    _assert_same(undisturbed["1"], training)


def test_terminated(cluster: Cluster, undisturbed: dict[str, Training], tmp_path: Path) -> None:
    """SLURM also ends the processes that load data; the training is saved all the same, for whoever starts it again."""
    training = Training(cluster, tmp_path / "t", dataloader__train__num_workers=1)
    training.submit(TOY_SECONDS="0.3").wait_for_steps(3)
    # As scancel does, but for the SIGKILL that follows.
    cluster.run("scancel", "--signal=TERM", training.job)
    training.wait().submit().wait()

    assert training.codes() == [143, 0]
    assert "train: stopped by SIGTERM after " in training.text()
    assert len(training.steps()) == len(undisturbed["1"].steps())
    _assert_same(undisturbed["1"], training)


def test_a_node_crashes(cluster: Cluster, undisturbed: dict[str, Training], tmp_path: Path) -> None:
    """That of the second process, without a warning: the job starts again from the checkpoint that was written last."""
    training = Training(cluster, tmp_path / "t", checkpoint_every=0.0)
    training.submit("--nodes=2", "--ntasks-per-node=1", "--requeue", TOY_SECONDS="0.5")
    node = next(node for rank, _, node in training.wait_for_steps(6) if rank == 1)
    cluster.crash(node, noticed=True)
    training.wait()

    assert training.codes()[-1] == 0
    assert "train: goes on after 0 epochs" in training.text()
    _assert_same(undisturbed["2x1"], training)


def test_the_orphan_of_a_lost_node_stops_writing(
    cluster: Cluster, undisturbed: dict[str, Training], tmp_path: Path
) -> None:
    """SLURM starts the job elsewhere while the first training lives on: that one finds out, and leaves all as it is."""
    training = Training(cluster, tmp_path / "t", checkpoint_every=0.0)
    training.submit("--requeue", launch="", TOY_SECONDS="2")
    _, orphan, node = training.wait_for_steps(2)[0]
    cluster.lose(node)
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
    training.wait_for_steps(1, but={orphan})
    lived = psutil.pid_exists(orphan)
    training.wait()
    training.until(lambda: len(training.codes()) == 2)

    assert (lived, sorted(training.codes())) == (True, [0, 1])
    assert f"train: takes over from process {orphan} on " in training.text()
    assert "another process trains in exp by now" in training.text()
    _assert_same(undisturbed["1"], training)


def test_one_of_two_dies(cluster: Cluster, tmp_path: Path) -> None:
    """The other does not wait for it."""
    training = Training(cluster, tmp_path / "t")
    training.submit("--nodes=2", "--ntasks-per-node=1", TOY_SIGNAL="call 2", TOY_RANK="1").wait()

    assert [code not in (0, 85) for code in training.codes()] == [True], training.codes()
    assert "train: 3 epochs done" not in training.text()
