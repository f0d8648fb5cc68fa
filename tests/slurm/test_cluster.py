"""The cluster of the tests is a real one: jobs come through, and what breaks breaks as it does on a large one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import submitit

from slurm.cluster import Cluster, ClusterError

pytestmark = pytest.mark.slurm


def _executor(folder: Path, **options: Any) -> submitit.AutoExecutor:
    executor = submitit.AutoExecutor(folder / "%j", cluster="slurm")
    executor.update_parameters(
        slurm_partition="cpu", timeout_min=5, cpus_per_task=1, mem_gb=1, stderr_to_stdout=True, **options
    )
    return executor


def _until(what: Callable[[], Any], seconds: float = 40) -> Any:
    """Ask until there is something to be had."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"nothing within {seconds} s"
        time.sleep(0.05)
    return found


def _script(folder: Path, body: str, *options: str) -> str:
    """Submit a shell script; the job's number."""
    script = folder / "job.sh"
    script.write_text(f"#!/bin/sh\n{body}\n")
    submitted = subprocess.run(
        ["sbatch", "--parsable", f"--chdir={folder}", "--output=%j.log", *options, script],
        check=True,
        capture_output=True,
        text=True,
    )
    return submitted.stdout.strip()


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_a_function_comes_back_with_its_result(cluster: Cluster, tmp_path: Path) -> None:
    """submitit runs it in a job of its own process, on a node."""
    job = _executor(tmp_path).submit(lambda: (6 * 7, os.getpid(), os.environ["SLURMD_NODENAME"]))

    answer, pid, node = job.result()
    assert (answer, pid != os.getpid(), node in cluster.nodes) == (42, True, True)
    # The result is there before the job has ended.
    _until(lambda: not cluster.squeue())
    assert [held.state for held in cluster.squeue(ended=True) if held.job_id == job.job_id] == ["COMPLETED"]


def test_an_array_is_spread_over_nodes(cluster: Cluster, tmp_path: Path) -> None:
    """Eight tasks of one CPU do not fit on one node of four; each gets its own number."""
    jobs = _executor(tmp_path).map_array(lambda number: (number, os.environ["SLURMD_NODENAME"]), range(8))

    results = [job.result() for job in jobs]
    assert [number for number, _ in results] == list(range(8))
    assert len({node for _, node in results}) > 1
    assert {job.job_id.partition("_")[0] for job in jobs} == {jobs[0].job_id.partition("_")[0]}


def test_jobs_on_one_node_see_different_gpus(cluster: Cluster, tmp_path: Path) -> None:
    """Two jobs that ask for a GPU each share a node of two, and neither sees the other's."""
    options = ["--partition=gpu", "--gres=gpu:1", "--nodelist=n1"]
    body = 'echo "$CUDA_VISIBLE_DEVICES" >> seen; while [ $(wc -l < seen) -lt 2 ]; do sleep 0.05; done'
    for _ in range(2):
        _script(tmp_path, body, *options)
    _until(lambda: not cluster.squeue())

    assert sorted(_lines(tmp_path / "seen")) == ["0", "1"]


def test_the_jobs_of_a_crashed_node_run_again_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing of the job is left on the node, and the queue starts it once more on another."""
    job = _script(tmp_path, 'echo "$SLURMD_NODENAME $$" >> runs; [ "$SLURM_RESTART_COUNT" ] || sleep 600', "--requeue")
    node, pid = _until(lambda: _lines(tmp_path / "runs"))[0].split()
    cluster.crash(node, noticed=True)
    assert not psutil.pid_exists(int(pid))
    _until(lambda: not cluster.squeue())

    first, second = (line.split()[0] for line in _lines(tmp_path / "runs"))
    assert (first, second != first) == (node, True)
    assert _until(lambda: [run.state for run in cluster.sacct(job, incarnations=True) if run.state == "COMPLETED"])


def test_the_jobs_of_a_lost_node_live_on(cluster: Cluster, tmp_path: Path) -> None:
    """Only its slurmd is gone; a later crash of the node ends them too."""
    _script(tmp_path, 'echo "$SLURMD_NODENAME $$" >> runs; sleep 600')
    node, pid = _until(lambda: _lines(tmp_path / "runs"))[0].split()

    cluster.lose(node)
    assert psutil.pid_exists(int(pid))
    cluster.crash(node)
    assert not psutil.pid_exists(int(pid))


def test_nothing_is_lost_with_the_controller(cluster: Cluster, tmp_path: Path) -> None:
    """A job that ends while it is gone counts as ended when it is back, and numbers go on."""
    job = _script(tmp_path, "echo > begun; while [ ! -e go ]; do sleep 0.05; done; echo > done")
    _until((tmp_path / "begun").exists)
    cluster.stop_controller()
    (tmp_path / "go").touch()
    _until((tmp_path / "done").exists)
    cluster.start_controller()
    cluster.wait_until_ready()
    _until(lambda: not cluster.squeue())

    assert [held.state for held in cluster.squeue(ended=True) if held.job_id == job] == ["COMPLETED"]
    assert int(_script(tmp_path, "true")) == int(job) + 1


def test_a_killed_controller_forgets_what_it_did_not_write_down(cluster: Cluster, tmp_path: Path) -> None:
    """It does not know that it has started the job; the damage to the queue and the node can be mended."""
    _script(tmp_path, "echo $$ > begun; sleep 600")
    pid = int(_until(lambda: _lines(tmp_path / "begun"))[0])
    cluster.kill_controller()
    assert cluster.node_states() == {}
    cluster.restore()

    assert [cluster.squeue(), psutil.pid_exists(pid)] == [[], False]
    assert cluster.node_states() == dict.fromkeys(cluster.nodes, "idle")


def test_accounting_can_go_and_come_back(cluster: Cluster) -> None:
    """Without slurmdbd sacct fails at once; with it the history is there again."""
    before = cluster.sacct()
    cluster.kill_dbd()
    with pytest.raises(subprocess.CalledProcessError):
        cluster.sacct()
    cluster.start_dbd()

    assert cluster.sacct()[: len(before)] == before


def test_cancelling_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Neither in the queue nor on the nodes, whether jobs run or wait."""
    for _ in range(4):
        _script(tmp_path, "echo $$ >> pids; sleep 600", "--exclusive")
    pids = _until(lambda: lines if len(lines := _lines(tmp_path / "pids")) == len(cluster.nodes) else [])
    cluster.cancel_all()

    assert [cluster.squeue(), [pid for pid in pids if psutil.pid_exists(int(pid))]] == [[], []]


def test_restoring_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Nor does a process stay that does not listen, or that has left its job."""
    _script(tmp_path, 'trap "" TERM; setsid nohup sleep 600 & echo $$ $! > pids; while :; do sleep 0.2; done')
    pids = _until(lambda: _lines(tmp_path / "pids"))[0].split()
    cluster.restore()

    assert [cluster.squeue(), [pid for pid in pids if psutil.pid_exists(int(pid))]] == [[], []]


def test_a_job_of_low_priority_makes_room(cluster: Cluster, tmp_path: Path) -> None:
    """In `preempt` it waits in the queue again, in `preempt_cancel` it is over."""
    cluster.set_grace(0)
    places = {"preempt": "n1", "preempt_cancel": "n2"}
    for partition, node in places.items():
        _script(
            tmp_path, f"echo > {partition}; sleep 600", f"--partition={partition}", "--exclusive", f"--nodelist={node}"
        )
    _until(lambda: all((tmp_path / partition).exists() for partition in places))
    for node in places.values():
        _script(tmp_path, "sleep 600", "--exclusive", f"--nodelist={node}")

    def states() -> dict[str, str]:
        return {held.partition: held.state for held in cluster.squeue(ended=True) if held.partition in places}

    _until(lambda: states() == {"preempt": "PENDING", "preempt_cancel": "PREEMPTED"})


_OWNER = """
import sys, time
from slurm.cluster import Cluster, Shape
cluster = Cluster(Shape(nodes=("n1",), accounting=False))
cluster.start_all()
cluster.run("sbatch", "--output=/dev/null", f"--wrap=touch {cluster.folder}/begun; sleep 600")
while not (cluster.folder / "begun").exists():
    time.sleep(0.05)
print(cluster.folder, flush=True)
time.sleep(600)
"""


def test_a_cluster_goes_with_its_owner() -> None:
    """Two live side by side; when the process that made one is killed, its daemons, its job and its folder are gone."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True, env=env) as owner:
        try:
            assert owner.stdout is not None
            folder = Path(owner.stdout.readline().strip())
            tree = psutil.Process(owner.pid).children(recursive=True)
            names = {process.name() for process in tree}
        finally:
            owner.kill()

    assert {"munged", "slurmctld", "slurmd", "slurmstepd"} <= names
    assert psutil.wait_procs(tree, timeout=20)[1] == []
    assert not folder.exists()


def test_without_accounting_sacct_says_so(cluster: Cluster) -> None:
    """A second cluster beside the first, without slurmdbd: a queue, and no history."""
    with Cluster(accounting=False) as other:
        assert [other.squeue(), cluster.squeue(), other.folder != cluster.folder] == [[], [], True]
        with pytest.raises(subprocess.CalledProcessError) as refused:
            other.sacct()

        assert "accounting storage is disabled" in refused.value.stderr


def test_a_daemon_that_does_not_come_up_shows_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the daemon and shows what it said."""
    monkeypatch.setattr("slurm.cluster.slurm_conf", lambda *_: "ClusterName=tests\nNoSuchKey=1\n")
    with pytest.raises(ClusterError, match=r"slurmctld has ended[\s\S]*NoSuchKey"), Cluster(accounting=False):
        pass
