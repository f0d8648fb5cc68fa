"""Whatever happens to the jobs of an array, or to who leads them, the items come out as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slurm.cluster import Cluster
from slurm.settings import Shape
from slurm.works import Works

pytestmark = pytest.mark.slurm


@pytest.fixture
def own_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Cluster]]:
    """Makes clusters without accounting, beside that of all tests; commands talk to the last one."""
    made: list[Cluster] = []

    def make(**shape: Any) -> Cluster:
        made.append(Cluster(Shape(**{"nodes": ("n1", "n2"), "accounting": False, **shape})))
        made[-1].start_all()
        monkeypatch.setenv("SLURM_CONF", made[-1].env["SLURM_CONF"])
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def works(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Works]]:
    """Makes the program in a folder of the test."""
    made: list[Works] = []

    def make(folder: Path = tmp_path / "recipe", **more: Any) -> Works:
        made.append(Works(folder, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_nothing_happens(works: Callable[..., Works]) -> None:
    """Every item is worked on once, by one call of sbatch."""
    work = works(items=60, workers=3, shards=20)
    work.finish(work.start())

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


def test_many_shards(works: Callable[..., Works]) -> None:
    """Many shards are no more jobs than few."""
    work = works(items=400, workers=3, shards=200)
    work.finish(work.start())

    assert set(work.seen().values()) == {1}
    assert (work.calls(), len(work.events("ended"))) == (1, 200)


# -- processes and jobs that are lost ----------------------------------------------------------------------------------


def test_a_worker_process_is_killed(works: Callable[..., Works]) -> None:
    """Its shard is done again on another node; another process takes its place, and nothing else is done twice."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    os.kill(held.pid, signal.SIGKILL)
    work.release(5)
    work.finish(process)
    work.noticed("a killed worker process", since)

    assert _twice(work) <= {3, 4, 5}
    assert work.nodes_of(1)[0] == held.node not in work.nodes_of(1)[1:]


def test_a_worker_process_is_killed_where_there_is_no_other_node(
    works: Callable[..., Works], own_cluster: Callable[..., Cluster]
) -> None:
    """Its shard is done again there, by the same job."""
    own_cluster(nodes=("n1",))
    work = works()
    work.hold(5, 20)
    process = work.start()
    held = work.held(5)
    work.held(20)
    os.kill(held.pid, signal.SIGKILL)
    work.release(5, 20)
    work.finish(process)

    assert work.nodes_of(1) == ["n1", "n1"]


def test_a_supervisor_is_killed(works: Callable[..., Works]) -> None:
    """The job is lost with it; another does its shard, and is sent where shards wait for it."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    os.kill(held.supervisor, signal.SIGKILL)
    work.release(5)
    work.finish(process)
    work.noticed("a killed job", since)

    assert _twice(work) <= {3, 4, 5}


def test_an_item_ends_its_process(works: Callable[..., Works]) -> None:
    """Whatever it is that calls `os._exit`: it is tried again."""
    work = works()
    work.fault(5, "exit")
    work.finish(work.start())

    assert _twice(work) <= {3, 4, 5}
    assert [event["why"] for event in work.events("died")] == ["ended with exit code 3"]


def test_an_item_calls_exit(works: Callable[..., Works], cluster: Cluster) -> None:
    """That is an error like others, also in this process: it ends the program, which does the rest when started again."""
    work = works()
    work.fault(5, "sys.exit")
    work.end(work.start(), 1)
    assert "SystemExit: 3" in work.log()
    work.until(lambda: not cluster.squeue())
    work.finish(work.start())


def test_an_item_takes_too_much_memory(works: Callable[..., Works]) -> None:
    """SLURM ends its job; it is tried again on another node."""
    work = works()
    work.fault(5, "memory", "700")
    process = work.start()
    work.until(lambda: work.seen()[5])
    since = time.time()
    work.finish(process)
    work.noticed("a job over its memory", since)

    assert _twice(work) <= {3, 4, 5}


def test_a_running_job_is_cancelled(works: Callable[..., Works], cluster: Cluster) -> None:
    """By whomever: another takes its place."""
    work = works()
    work.hold(5, 20)
    process = work.start()
    held = work.held(5)
    work.held(20)
    since = time.time()
    cluster.run("scancel", held.job)
    work.noticed("a cancelled job", since)
    work.until(lambda: work.calls() == 2)
    work.release(5, 20)
    work.finish(process)

    assert _twice(work) <= {3, 4, 5}


def test_a_waiting_job_is_cancelled(works: Callable[..., Works], cluster: Cluster) -> None:
    """SLURM forgets it at once. Nothing was lost, and the others do its part."""
    work = works(workers=3, array_parallelism=1)
    work.hold(5)
    process = work.start()
    array = work.held(5).job.partition("_")[0]
    since = time.time()
    cluster.run("scancel", f"{array}_2")
    work.noticed("a cancelled job that waits", since, kind="seen", job=f"{array}_2", alive=False)
    work.release(5)
    work.finish(process)

    assert set(work.seen().values()) == {1}


def _preempted(work: Works, cluster: Cluster) -> None:
    cluster.set_grace(0)
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    cluster.run("sbatch", "--output=/dev/null", "--exclusive", f"--nodelist={held.node}", "--wrap=sleep 600")
    work.noticed("a preempted job", since)
    work.release(5)
    work.finish(process)


def test_a_job_makes_room_and_waits_again(works: Callable[..., Works], cluster: Cluster) -> None:
    """No job is sent for one that SLURM starts again by itself."""
    work = works(partition="preempt")
    _preempted(work, cluster)

    assert work.calls() == 1


def test_a_job_makes_room_and_is_over(works: Callable[..., Works], cluster: Cluster) -> None:
    """Another one is sent."""
    work = works(partition="preempt_cancel")
    _preempted(work, cluster)

    assert work.calls() == 2


def test_a_job_is_suspended(works: Callable[..., Works], cluster: Cluster) -> None:
    """It is not lost: its shard waits for it, and nothing is done twice."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    cluster.run("scontrol", "suspend", held.job)
    work.noticed("a suspended job", since, kind="seen", state="SUSPENDED")
    work.release(5)
    work.until(lambda: len(work.events("ended")) == 7)
    cluster.run("scontrol", "resume", held.job)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert (work.calls(), work.events("again")) == (1, [])


# -- what breaks around jobs -------------------------------------------------------------------------------------------


def test_a_node_crashes(works: Callable[..., Works], cluster: Cluster) -> None:
    """SLURM starts its jobs again elsewhere; no others are sent for them."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    cluster.crash(held.node, noticed=True)
    work.noticed("the job of a crashed node", since)
    work.release(5)
    work.finish(process)

    assert work.calls() == 1


def test_two_copies_of_a_job(works: Callable[..., Works], cluster: Cluster) -> None:
    """A node is lost to SLURM, and its job lives on while it is started again elsewhere: no line is there twice."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    cluster.lose(held.node)
    cluster.run("scontrol", "update", f"nodename={held.node}", "state=down", "reason=lost")
    work.noticed("a job that runs twice", since)
    work.event("worker", since, job=held.job, restarts=1)
    work.release(5)
    work.finish(process)

    assert work.calls() == 1


def test_the_controller_is_gone(works: Callable[..., Works], cluster: Cluster) -> None:
    """Jobs do their work without it, and the program ends when they have; it says that SLURM does not answer."""
    work = works()
    work.hold(5)
    process = work.start()
    work.held(5)
    since = time.time()
    cluster.kill_controller()
    work.noticed("a dead controller", since, kind="silent")
    work.release(5)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert "SLURM does not answer" in work.log()


def test_a_job_is_lost_while_the_controller_is_gone(works: Callable[..., Works], cluster: Cluster) -> None:
    """It is noticed when the controller is back, though that may not know the job any more, and number others as it."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    cluster.kill_controller()
    os.kill(held.supervisor, signal.SIGKILL)
    work.release(5)
    since = time.time()
    work.event("silent", since)
    cluster.start_controller()
    work.finish(process)
    work.noticed("a job that was lost while nobody answered", since)


def test_accounting_is_gone(works: Callable[..., Works], cluster: Cluster) -> None:
    """It is not needed."""
    work = works()
    cluster.kill_dbd()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    os.kill(held.supervisor, signal.SIGKILL)
    work.release(5)
    work.finish(process)
    work.noticed("a killed job, without slurmdbd", since)


def test_there_is_no_accounting(works: Callable[..., Works], own_cluster: Callable[..., Cluster]) -> None:
    """Jobs that are lost are noticed there as well."""
    own_cluster()
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    os.kill(held.supervisor, signal.SIGKILL)
    work.release(5)
    work.finish(process)
    work.noticed("a killed job, without accounting", since)


# -- who leads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before-sbatch", "after-sbatch"])
def test_the_leader_is_killed_around_sbatch(works: Callable[..., Works], when: str) -> None:
    """Whoever comes next finds out whether it went through; there is one array."""
    work = works()
    work.fault(when)
    work.end(work.start(), -signal.SIGKILL)
    work.finish(work.start())

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


def test_the_leader_is_killed_while_jobs_wait(works: Callable[..., Works], cluster: Cluster) -> None:
    """The next waits for the same jobs."""
    work = works(additional_parameters={"hold": True})
    process = work.start()
    array = work.event("sent")["job"]
    process.kill()
    work.end(process, -signal.SIGKILL)
    process = work.start()
    work.until(lambda: "this goes on with it" in work.log())
    cluster.run("scontrol", "release", array)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


def test_the_leader_is_killed_while_jobs_run(works: Callable[..., Works]) -> None:
    """Jobs do not notice. What they do while nobody leads is found by the next."""
    work = works()
    work.hold(5, 20)
    process = work.start()
    work.held(5)
    work.held(20)
    process.kill()
    work.end(process, -signal.SIGKILL)
    before = len(work.events("ended"))
    work.release(5)
    work.until(lambda: len(work.events("ended")) > before)
    process = work.start()
    work.until(lambda: "this goes on with it" in work.log())
    work.release(20)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


@pytest.mark.parametrize("what", ["supervisor", "pid"])
def test_something_is_lost_while_nobody_leads(works: Callable[..., Works], what: str) -> None:
    """A job, or only its worker process: the next notices."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    process.kill()
    work.end(process, -signal.SIGKILL)
    os.kill(getattr(held, what), signal.SIGKILL)
    work.release(5)
    since = time.time()
    work.finish(work.start())
    work.noticed("what was lost while nobody led, with the start of Python", since)

    assert _twice(work) <= {3, 4, 5}


def test_the_leader_is_killed_before_the_last_step(works: Callable[..., Works]) -> None:
    """Nothing is left to do for jobs: none is sent."""
    work = works()
    work.fault("merge", "kill")
    work.end(work.start(), -signal.SIGKILL)
    work.finish(work.start())

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


def test_an_interrupt(works: Callable[..., Works], cluster: Cluster) -> None:
    """Jobs run on, and whoever starts the program again has them."""
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    process.send_signal(signal.SIGINT)
    work.end(process, 130)
    assert held.job in [job.job_id for job in cluster.squeue()]
    process = work.start()
    work.until(lambda: "this goes on with it" in work.log())
    work.release(5)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


def test_two_that_would_lead(works: Callable[..., Works]) -> None:
    """The second is told who leads, and disturbs nothing."""
    work = works()
    work.hold(5)
    process = work.start()
    work.held(5)
    work.end(work.start(), 1)
    assert f"process {process.pid} on " in work.log()
    work.release(5)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1


# -- what cannot go well -----------------------------------------------------------------------------------------------


def test_an_item_kills_its_process_each_time(works: Callable[..., Works], cluster: Cluster) -> None:
    """After so many attempts the program ends, and says what, where, and what the log says; no job is left."""
    work = works(attempts=2)
    work.fault(5, "kill", "always")
    since = time.time()
    work.end(work.start(), 1)
    work.noticed("an item that cannot be done", since, kind="gave_up")
    said = work.log().rpartition("WorkersDied: ")[2]

    assert said.startswith("shard 1 was tried 2 times, the last time it was killed by SIGKILL")
    node = work.events("worker")[0]["node"]
    assert node in said and "the worker process was lost" in said
    assert work.seen()[5] == 2
    work.until(lambda: not cluster.squeue())


def test_an_item_raises_an_error(works: Callable[..., Works], cluster: Cluster) -> None:
    """The program raises it, with where it came from; no job is left. Started again, it goes on."""
    work = works()
    work.fault(5, "raise")
    work.hold(20)
    since = time.time()
    work.end(work.start(), 1)
    work.noticed("an error", since, kind="over", how="failed")
    for line in ("ValueError: item 5 cannot be read", "Lines was working on item 5", "In the worker:"):
        assert line in work.log()
    work.until(lambda: not cluster.squeue())
    work.release(20)
    work.finish(work.start())


def test_jobs_that_cannot_begin(works: Callable[..., Works], cluster: Cluster) -> None:
    """Few are sent until the program ends, with the end of a log."""
    work = works(setup=["echo no such module; exit 1"])
    since = time.time()
    work.end(work.start(), 1)
    work.noticed("jobs that cannot begin", since, kind="over", how="failed")

    assert "jobs ended before they began to work" in work.log()
    assert "no such module" in work.log()
    assert work.calls() <= 3
    work.until(lambda: not cluster.squeue())


# -- limits ------------------------------------------------------------------------------------------------------------


def test_the_time_of_a_job_is_nearly_over(works: Callable[..., Works], cluster: Cluster) -> None:
    """It ends its shard and leaves; the rest is for another, which is sent."""
    work = works()
    work.hold(5, 20)
    process = work.start()
    held = work.held(5)
    work.held(20)
    since = time.time()
    cluster.run("scancel", "--signal=USR2", held.job)
    work.event("stopping", since)
    work.release(5)
    work.noticed("a job that leaves", since, kind="sent")
    work.release(20)
    work.finish(process)

    assert set(work.seen().values()) == {1}
    assert work.calls() == 2


def test_a_node_that_starts_no_job(
    works: Callable[..., Works], own_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    """SLURM would hold its jobs until somebody lets them go: they are cancelled, and others are sent, elsewhere."""
    own = own_cluster()
    prolog = tmp_path / "prolog"
    prolog.write_text('#!/bin/sh\n[ "$SLURMD_NODENAME" != n1 ]\n')
    prolog.chmod(0o755)
    with (own.folder / "slurm.conf").open("a") as conf:
        conf.write(f"Prolog={prolog}\n")
    own.run("scontrol", "reconfigure")
    work = works()
    work.finish(work.start())

    assert "could not be started, and SLURM holds it" in work.log()
    assert set(work.seen().values()) == {1}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four mebibytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    # Processes of jobs may end a moment later.
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_the_disk_is_full(works: Callable[..., Works], cluster: Cluster, small_disk: Path) -> None:
    """The program ends and says so. When there is space again, it goes on."""
    work = works(small_disk / "recipe")
    # They lie together, and what is printed is to be read.
    work.printed = small_disk.with_name("log")
    work.hold(5)
    process = work.start()
    work.held(5)
    since = time.time()
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    work.release(5)
    work.end(process, 1)
    print(f"a full disk: the program ended after {time.time() - since:.2f} s")
    assert "No space left on device" in work.log()
    work.until(lambda: not cluster.squeue())
    ballast.unlink()
    work.finish(work.start())


def test_arrays_have_a_largest_size(works: Callable[..., Works], own_cluster: Callable[..., Cluster]) -> None:
    """More jobs than one may have are two arrays."""
    own_cluster(max_array_size=4)
    work = works(workers=5, items=40, shards=20)
    work.finish(work.start())

    assert set(work.seen().values()) == {1}
    assert work.calls() == 2


def test_job_ids_begin_again(works: Callable[..., Works], own_cluster: Callable[..., Cluster]) -> None:
    """A SLURM that was set up anew gives the same numbers to other jobs: nothing of the old ones is taken for theirs."""
    first = own_cluster()
    work = works()
    work.hold(5)
    process = work.start()
    held = work.held(5)
    process.kill()
    work.end(process, -signal.SIGKILL)
    first.stop()
    own_cluster()
    work.release(5)
    work.finish(work.start())

    sent = [event["job"] for event in work.events("sent")]
    assert len(sent) > 1 and set(sent) == {held.job.partition("_")[0]}


def _twice(work: Works) -> set[int]:
    """The items that were worked on more than once; all were."""
    seen = work.seen()
    assert set(seen) == set(range(work.items))
    return {item for item, times in seen.items() if times > 1}
