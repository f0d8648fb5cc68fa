"""What SLURM's answers mean for a job: the queue before accounting, silence is no end, a number alone is no job."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3rt.slurm import looks
from esp3rt.slurm.client import NotInstalled
from esp3rt.slurm.looks import UNKNOWN, Look, Watch

NOBODY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
UNKNOWN_JOB = "slurm_load_jobs error: Invalid job id specified"
NO_ACCOUNTING = "Slurm accounting storage is disabled"
FIRST, THEN = "2026-11-21T17:44:55", "2026-11-21T17:44:58"


def _row(
    job: str, state: str, *, requeues: int = 1, restarts: int = 0, status: int = 0, at: str = FIRST,
    node: str = "", reason: str = "None", name: str = "run",
) -> str:  # fmt: skip
    """A line of squeue."""
    cells = (job, state, requeues, restarts, status, at, node, reason, name)
    return "".join(f"{cell}\x1f" for cell in cells)


class Slurm:
    """Commands that answer what a test says, and remember how they were called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "bin").mkdir()
        self.queue()
        self.accounting()
        self.shows(error=UNKNOWN_JOB)

    def queue(self, *rows: str, error: str = "", then: str = "") -> None:
        self._answers("squeue", rows, error, then)

    def accounting(self, *rows: str, error: str = "", then: str = "") -> None:
        self._answers("sacct", rows, error, then)

    def shows(self, *rows: str, error: str = "") -> None:
        self._answers("scontrol", rows, error, "")

    def without(self, command: str) -> None:
        (self._folder / "bin" / command).unlink()

    def _answers(self, name: str, rows: tuple[str, ...], error: str, then: str) -> None:
        (self._folder / f"{name}.out").write_text("".join(f"{row}\n" for row in rows))
        (self._folder / f"{name}.err").write_text(error)
        script = self._folder / "bin" / name
        script.write_text(
            f"#!/bin/sh\nPATH=/usr/bin:/bin\ncd '{self._folder}'\necho \"{name} $*\" >> calls\n{then}\n"
            f"cat {name}.out; cat {name}.err >&2; [ ! -s {name}.err ]\n"
        )
        script.chmod(0o755)

    def calls(self) -> list[str]:
        """The calls since this was asked the last time."""
        file = self._folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("")
        return lines

    def called(self) -> list[str]:
        return [call.split()[0] for call in self.calls()]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Slurm(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(looks, "time", clock)
    return clock


def _state(look: Look) -> tuple[str, bool | None]:
    return look.state, look.alive


# -- the queue ---------------------------------------------------------------------------------------------------------


def test_one_call_tells_of_all_that_live(slurm: Slurm) -> None:
    """An array is asked for by its number, whatever of it is wanted."""
    slurm.queue(
        _row("9", "RUNNING", node="n1", restarts=2, at=THEN, name="run|1"),
        _row("7_0", "PENDING", reason="Resources", name="run|1"),
        _row("7_3", "PENDING", reason="Dependency", name="run|1"),
        "CLUSTER: tests",
    )
    watch = Watch(["9", "7_0", "7_3"], name="run|1", since=FIRST)

    assert watch.look() == {
        "9": Look("9", "RUNNING", True, "", "n1", 2, "", THEN, "run|1"),
        "7_0": Look("7_0", "PENDING", True, "Resources", "", 0, "", FIRST, "run|1"),
        "7_3": Look("7_3", "PENDING", True, "Dependency", "", 0, "", FIRST, "run|1"),
    }
    assert watch.looks["9"].node == "n1"
    (call,) = slurm.calls()
    assert call.startswith("squeue -a -r -h -t all -j 9,7 -O JobArrayID:")


@pytest.mark.parametrize(
    "state",
    [
        "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "REQUEUED",
        "REQUEUE_HOLD", "SPECIAL_EXIT", "SIGNALING", "STAGE_OUT", "A_WORD_OF_TOMORROW",
    ],
)  # fmt: skip
def test_what_may_run_again_lives(slurm: Slurm, state: str) -> None:
    """Also what SLURM has no word for yet."""
    slurm.queue(_row("9", state))

    assert _state(Watch(["9"]).look()["9"]) == (state, True)


@pytest.mark.parametrize(
    ("state", "status", "exit_code"),
    [
        ("COMPLETED", 0, "0:0"), ("FAILED", 768, "3:0"), ("OUT_OF_MEMORY", 9, "0:9"), ("CANCELLED", 15, "0:15"),
        ("TIMEOUT", 0, "0:0"), ("DEADLINE", 0, "0:0"),
    ],
)  # fmt: skip
def test_what_is_over_is_over(slurm: Slurm, state: str, status: int, exit_code: str) -> None:
    """With its reason and its exit code, and it is not asked for again."""
    slurm.queue(_row("9", state, status=status, reason="NonZeroExitCode", node="n1"))
    watch = Watch(["9"])
    look = watch.look()["9"]

    assert (look.state, look.alive, look.exit_code, look.reason) == (state, False, exit_code, "NonZeroExitCode")
    slurm.calls()
    assert (watch.look()["9"], slurm.calls(), watch.due()) == (look, [], False)


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "BOOT_FAIL"])
def test_what_slurm_may_start_again_is_waited_for(slurm: Slurm, clock: Clock, state: str) -> None:
    """Some seconds later the queue still has to say so; a job that must not be requeued is over at once."""
    slurm.queue(_row("8", state, requeues=0), _row("9", state))
    watch = Watch(["8", "9"])
    assert {job: _state(look) for job, look in watch.look().items()} == {"8": (state, False), "9": (state, True)}

    clock.now += 2
    slurm.queue(_row("9", "PENDING", restarts=1))
    assert _state(watch.look()["9"]) == ("PENDING", True)
    clock.now += 100
    slurm.queue(_row("9", state))
    assert _state(watch.look()["9"]) == (state, True)
    clock.now += 100
    assert _state(watch.look()["9"]) == (state, False)


def test_an_array_as_a_whole_is_not_known(slurm: Slurm) -> None:
    """It must not be taken for a job that is gone, nor keep others from being looked at."""
    slurm.queue(_row("7_0", "RUNNING"), _row("7_1", "RUNNING"), _row("8", "RUNNING"))
    looks = Watch(["7", "8"]).look()

    assert _state(looks["7"]) == (UNKNOWN, None)
    assert "it is an array" in looks["7"].reason
    assert _state(looks["8"]) == ("RUNNING", True)


def test_a_machine_without_slurm_is_an_error(slurm: Slurm) -> None:
    """It will not know more later."""
    slurm.without("squeue")

    with pytest.raises(NotInstalled):
        Watch(["7"]).look()


# -- accounting, and scontrol ------------------------------------------------------------------------------------------


def test_accounting_is_not_believed_while_the_queue_knows_the_job(slurm: Slurm) -> None:
    """It says NODE_FAIL of a job that is requeued; it is not even asked."""
    slurm.queue(_row("9", "PENDING", restarts=1, reason="BeginTime"))
    slurm.accounting(f"9|NODE_FAIL|0:0|None|n1|{FIRST}|run")

    assert _state(Watch(["9"]).look()["9"]) == ("PENDING", True)
    assert slurm.called() == ["squeue"]


def test_accounting_knows_how_old_jobs_ended(slurm: Slurm) -> None:
    """The last life of each counts, and what another job of the number did does not."""
    slurm.queue(error=UNKNOWN_JOB)
    slurm.accounting(
        "9|COMPLETED|0:0|None|n1|2026-01-01T00:00:00|run",
        f"9|NODE_FAIL|0:0|None|n1|{FIRST}|run",
        f"9|FAILED|3:0|JobArrayTaskLimit|n2|{THEN}|run",
        "9|COMPLETED|0:0|None|n2|2026-11-22T00:00:00|other",
        f"7_1|OUT_OF_MEMORY|0:125|None|n2|{THEN}|allocation",
        f"7_[0,2-4%2]|CANCELLED by 1000|0:0|JobHeldUser|None assigned|{THEN}|run",
    )
    watch = Watch(["9", "7_0", "7_1", "7_3"], name="run", since=FIRST)

    assert watch.look() == {
        "9": Look("9", "FAILED", False, "", "n2", 1, "3:0", THEN, "run"),
        "7_0": Look("7_0", "CANCELLED", False, "by 1000", "", 0, "0:0", THEN, "run"),
        "7_1": Look("7_1", "OUT_OF_MEMORY", False, "", "n2", 0, "0:125", THEN, "run"),
        "7_3": Look("7_3", "CANCELLED", False, "by 1000", "", 0, "0:0", THEN, "run"),
    }
    assert slurm.called() == ["squeue", "sacct"]


def test_steps_in_numbers_of_tasks(slurm: Slurm) -> None:
    """Accounting may write every third task of an array as `0-6:3`."""
    slurm.accounting(f"7_[0-6:3]|CANCELLED|0:0|None||{FIRST}|run")
    found = Watch(["7_0", "7_2", "7_3", "7_6"]).look()

    assert [look.state for look in found.values()] == ["CANCELLED", "UNKNOWN", "CANCELLED", "CANCELLED"]


def test_a_site_without_accounting_is_not_asked_again(slurm: Slurm, clock: Clock) -> None:
    """Not for ten minutes; what neither the queue nor scontrol knows is gone."""
    slurm.accounting(error=NO_ACCOUNTING)
    watch = Watch(["9"])
    assert _state(watch.look()["9"]) == ("UNKNOWN", False)
    assert slurm.called() == ["squeue", "sacct", "scontrol"]
    assert watch.no_accounting == f"sacct: {NO_ACCOUNTING}"

    watch.add(["10"])
    clock.now += 500
    watch.look()
    watch.add(["11"])
    clock.now += 200
    watch.look()
    assert slurm.called() == ["squeue", "scontrol", "squeue", "sacct", "scontrol"]


def test_a_machine_may_have_no_sacct(slurm: Slurm) -> None:
    """That is a site without accounting."""
    slurm.without("sacct")

    assert Watch(["9"]).look()["9"].alive is False


def test_broken_accounting_is_asked_again_soon(slurm: Slurm, clock: Clock) -> None:
    """A minute later."""
    slurm.accounting(error="sacct: error: Problem talking to the database: Connection refused")
    watch = Watch(["9"])
    watch.look()
    assert watch.no_accounting.endswith("Connection refused")

    clock.now += 70
    slurm.accounting(f"10|COMPLETED|0:0|None|n1|{FIRST}|run")
    watch.add(["10"])
    assert (_state(watch.look()["10"]), watch.no_accounting) == (("COMPLETED", False), "")


def test_scontrol_has_the_last_word(slurm: Slurm) -> None:
    """While it knows a job, the job is not gone."""
    slurm.shows(
        "JobId=9 JobName=JobState=FAILED UserId= x UserId=root(0) JobState=SUSPENDED Reason=None Requeue=1 Restarts=3 "
        f"ExitCode=0:0 SubmitTime={THEN} ReqNodeList=n7 NodeList=n1 Comment=now JobState=FAILED",
        "JobId=10 ArrayJobId=8 ArrayTaskId=4 JobName=run UserId=root(0) JobState=FAILED Reason=NonZeroExitCode "
        f"Requeue=1 Restarts=0 ExitCode=3:0 SubmitTime={FIRST} NodeList=(null)",
        "JobId=8 ArrayJobId=8 ArrayTaskId=0,2-3%1 ArrayTaskThrottle=1 JobName=run UserId=root(0) JobState=PENDING "
        f"Reason=Priority Requeue=1 Restarts=0 ExitCode=0:0 SubmitTime={FIRST} NodeList=(null)",
    )
    watch = Watch(["8_4", "8_3", "9"])

    assert watch.look() == {
        "8_4": Look("8_4", "FAILED", False, "NonZeroExitCode", "", 0, "3:0", FIRST, "run"),
        "8_3": Look("8_3", "PENDING", True, "Priority", "", 0, "", FIRST, "run"),
        "9": Look("9", "SUSPENDED", True, "", "n1", 3, "", THEN, "JobState=FAILED UserId= x"),
    }


# -- who it is ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [{"name": "other"}, {"at": "2026-11-20T00:00:00"}])
def test_another_job_of_the_same_number_is_not_ours(slurm: Slurm, other: dict[str, str]) -> None:
    """Whether it has another name or is older: what becomes of it is not what became of ours."""
    slurm.queue(_row("9", "RUNNING", **other))  # type: ignore[arg-type]
    look = Watch(["9"], name="run", since=FIRST).look()["9"]

    assert (look.state, look.alive, look.name) == ("UNKNOWN", False, "run")


def test_a_controller_that_forgot_a_running_job_is_not_believed_at_once(slurm: Slurm, clock: Clock) -> None:
    """Its processes may run until the node reports; that holds across a silence, and where another has its number."""
    slurm.queue(_row("9", "RUNNING", node="n1"), _row("10", "PENDING"))
    watch = Watch(["9", "10"], name="run")
    watch.look()
    slurm.queue(error=NOBODY)
    watch.look()
    slurm.queue(_row("9", "PENDING", name="other"))
    slurm.shows(f"JobId=9 JobName=other UserId=x(1) JobState=PENDING SubmitTime={THEN} Requeue=1")

    assert {job: _state(look) for job, look in watch.look().items()} == {
        "9": ("UNKNOWN", None),
        "10": ("UNKNOWN", False),
    }
    clock.now += 10
    assert watch.look()["9"] == Look("9", "UNKNOWN", False, "its number is another job's", "n1", 0, "", FIRST, "run")


# -- silence -----------------------------------------------------------------------------------------------------------


def test_silence_is_no_end(slurm: Slurm) -> None:
    """What was over stays so; of the others nobody can say, and then one can again."""
    slurm.queue(_row("8", "FAILED", status=256), _row("9", "RUNNING", node="n1", restarts=1))
    watch = Watch(["8", "9"])
    before = watch.look()
    slurm.queue(error=NOBODY)
    now = watch.look()

    assert now["8"] == before["8"]
    why = "squeue: Unable to contact slurm controller (connect failure)"
    assert now["9"] == Look("9", "UNKNOWN", None, why, "n1", 1, "", FIRST, "run")
    assert watch.unreachable == why
    slurm.queue(_row("9", "COMPLETED", node="n1", restarts=1))
    assert (_state(watch.look()["9"]), watch.unreachable) == (("COMPLETED", False), "")


@pytest.mark.parametrize("error", ["squeue: error: Access/permission denied", "slurm_load_jobs error: A new one"])
def test_a_refusal_is_no_end(slurm: Slurm, error: str) -> None:
    """Only that a job is not known means something."""
    slurm.queue(error=error)
    watch = Watch(["9"])

    assert (watch.look()["9"].alive, bool(watch.unreachable)) == (None, True)


def test_silence_of_scontrol_is_no_end_either(slurm: Slurm) -> None:
    """The controller may die between two questions; what was answered before counts."""
    slurm.queue(_row("8", "RUNNING"))
    slurm.shows(error=NOBODY)

    assert {job: look.alive for job, look in Watch(["8", "9"]).look().items()} == {"8": True, "9": None}


def test_a_look_has_an_end(slurm: Slurm) -> None:
    """A database that hangs does not take the time of the controller."""
    slurm.queue(_row("8", "RUNNING"))
    slurm.accounting(then="sleep 600")
    watch = Watch(["8", "9"])
    found = watch.look(deadline=2.0)

    assert {job: look.alive for job, look in found.items()} == {"8": True, "9": False}
    assert "no answer within" in watch.no_accounting
    slurm.queue(then="sleep 600")
    assert watch.look(deadline=0.2)["8"].alive is None


# -- how often ---------------------------------------------------------------------------------------------------------


def _intervals(watch: Watch, count: int) -> list[float]:
    found = []
    for _ in range(count):
        watch.look()
        found.append(round(watch.interval, 2))
    return found


@pytest.mark.usefixtures("clock")
def test_what_does_not_change_is_looked_at_less_and_less(slurm: Slurm) -> None:
    """From half a second to half a minute; a change begins anew, another reason to wait does not."""
    slurm.queue(_row("9", "PENDING", reason="Priority"))
    watch = Watch(["9"])

    assert _intervals(watch, 4) == [0.5, 0.75, 1.12, 1.69]
    slurm.queue(_row("9", "PENDING", reason="Resources"))
    assert _intervals(watch, 8)[-1] == 30.0
    slurm.queue(_row("9", "RUNNING", node="n1"))
    assert _intervals(watch, 2) == [0.5, 0.75]
    slurm.queue(_row("9", "RUNNING", node="n1", restarts=1))
    assert _intervals(watch, 1) == [0.5]


@pytest.mark.usefixtures("clock")
def test_silence_is_asked_less_and_less(slurm: Slurm) -> None:
    """From five seconds to a minute; the first answer ends that."""
    slurm.queue(error=NOBODY)
    watch = Watch(["9"])

    assert _intervals(watch, 6) == [5, 10, 20, 40, 60, 60]
    slurm.queue(_row("9", "RUNNING"))
    assert _intervals(watch, 1) == [0.5]
    slurm.queue(error=NOBODY)
    assert _intervals(watch, 1) == [5]
    # It has forgotten the job, so that nothing is known of it that was not known before.
    slurm.queue()
    assert (_intervals(watch, 1), watch.looks["9"].alive) == ([0.5], None)


def test_when_a_look_is_due(slurm: Slurm, clock: Clock) -> None:
    """At first, when the interval is over, when something has happened; with a new job; not when all is over."""
    slurm.queue(_row("9", "RUNNING"))
    watch = Watch()
    assert not watch.due()
    watch.add(["9"])
    assert watch.due()
    watch.look()
    assert [watch.due(), watch.due(clock.now + 0.4), watch.due(clock.now + 0.6)] == [False, False, True]
    watch.hurry()
    assert watch.due()
    slurm.queue(_row("9", "COMPLETED"))
    watch.look()
    clock.now += 100
    assert not watch.due()
    watch.add(["10"])
    assert watch.due()
