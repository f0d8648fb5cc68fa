"""A stage as a job: what becomes of it, and what is said, whatever happens on the cluster."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from slurm.cluster import Cluster
from slurm.toy import Toy, until

pytestmark = pytest.mark.slurm

# A command that knows the protocol: warned, it ends with 85; started again, it goes on.
KNOWS = """
signal.signal(signal.SIGUSR2, lambda *_: sys.exit(85))
mark()
if os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
    wait_for("never")
"""
IGNORES = "signal.signal(signal.SIGUSR2, signal.SIG_IGN); mark(); wait_for('go')"
# Time is spent in C code, with the signal blocked: no handler runs.
STUCK = """
mark()
if os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    ctypes.CDLL(None).sleep(600)
"""


def warn(cluster: Cluster, job: str) -> None:
    """What SLURM does when a job's time is nearly over."""
    cluster.run("scancel", "--signal=USR2", job)


def test_a_stage_that_is_a_job(cluster: Cluster, tmp_path: Path) -> None:
    """Stages come in order, wherever they run. The one that is a job runs once, as run.py in a job; what it logs is in the
    stage's log, and what it prints in the job's."""
    stages = {
        "one": "mark()",
        "two": "import logging; logging.getLogger('toy').warning('here'); print('printed'); mark(argv=sys.argv[1:])",
        "three": "mark()",
    }
    toy = Toy(tmp_path / "toy", stages, jobs={"two": {}})
    with toy.start("--stages", "all", "--word", "a b") as driver:
        assert driver.wait() == 0, driver.out

    (two,) = toy.marks("two")
    assert toy.order() == ["one", "two", "three"]
    assert [mark["job"] for mark in toy.marks()] == [None, toy.jobs(cluster, "two")[0].job_id, None]
    assert two["argv"] == ["--word", "a b", "--stages", "two"]
    assert until(lambda: toy.states(cluster, "two") == ["COMPLETED"])
    assert "WARNING toy: here" in toy.log("two")
    (log,) = toy.job_logs("two").values()
    assert "printed" in log
    assert [(stage.name, stage.state, stage.where) for stage in toy.run().stages.values()] == [
        ("one", "done", "this machine"),
        ("two", "done", "slurm"),
        ("three", "done", "this machine"),
    ]
    assert toy.run().over == "done"


def test_a_stage_that_raises(cluster: Cluster, tmp_path: Path) -> None:
    """It is not tried again, nor goes anything on. The message says which stage, how it ended, where its log is and what
    stands at its end; nothing is left in the queue."""
    stages = {"one": "mark(); print('a hint'); raise RuntimeError('no such luck')", "two": "mark()"}
    toy = Toy(tmp_path / "toy", stages, jobs={"one": {}})
    with toy.start() as driver:
        assert driver.wait() == 1

    (log,) = toy.job_logs("one")
    assert re.search(rf"one ended with exit code 1; its log: \S+/{log}\. It ends with:\n", driver.out)
    assert "RuntimeError: no such luck" in driver.out
    assert "stage 'one' failed after" in driver.out
    assert toy.order() == ["one"]
    assert cluster.squeue() == []
    assert (toy.run().over, toy.run().stages["one"].state) == ("failed", "failed")


@pytest.mark.usefixtures("cluster")
def test_an_exit_code_is_an_answer(tmp_path: Path) -> None:
    """A stage that ends with 3 has decided so: it is not tried again."""
    toy = Toy(tmp_path / "toy", {"one": "mark(); sys.exit(3)"}, jobs={"one": {"attempts": 3}})
    with toy.start() as driver:
        assert driver.wait() == 1

    assert "one ended with exit code 3; its log: " in driver.out
    assert len(toy.marks()) == 1


@pytest.mark.usefixtures("cluster")
def test_a_stage_that_is_killed_is_tried_again(tmp_path: Path) -> None:
    """So often as the setting says, each time as another job; then it is said how it ended, and where the log is."""
    toy = Toy(tmp_path / "toy", {"one": "mark(); os.kill(os.getpid(), 9)"}, jobs={"one": {"attempts": 2}})
    with toy.start() as driver:
        assert driver.wait() == 1

    killed = "killed by SIGKILL, which the kernel also sends where memory runs out"
    assert f"one was tried 2 times, the last time it was {killed}; its log: " in driver.out
    assert len({mark["job"] for mark in toy.marks()}) == 2


@pytest.mark.usefixtures("cluster")
def test_the_second_attempt_may_be_the_good_one(tmp_path: Path) -> None:
    """Then the stage is done, and the next one begins."""
    stages = {
        "one": "mark(); (HERE / 'x').exists() or (HERE / 'x').touch() or os.kill(os.getpid(), 9)",
        "two": "mark()",
    }
    toy = Toy(tmp_path / "toy", stages, jobs={"one": {}})
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    assert toy.order() == ["one", "one", "two"]
    assert "one: killed by SIGKILL" in driver.out


@pytest.mark.usefixtures("cluster")
def test_a_job_that_takes_too_much_memory_is_tried_again(tmp_path: Path) -> None:
    """SLURM ends it with all that it has: nobody is left to say how it ended, but SLURM."""
    body = """
    mark()
    if not (HERE / "before").exists():
        (HERE / "before").touch()
        much = b"x" * (400 << 20)
        wait_for("never")
    """
    toy = Toy(tmp_path / "toy", {"one": body}, jobs={"one": {}})
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    assert toy.order() == ["one", "one"]
    assert re.search(r"one: lost: its job \d+ was \w+", driver.out)


def test_a_node_that_crashes(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM starts the job again on another node; whoever waits for it goes on waiting, and no second job is sent."""
    toy = Toy(tmp_path / "toy", {"one": "mark(); (HERE / 'go').exists() or wait_for('go')"}, jobs={"one": {}})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        cluster.crash(first["node"], noticed=True)
        _, second = toy.await_marks("one", 2)
        toy.let("go")
        assert driver.wait() == 0, driver.out

    assert first["node"] != second["node"]
    assert (second["job"], second["restarts"]) == (first["job"], 1)
    assert len(toy.jobs(cluster, "one")) == 1


def test_a_stage_that_is_warned_goes_on_in_the_same_job(cluster: Cluster, tmp_path: Path) -> None:
    """It ends with 85, its job is put back into the queue and started again; that counts as no attempt."""
    toy = Toy(tmp_path / "toy", {"one": KNOWS}, jobs={"one": {"attempts": 1}})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        warn(cluster, first["job"])
        assert driver.wait() == 0, driver.out

    assert [(mark["job"], mark["restarts"]) for mark in toy.marks()] == [(first["job"], 0), (first["job"], 1)]
    assert len(toy.jobs(cluster, "one")) == 1
    (log,) = toy.job_logs("one").values()
    assert "the command goes on when SLURM starts the job again\n" in log
    assert "started for the 2. time" in log


def test_a_stage_that_lets_no_handler_run_is_cut_off(cluster: Cluster, tmp_path: Path) -> None:
    """Shortly before SLURM would do it; its job is started again like one that has ended by itself."""
    toy = Toy(tmp_path / "toy", {"one": STUCK}, jobs={"one": {"attempts": 1, "signal_delay_s": 10}})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        warn(cluster, first["job"])
        assert driver.wait() == 0, driver.out

    assert [mark["restarts"] for mark in toy.marks()] == [0, 1]
    (log,) = toy.job_logs("one").values()
    assert "the command does not end in time: it is cut off, and goes on from what it wrote last" in log


def test_a_job_that_slurm_does_not_requeue(cluster: Cluster, tmp_path: Path) -> None:
    """Whoever leads sends another job in its place."""
    body = KNOWS.replace('os.environ.get("SLURM_RESTART_COUNT", "0") == "0"', 'not (HERE / "warned").exists()')
    options = {"attempts": 1, "additional_parameters": {"no-requeue": True}}
    toy = Toy(tmp_path / "toy", {"one": body}, jobs={"one": options})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        toy.let("warned")
        warn(cluster, first["job"])
        assert driver.wait() == 0, driver.out

    _, second = toy.marks()
    assert second["job"] != first["job"]
    assert "not requeued by SLURM: scontrol: " in driver.out


@pytest.mark.parametrize(
    ("partition", "grace", "body", "same_job"),
    [
        ("preempt", 5, KNOWS, True),
        ("preempt", 0, IGNORES, True),
        ("preempt_cancel", 0, IGNORES, False),
    ],
    ids=["warned", "requeued", "cancelled"],
)
def test_a_job_that_must_give_way(
    cluster: Cluster, tmp_path: Path, partition: str, grace: int, body: str, same_job: bool
) -> None:
    """It is started again by SLURM, be it after a word of warning or none; where the partition cancels it, another is sent.
    That counts as no attempt."""
    cluster.set_grace(grace)
    toy = Toy(tmp_path / "toy", {"one": body}, jobs={"one": {"attempts": 1, "partition": partition, "nodelist": "n1"}})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        words = ("--parsable", "--exclusive", "-w", "n1", "-o", "/dev/null", "--wrap", "sleep 600")
        needs = cluster.run("sbatch", *words).strip()
        until(lambda: next(job.state for job in cluster.squeue() if job.job_id == needs) == "RUNNING")
        cluster.run("scancel", needs)
        toy.let("go")
        assert driver.wait() == 0, driver.out

    _, second = toy.marks("one")
    assert (second["job"] == first["job"]) == same_job


@pytest.mark.parametrize("shape", [{"nodes": 2}, {"ntasks_per_node": 2}])
def test_a_training_of_several_processes(cluster: Cluster, tmp_path: Path, shape: dict[str, int]) -> None:
    """Its trainer says how many; all know the same place to meet, and can connect to it. The job is done when all are."""
    body = """
    where = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    world = int(os.environ["SLURM_NTASKS"])
    rank = int(os.environ["SLURM_PROCID"])
    if rank == 0:
        server = socket.create_server(("", where[1]))
        others = [server.accept()[0] for _ in range(world - 1)]
    else:
        peer = None
        while peer is None:
            try:
                peer = socket.create_connection(where)
            except ConnectionRefusedError:
                time.sleep(0.02)
        peer.recv(1)
        wait_for("go")
    mark(where=where, world=world, node_number=os.environ["SLURM_NODEID"])
    """
    devices = shape.get("ntasks_per_node", 1)
    toy = Toy(
        tmp_path / "toy",
        {"train": body, "next": "mark()"},
        jobs={"train": shape},
        trainer={"devices": devices, "num_nodes": shape.get("nodes", 1)},
    )
    with toy.start() as driver:
        (first,) = toy.await_marks("train")
        still = driver.process.poll(), toy.run().stages["train"].state
        toy.let("go")
        assert driver.wait() == 0, driver.out

    ranks = toy.marks("train")
    assert first["rank"] == 0
    assert still == (None, "running")
    assert [mark["rank"] for mark in ranks] == [0, 1]
    assert [mark["where"] for mark in ranks] == [ranks[0]["where"]] * 2
    assert [mark["world"] for mark in ranks] == [2, 2]
    assert {mark["node_number"] for mark in ranks} == ({"0", "1"} if "nodes" in shape else {"0"})
    assert toy.order()[-1] == "next"
    assert len(toy.jobs(cluster, "train")) == 1
    assert len(toy.job_logs("train")) == 2


@pytest.mark.usefixtures("cluster")
def test_a_process_that_fails_ends_the_job(tmp_path: Path) -> None:
    """At once: the others do not wait for it until the time is over. What is said is what became of that one."""
    body = "mark(); int(os.environ['SLURM_PROCID']) == 1 and sys.exit(3); wait_for('never')"
    toy = Toy(tmp_path / "toy", {"train": body}, jobs={"train": {}}, trainer={"devices": 2})
    with toy.start() as driver:
        assert driver.wait() == 1

    assert re.search(r"train ended with exit code 3; its log: \S+_1_log\.out", driver.out)
    assert len(toy.marks()) == 2


@pytest.mark.usefixtures("cluster")
def test_a_process_that_fails_after_the_others_are_done_fails_the_job(tmp_path: Path) -> None:
    """A job is done when each of its processes is, and not before."""
    body = "mark(); os.environ['SLURM_PROCID'] == '0' or wait_for('go') or sys.exit(3)"
    toy = Toy(tmp_path / "toy", {"train": body}, jobs={"train": {}}, trainer={"devices": 2})
    with toy.start() as driver:
        toy.await_marks("train", 2)
        toy.let("go")
        assert driver.wait() == 1

    assert "train ended with exit code 3" in driver.out


@pytest.mark.usefixtures("cluster")
def test_the_folder_of_a_recipe_may_be_called_anything(tmp_path: Path) -> None:
    """With blanks, quotes, what SLURM puts numbers for, and letters of other scripts."""
    toy = Toy(tmp_path / '50%j of it\'s "ünï" & $HOME', {"one": "mark(); print('printed')"}, jobs={"one": {}})
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    (log,) = toy.job_logs("one").values()
    assert "printed" in log
    assert toy.order() == ["one"]


@pytest.mark.usefixtures("cluster")
def test_a_folder_that_slurm_cannot_be_given_is_refused(tmp_path: Path) -> None:
    """Before anything is sent, with the reason."""
    toy = Toy(tmp_path / "a\\b", {"one": "mark()"}, jobs={"one": {}})
    with toy.start() as driver:
        assert driver.wait() == 1

    assert "SLURM cannot write logs below a folder whose name holds a backslash" in driver.out


def test_without_srun(cluster: Cluster, tmp_path: Path) -> None:
    """The job's process takes the place of its shell, and hears the warning. A stage that does not know it is ended by it,
    and begins anew in the same job."""
    body = "mark(); os.environ.get('SLURM_RESTART_COUNT') or wait_for('never')"
    toy = Toy(tmp_path / "toy", {"one": body}, jobs={"one": {"attempts": 1, "use_srun": False}})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        cluster.run("scancel", "--batch", "--signal=USR2", first["job"])
        assert driver.wait() == 0, driver.out

    assert [(mark["job"], mark["restarts"]) for mark in toy.marks()] == [(first["job"], 0), (first["job"], 1)]
    (log,) = toy.job_logs("one").values()
    assert "the command goes on when SLURM starts the job again\n" in log


def test_a_job_that_slurm_refuses(cluster: Cluster, tmp_path: Path) -> None:
    """The message has SLURM's own words."""
    toy = Toy(tmp_path / "toy", {"one": "mark()"}, jobs={"one": {"partition": "nowhere"}})
    with toy.start() as driver:
        assert driver.wait() == 1

    assert "SLURM does not take the job: sbatch: " in driver.out
    assert "invalid partition" in driver.out
    assert cluster.squeue() == []


@pytest.mark.parametrize("place", ["here", "debug"])
@pytest.mark.usefixtures("cluster")
def test_stages_may_be_kept_here(tmp_path: Path, place: str) -> None:
    """Then SLURM is not even asked."""
    (tmp_path / "bin").mkdir()
    for name in ("sbatch", "squeue", "sacct", "scontrol", "srun", "scancel"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho {name} >> '{tmp_path}/called'\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"}
    toy = Toy(tmp_path / "toy", {"one": "mark()", "two": "mark()"}, jobs={"two": {}})
    with toy.start("--on", place, env=env) as driver:
        assert driver.wait() == 0, driver.out

    assert [mark["job"] for mark in toy.marks()] == [None, None]
    assert not (tmp_path / "called").exists()
    assert toy.runs() == []


@pytest.mark.usefixtures("cluster")
def test_a_job_has_no_settings_of_a_job_that_sent_it(tmp_path: Path) -> None:
    """Where a stage is sent from within a job, by hand, it is a job like any other."""
    toy = Toy(tmp_path / "toy", {"one": "mark(variables=sorted(os.environ))"}, jobs={"one": {}})
    leaked = {
        "SLURM_JOB_ID": "1",
        "SLURM_RESTART_COUNT": "7",
        "SLURM_MEM_PER_NODE": "9",
        "SLURM_PROCID": "5",
        "SLURM_X": "x",
    }
    with toy.start(env={**leaked, "SBATCH_HOLD": "1", "MASTER_PORT": "1"}) as driver:
        assert driver.wait() == 0, driver.out

    (mark,) = toy.marks()
    assert mark["restarts"] == 0
    assert not {"SLURM_X", "SBATCH_HOLD", "MASTER_PORT"} & {*mark["variables"]}


@pytest.mark.usefixtures("cluster")
def test_the_python_of_the_jobs(tmp_path: Path) -> None:
    """Is the one that the setting names, in all that a job runs."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    toy = Toy(tmp_path / "toy", {"one": "mark()"}, jobs={"one": {"python": str(python)}})
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    supervisor, stage = (tmp_path / "calls").read_text().splitlines()
    assert supervisor.startswith("-u -P -m esp3rt.slurm work ")
    assert stage == f"-u {toy.folder}/run.py --stages one"


def test_signals_of_a_driver_end_it_alone(cluster: Cluster, tmp_path: Path) -> None:
    """SIGTERM and SIGHUP, as from a login that ends, leave its job to run on."""
    toy = Toy(tmp_path / "toy", {"one": "mark(); wait_for('go')"}, jobs={"one": {}})
    for number in (signal.SIGTERM, signal.SIGHUP):
        with toy.start() as driver:
            toy.await_marks("one")
            driver.process.send_signal(number)
            driver.wait()
    toy.let("go")
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    assert len(toy.marks()) == 1
    assert len(toy.jobs(cluster, "one")) == 1
