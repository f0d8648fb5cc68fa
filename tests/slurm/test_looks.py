"""What a watch says of jobs is what happens to them, on a real cluster and while it breaks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from esp3rt.slurm import client
from esp3rt.slurm.client import Refused, Unreachable
from esp3rt.slurm.looks import Look, Watch
from slurm.cluster import Cluster
from slurm.settings import Shape

pytestmark = pytest.mark.slurm

ENDLESS = "sleep 600"


def _sent(body: str, *options: str, name: str = "run") -> str:
    """Submit a shell script; the job's number."""
    words = ["sbatch", "--parsable", "--output=/dev/null", "--mem=100", f"--job-name={name}", *options]
    return client.command(*words, input=f"#!/bin/sh\n{body}\n").strip()


def _watched(watch: Watch, what: Callable[[dict[str, Look]], Any]) -> list[dict[str, Look]]:
    """Look as often as is due, until `what` is so; all that was seen meanwhile."""
    seen = []
    end = time.monotonic() + 60
    while not seen or not what(seen[-1]):
        assert time.monotonic() < end, f"not within a minute: {seen[-1:]}"
        if watch.due():
            seen.append(watch.look())
        time.sleep(0.02)
    return seen


def _over(found: dict[str, Look]) -> bool:
    return all(look.alive is False for look in found.values())


def _is(job: str, state: str) -> Callable[[dict[str, Look]], bool]:
    return lambda found: found[job].state == state


def _alive(seen: Iterable[dict[str, Look]], job: str) -> set[bool | None]:
    return {found[job].alive for found in seen}


def _ends(found: dict[str, Look]) -> dict[str, tuple[str, str, str]]:
    return {job: (look.state, look.exit_code, look.reason) for job, look in found.items()}


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster of one node, without accounting."""
    with Cluster(Shape(nodes=("n1",), accounting=False)) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
        yield cluster


@pytest.mark.usefixtures("cluster")
def test_how_jobs_end() -> None:
    """In order, badly, by a signal, cancelled; each task of an array for itself."""
    good = _sent("true")
    bad = _sent("exit 3")
    killed = _sent("kill -9 $$")
    array = _sent("exit $SLURM_ARRAY_TASK_ID", "--array=0-2")
    waiting = _sent("true", "--hold")
    running = _sent(ENDLESS)
    tasks = [f"{array}_{number}" for number in range(3)]
    watch = Watch([good, bad, killed, *tasks, waiting, running], name="run", since=client.submit_time(good))

    seen = _watched(watch, _is(running, "RUNNING"))
    assert (seen[-1][waiting].state, seen[-1][waiting].reason) == ("PENDING", "JobHeldUser")
    assert seen[-1][running].node in ("n1", "n2", "n3")
    client.cancel([waiting, running])
    watch.hurry()
    ends = _ends(_watched(watch, _over)[-1])

    assert ends.pop(waiting)[0] == "CANCELLED"
    assert ends.pop(running)[0] == "CANCELLED"
    assert ends == {
        good: ("COMPLETED", "0:0", ""),
        bad: ("FAILED", "3:0", "NonZeroExitCode"),
        # Without cgroups SLURM does not find out more.
        killed: ("FAILED", "0:9", "JobLaunchFailure"),
        tasks[0]: ("COMPLETED", "0:0", ""),
        tasks[1]: ("FAILED", "1:0", "NonZeroExitCode"),
        tasks[2]: ("FAILED", "2:0", "NonZeroExitCode"),
    }


@pytest.mark.usefixtures("cluster")
def test_a_task_that_is_cancelled_while_it_waits_is_gone() -> None:
    """SLURM forgets it at once, in the queue and in accounting; the rest of the array waits on."""
    array = _sent("true", "--array=0-3%2", "--hold")
    watch = Watch([f"{array}_{number}" for number in range(4)], name="run")
    assert {look.state for look in watch.look().values()} == {"PENDING"}
    client.cancel([f"{array}_1"])

    alive = [look.alive for look in watch.look().values()]
    assert alive == [True, False, True, True]


@pytest.mark.usefixtures("cluster")
def test_a_suspended_job_lives() -> None:
    """And runs on."""
    job = _sent(ENDLESS)
    watch = Watch([job])
    _watched(watch, _is(job, "RUNNING"))
    client.command("scontrol", "suspend", job)
    watch.hurry()
    seen = _watched(watch, _is(job, "SUSPENDED"))
    client.command("scontrol", "resume", job)
    watch.hurry()
    seen += _watched(watch, _is(job, "RUNNING"))

    assert _alive(seen, job) == {True}


def test_the_job_of_a_crashed_node_never_seems_over(cluster: Cluster) -> None:
    """Not for a moment: until it runs again elsewhere, once more."""
    job = _sent(ENDLESS, "--requeue")
    watch = Watch([job], name="run", since=client.submit_time(job))
    first = _watched(watch, _is(job, "RUNNING"))[-1][job]
    cluster.crash(first.node, noticed=True)
    watch.hurry()
    seen = _watched(watch, lambda found: found[job].restarts and found[job].state == "RUNNING")

    assert _alive(seen, job) == {True}
    assert (seen[-1][job].restarts, seen[-1][job].node != first.node) == (1, True)


def test_a_job_that_makes_room_lives_only_where_it_is_requeued(cluster: Cluster) -> None:
    """`preempt` puts it back into the queue, `preempt_cancel` ends it."""
    cluster.set_grace(0)
    jobs = {
        partition: _sent(ENDLESS, f"--partition={partition}", "--exclusive", f"--nodelist={node}")
        for partition, node in (("preempt", "n1"), ("preempt_cancel", "n2"))
    }
    watch = Watch(jobs.values())
    _watched(watch, lambda found: {look.state for look in found.values()} == {"RUNNING"})
    for node in ("n1", "n2"):
        _sent(ENDLESS, "--exclusive", f"--nodelist={node}", name="urgent")
    back, over = jobs.values()
    watch.hurry()
    seen = _watched(watch, lambda found: found[over].alive is False and found[back].restarts)

    assert _alive(seen, back) == {True}
    assert (seen[-1][back].state, seen[-1][over].state) == ("PENDING", "PREEMPTED")


@pytest.mark.usefixtures("cluster")
def test_a_requeued_job_lives_on() -> None:
    """It ends, waits and runs again under the same number, and is not taken for another."""
    job = _sent(ENDLESS)
    watch = Watch([job], name="run", since=client.submit_time(job))
    _watched(watch, _is(job, "RUNNING"))
    client.requeue(job)
    watch.hurry()
    seen = _watched(watch, lambda found: found[job].restarts and found[job].state == "PENDING")

    assert _alive(seen, job) == {True}
    with pytest.raises(Refused, match="Invalid job id"):
        client.requeue("999999")


def test_without_a_controller_nobody_can_say(cluster: Cluster) -> None:
    """What was over stays so. Back again, it tells what happened meanwhile; accounting alone is not believed."""
    over, job = _sent("exit 4"), _sent(ENDLESS)
    watch = Watch([over, job])
    _watched(watch, lambda found: found[over].alive is False and found[job].state == "RUNNING")
    cluster.stop_controller()
    found = watch.look(deadline=0.5)
    assert {name: look.alive for name, look in found.items()} == {over: False, job: None}
    assert (found[job].state, bool(watch.unreachable), watch.interval) == ("UNKNOWN", True, 5.0)
    with pytest.raises(Unreachable, match="Unable to contact slurm controller"):
        client.max_array_size()

    cluster.start_controller()
    cluster.wait_until_ready()
    watch.hurry()
    seen = _watched(watch, _is(job, "RUNNING"))
    client.cancel([job])
    watch.hurry()
    seen += _watched(watch, _over)
    assert False not in _alive(seen[:-1], job)
    assert [look.state for look in seen[-1].values()] == ["FAILED", "CANCELLED"]


def test_accounting_is_not_needed_while_the_queue_knows(cluster: Cluster) -> None:
    """It may be down the whole time; of a number that nobody has there is then nothing to be had, but an end."""
    cluster.kill_dbd()
    job = _sent("exit 3")
    watch = Watch([job])
    found = _watched(watch, _over)[-1]
    assert (found[job].state, found[job].exit_code, watch.no_accounting) == ("FAILED", "3:0", "")

    watch.add(["999999"])
    found = watch.look()
    assert (found["999999"].state, found["999999"].alive) == ("UNKNOWN", False)
    assert "Connection refused" in watch.no_accounting
    cluster.start_dbd()


@pytest.mark.usefixtures("cluster")
def test_jobs_are_found_and_cancelled_by_name() -> None:
    """Also those that are over; another job of a number in the list is left alone."""
    name = f"run|{os.getpid()} with words"
    array = _sent("true", "--hold", "--array=0-2", name=name)
    over = _sent("true", name=name)
    other = _sent("true", "--hold", name=f"{name}s")
    _watched(Watch([over]), _over)
    assert client.find_by_name(name) == sorted([array, over], key=int)

    client.cancel([f"{array}_0", f"{array}_2", other, over, "999999"], name=name)
    watch = Watch([f"{array}_{number}" for number in range(3)] + [other])
    assert [look.alive for look in watch.look().values()] == [False, True, False, True]
    assert client.max_array_size() == 1001


def _set_up_anew(cluster: Cluster) -> None:
    """The controller loses all it knew of jobs, and counts from the first number again."""
    cluster.stop_controller()
    for file in cluster.folder.glob("state/job_state*"):
        file.unlink()
    cluster.start_controller()
    cluster.wait_until_ready()


def test_a_number_that_is_given_again(other: Cluster) -> None:
    """The new job is not taken for the old one, whose end nobody saw. Here there is no accounting either."""
    first = _sent(ENDLESS, name="first")
    since = client.submit_time(first)
    watch = Watch([first], name="first", since=since)
    seen = _watched(watch, _is(first, "RUNNING"))
    _set_up_anew(other)
    second = _sent(ENDLESS, "--hold", name="second")
    assert second == first
    watch.hurry()
    seen += _watched(watch, _over)

    assert _alive(seen[:-1], first) <= {True, None}
    look = seen[-1][first]
    assert (look.state, look.alive, look.name, look.reason) == (
        "UNKNOWN",
        False,
        "first",
        "its number is another job's",
    )
    assert "disabled" in watch.no_accounting
    assert _state_of(Watch([second], name="second", since=since), second) == ("PENDING", True)


def test_accounting_remembers_what_the_queue_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    """How a job ended, and the one before it that had its number."""
    with Cluster() as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
        old = _sent("exit 3", name="old")
        since = client.submit_time(old)
        _until(lambda: [run.state for run in cluster.sacct(old)][:1] == ["FAILED"])
        _set_up_anew(cluster)
        new = _sent(ENDLESS, name="new")
        assert new == old

        look = Watch([old], name="old", since=since).look()[old]
        assert (look.state, look.alive, look.exit_code, look.submitted) == ("FAILED", False, "3:0", since)
        assert _state_of(Watch([new], name="new"), new)[1] is True


def _state_of(watch: Watch, job: str) -> tuple[str, bool | None]:
    look = watch.look()[job]
    return look.state, look.alive


def _until(what: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "not within a minute"
        time.sleep(0.05)
