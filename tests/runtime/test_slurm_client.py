"""Calls of SLURM's commands: what they print, and which of their failures may go by themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esp3rt.slurm import client
from esp3rt.slurm.client import NotInstalled, Refused, Unreachable

Fake = Callable[[str, str], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a shell script in the place of a command; there are no others. Its calls go to the file `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, body: str) -> None:
        script = folder / name
        calls = tmp_path / "calls"
        script.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\necho {name} $# \"$@\" >> '{calls}'\n{body}\n")
        script.chmod(0o755)

    return make


def _calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


# -- one call ----------------------------------------------------------------------------------------------------------


def test_what_it_prints_comes_back(fake: Fake) -> None:
    """With what it was given to read, and without what it complains about."""
    fake("sbatch", "echo warning >&2; cat")

    assert client.command("sbatch", input="#!/bin/sh\n# 日本語\n") == "#!/bin/sh\n# 日本語\n"


def test_it_reads_nothing_that_was_not_given(fake: Fake) -> None:
    """It does not wait for a person at a terminal."""
    fake("sbatch", "cat; echo over")

    assert client.command("sbatch") == "over\n"


@pytest.mark.parametrize(
    "complaint",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "scancel: error: Kill job error on job id 1: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "slurm_load_jobs error: Slurm backup controller in standby mode",
        "Unexpected message received for job 1",
        "sacct: error: Problem talking to the database: Connection refused",
        "squeue: error: Munge encode failed: Failed to access munge.socket.2 (Did you start munged?)",
        "slurm_load_jobs error: Protocol authentication error",
        "squeue: fatal: Could not establish a configuration source",
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
    ],
)
def test_nobody_answers(fake: Fake, complaint: str) -> None:
    """SLURM's words for daemons that are down or overloaded."""
    fake("squeue", f"echo '{complaint}' >&2; exit 1")

    with pytest.raises(Unreachable):
        client.command("squeue")


@pytest.mark.parametrize(
    ("complaint", "message"),
    [
        (
            "sbatch: error: invalid partition specified: nope\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            "sbatch: invalid partition specified: nope; Batch job submission failed: Invalid partition name specified",
        ),
        ("slurm_load_jobs error: Invalid job id specified\n\n", "sbatch: Invalid job id specified"),
        ("sbatch: error: no\nsbatch: error: no\n", "sbatch: no"),
        ("Slurm accounting storage is disabled", "sbatch: Slurm accounting storage is disabled"),
        ("", "sbatch: ended with exit code 7"),
    ],
)
def test_a_refusal_is_in_the_words_of_slurm(fake: Fake, complaint: str, message: str) -> None:
    """Without what the words are wrapped in, each once."""
    fake("sbatch", f"printf '{complaint}' >&2; exit 7")

    with pytest.raises(Refused) as refused:
        client.command("sbatch", "x")
    assert str(refused.value) == message


def test_a_refusal_may_stand_where_the_answer_would(fake: Fake) -> None:
    """scontrol says there that it does not know a task of an array."""
    fake("scontrol", "echo Job 2_7 not found; exit 1")

    with pytest.raises(Refused, match=r"^scontrol: Job 2_7 not found$"):
        client.command("scontrol", "show", "job", "2_7")


def test_what_hangs_is_killed(fake: Fake, tmp_path: Path) -> None:
    """With the processes that it has started, which hold its output open."""
    fake("squeue", f"sleep 600 & echo $! > '{tmp_path}/pid'; echo $$ >> '{tmp_path}/pid'; wait")

    with pytest.raises(Unreachable, match=r"^squeue: no answer within 0.3 s$"):
        client.command("squeue", deadline=0.3)
    end = time.monotonic() + 20
    pids = [int(line) for line in (tmp_path / "pid").read_text().split()]
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_without_time_nothing_is_started(fake: Fake, tmp_path: Path) -> None:
    """A call that cannot be waited for is not made."""
    fake("scancel", "true")

    with pytest.raises(Unreachable, match="no time was left"):
        client.command("scancel", "1", deadline=0.0)
    assert not (tmp_path / "calls").exists()


@pytest.mark.usefixtures("fake")
def test_a_machine_without_slurm() -> None:
    """The error says what is missing, and where to go."""
    with pytest.raises(NotInstalled, match=r"sbatch is not installed on this machine.*login node.*module load slurm"):
        client.command("sbatch")


def test_settings_of_tables_do_not_hide_jobs(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user likes to see is taken from commands that look; times are in UTC."""
    monkeypatch.setenv("SQUEUE_PARTITION", "debug")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    fake("squeue", 'echo "$SQUEUE_PARTITION|$SLURM_CONF|$TZ"')

    assert client.command("squeue") == "|/etc/slurm.conf|UTC0\n"


def test_a_job_gets_the_environment_as_it_is(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """sbatch hands its own on."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    fake("sbatch", 'echo "$TZ"')

    assert client.command("sbatch") == "Asia/Tokyo\n"


# -- again and again ---------------------------------------------------------------------------------------------------


class _Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(client, "time", clock)
    return clock


def _failing(times: int, error: Exception) -> Callable[[], str]:
    errors: list[Any] = [error] * times

    def call() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    return call


def test_it_waits_longer_each_time(clock: _Clock) -> None:
    """Up to half a minute; it says that it waits, and that it goes on."""
    said: list[str] = []
    answer = client.retried(_failing(8, Unreachable("squeue: nobody")), seconds=300, say=said.append)

    assert answer == "answer"
    assert clock.slept == [1, 2, 4, 8, 16, 30, 30, 30]
    assert said == ["squeue: nobody; trying again for 300 s", "SLURM answers again"]


def test_it_gives_up_when_the_time_is_over(clock: _Clock) -> None:
    """Once more at the very end; the last error is the one that counts."""
    with pytest.raises(Unreachable, match="nobody"):
        client.retried(_failing(99, Unreachable("nobody")), seconds=10, say=lambda _: None)

    assert clock.slept == [1, 2, 4, 3]
    said: list[str] = []
    with pytest.raises(Unreachable, match="nobody"):
        client.retried(_failing(1, Unreachable("nobody")), seconds=0, say=said.append)
    assert said == []


def test_a_refusal_is_not_tried_again(clock: _Clock) -> None:
    """It would be refused again."""
    with pytest.raises(Refused):
        client.retried(_failing(1, Refused("no")), seconds=10, say=lambda _: None)

    assert clock.slept == []


@pytest.mark.usefixtures("clock")
def test_without_trouble_it_says_nothing() -> None:
    """The first answer is given at once."""
    said: list[str] = []

    assert (client.retried(_failing(0, Refused("")), seconds=10, say=said.append), said) == ("answer", [])


# -- what is asked and told --------------------------------------------------------------------------------------------


def test_cancelling_names_each_job_once(fake: Fake, tmp_path: Path) -> None:
    """In one call, and in none where there is nothing to cancel."""
    fake("scancel", "true")
    client.cancel(["7_0", "7_1", "7_0"])
    client.cancel([])

    assert _calls(tmp_path) == ["scancel 2 7_0 7_1"]


def test_another_job_of_the_number_is_not_cancelled(fake: Fake, tmp_path: Path) -> None:
    """Its name is asked for first."""
    fake("squeue", r"printf '7|run|\n7|run|\n8|other|\n'")
    fake("scancel", "true")
    client.cancel(["7_0", "8", "7_1", "9"], name="run")
    client.cancel(["8"], name="run")

    assert [call for call in _calls(tmp_path) if "scancel" in call] == ["scancel 2 7_0 7_1"]


def test_jobs_that_are_over_are_cancelled_already(fake: Fake) -> None:
    """SLURM's complaints about them are none."""
    fake(
        "scancel",
        "echo 'scancel: error: Kill job error on job id 22: Invalid job id specified' >&2\n"
        "echo 'scancel: error: Kill job error on job id 3: Job/step already completing or completed' >&2; exit 1",
    )
    client.cancel(["22", "3"])

    with pytest.raises(Unreachable):
        fake("scancel", "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1")
        client.cancel(["22"])


def test_one_that_cannot_be_cancelled_does_not_save_the_others(fake: Fake, tmp_path: Path) -> None:
    """All are told, a few thousand at a time; then it is an error."""
    fake("scancel", "echo 'scancel: error: Kill job error on job id 1: Access/permission denied' >&2; exit 1")

    with pytest.raises(Refused, match="job id 1: Access/permission denied"):
        client.cancel(str(number) for number in range(9_000))
    assert [int(call.split()[1]) for call in _calls(tmp_path)] == [4000, 4000, 1000]


@pytest.mark.usefixtures("fake")
def test_cancelling_needs_scancel() -> None:
    """Where there is none, nothing was cancelled."""
    with pytest.raises(NotInstalled):
        client.cancel(["1"])


def test_requeueing(fake: Fake, tmp_path: Path) -> None:
    """scontrol does it, and its refusal is an error."""
    fake("scontrol", "echo 'Invalid job id specified for job 9' >&2; exit 1")

    with pytest.raises(Refused, match="scontrol: Invalid job id specified for job 9"):
        client.requeue("9_1")
    assert _calls(tmp_path) == ["scontrol 2 requeue 9_1"]


def test_jobs_are_found_by_their_whole_name(fake: Fake, tmp_path: Path) -> None:
    """Each array once; of this user only, which spares the controller the others."""
    fake("squeue", r"printf '12|run|\n7|run|\n12|run|\n8|run2|\n9|a|b|\nCLUSTER: x\n'")

    assert client.find_by_name("run") == ["7", "12"]
    assert client.find_by_name("a|b") == ["9"]
    assert client.find_by_name("ru") == []
    assert f" -u {os.getuid()} " in _calls(tmp_path)[0]


def test_when_a_job_was_submitted(fake: Fake) -> None:
    """Of an array that was requeued in part the first time counts; of an unknown job there is none."""
    fake("squeue", r"printf '2026-11-21T17:43:31|\n2026-11-21T17:42:30|\nN/A|\n'")
    assert client.submit_time("7") == "2026-11-21T17:42:30"

    fake("squeue", "true")
    assert client.submit_time("7") is None
    fake("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert client.submit_time("7") is None


@pytest.mark.parametrize(
    ("config", "tasks"),
    [
        ("MaxArraySize            = 1001\nSchedulerParameters     = bf_interval=1\n", 1001),
        ("MaxArraySize = 1001\nSchedulerParameters = bf_interval=1,max_array_tasks=100,defer\n", 100),
        ("MaxArraySize = 50\nSchedulerParameters = max_array_tasks=100\n", 50),
        ("MaxArraySize = 0\n", 0),
        ("ClusterName = x\n", None),
    ],
)
def test_how_large_an_array_may_be(fake: Fake, config: str, tasks: int | None) -> None:
    """Two settings bound it."""
    fake("scontrol", f"printf '{config}'")

    assert client.max_array_size() == tasks
