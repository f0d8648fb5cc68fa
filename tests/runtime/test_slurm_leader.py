"""What a leader makes of what it finds: of leaders before it that were killed at a bad moment, and of workers that were."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from esp3rt.slurm import client, living
from esp3rt.slurm import leader as leader_module
from esp3rt.slurm.claims import Claims
from esp3rt.slurm.client import Refused, Unreachable
from esp3rt.slurm.journal import Journal, Reader
from esp3rt.slurm.leader import Leader
from esp3rt.slurm.looks import Look
from esp3rt.slurm.paths import RunPaths, WorkPaths
from esp3rt.slurm.request import COMMANDS, SHARDS, Wanted
from esp3rt.slurm.settings import read_settings
from esp3rt.slurm.submit import Sender
from esp3rt.work import WorkersDied

TOKEN = "a1b2c3d4"
# So often it looks for something new; with nothing to be had, it would for ever.
_LONGEST = 30


class Silence:
    """SLURM says nothing new."""

    unreachable = ""

    def add(self, jobs: Sequence[str], *, name: str = "") -> None:
        pass

    def due(self, now: float) -> bool:
        return False

    def hurry(self) -> None:
        pass


class Ends:
    """SLURM has all jobs end as soon as they are looked at."""

    unreachable = ""
    state = "FAILED"

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def add(self, jobs: Sequence[str], *, name: str = "") -> None:
        self.jobs += jobs

    def due(self, now: float) -> bool:
        return True

    def hurry(self) -> None:
        pass

    def look(self, *, deadline: float) -> dict[str, Look]:
        return {job: Look(job, self.state, False, "NonZeroExitCode", "n1") for job in self.jobs}


class Work:
    """A work of shards, and jobs that do at once, when they are sent, what there is to do."""

    def __init__(self, folder: Path, tasks: int, kind: str = SHARDS) -> None:
        self.paths: WorkPaths = RunPaths(folder).new_work(
            "work",
            {
                "token": TOKEN,
                "name": "work",
                "kind": kind,
                "tasks": list(range(tasks)),
                "created": 0.0,
                "stage": "work",
            },
        )
        self.tasks = list(range(tasks))
        self.old = Journal(self.paths.journal, "leader-old")
        self.sent = 0
        self.before: list[Callable[[], None]] = []
        """What happens when jobs are sent, a call each."""
        self.instead: Callable[[str], None] | None = None
        """What a job does that is sent, in the place of what there is to do."""

    def leader(self, attempts: int = 3, workers: int = 1) -> Leader:
        settings = read_settings({"n_workers": workers, "options": {"attempts": attempts}})
        ticks = iter(range(_LONGEST))

        def tick() -> None:
            assert next(ticks, None) is not None, list(Reader(self.paths.journal).read())

        return Leader(paths=self.paths, settings=settings, recipe=str(self.paths.folder), tick=tick)

    def job(self, job: str, number: int = 1) -> None:
        """Let the old leader have sent a job."""
        self.old.write("sending", number=number, name=f"work.{number}", jobs=1, array=False, tasks=[])
        self.old.write("sent", number=number, job=job)

    def worker(self, job: str, restarts: int = 0, begins: int = 0, node: str = "n1") -> tuple[Journal, Claims]:
        """Let a worker begin with some tasks."""
        name = f"{job}.{restarts}.0"
        journal = Journal(self.paths.journal, name)
        journal.write("worker", job=job, restarts=restarts, process=0, node=node, pid=1)
        claims = Claims(self.paths, self.tasks, name, node, 0)
        for _ in range(begins):
            claimed = claims.next()
            assert claimed is not None
            journal.write("began", task=claimed[0], attempt=claimed[1])
        return journal, claims

    def ended(self, job: str, state: str = "FAILED", restarts: int = 0) -> None:
        """Let the old leader have seen the end of a job."""
        self.old.write("seen", job=job, state=state, alive=False, reason="", node="n1", restarts=restarts)

    def send(self, sender: Sender, wanted: Wanted, tasks: Sequence[int], attempts: Mapping[int, int]) -> None:
        """In the place of `Sender.send`."""
        self.sent += 1
        number = 100 + self.sent
        if self.before:
            self.before.pop(0)()
        tried = [attempts[task] for task in tasks]
        self.old.write(
            "sending", number=number, name=f"work.{number}", jobs=1, array=False, tasks=tasks, attempts=tried,
            avoid=wanted.exclude,
        )  # fmt: skip
        self.old.write("sent", number=number, job=str(number))
        if self.instead is not None:
            self.instead(str(number))
            return
        mine, claims = self.worker(str(number), node=f"n{number}")
        while (claimed := claims.next()) is not None:
            mine.write("began", task=claimed[0], attempt=claimed[1])
            mine.write("ended", task=claimed[0], attempt=claimed[1], token=TOKEN)
        mine.write("left", code=0)

    def attempts(self) -> dict[int, int]:
        """Which attempt at each task has ended."""
        events = Reader(self.paths.journal).read()
        return {event.data["task"]: event.data["attempt"] for event in events if event.kind == "ended"}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    made = Work(tmp_path, 3)
    monkeypatch.setattr(leader_module, "Watch", Silence)
    monkeypatch.setattr(Sender, "send", lambda *args: made.send(*args))
    return made


def _led(work: Work, **more: Any) -> set[int]:
    return {ended.task for ended in work.leader(**more).lead()}


def test_a_leader_was_killed_before_it_opened_what_was_lost(work: Work) -> None:
    """It had written down that the job is over, and not yet that its task may be tried again."""
    work.job("7")
    work.worker("7", begins=1)
    work.ended("7")

    assert _led(work) == {0, 1, 2}
    assert work.attempts() == {0: 2, 1: 1, 2: 1}


def test_a_claim_of_which_the_journal_does_not_speak(work: Work) -> None:
    """A worker was killed between the claim and its word of it."""
    work.job("7")
    _, claims = work.worker("7")
    claims.next()
    work.ended("7")

    assert _led(work) == {0, 1, 2}
    assert work.attempts()[0] == 2


def test_file_systems_without_hard_links(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim is then a file that says whose it is."""

    def refuse(*_: object) -> None:
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", refuse)
    work.job("7")
    work.worker("7", begins=1)
    work.ended("7")

    assert _led(work) == {0, 1, 2}
    assert work.attempts() == {0: 2, 1: 1, 2: 1}


def test_a_copy_that_goes_on_after_its_job_is_over(work: Work) -> None:
    """What it has claimed since, and left, is done by others."""
    work.job("7")
    journal, claims = work.worker("7", begins=1)
    work.ended("7")

    def claim_another() -> None:
        claimed = claims.next()
        assert claimed is not None
        journal.write("began", task=claimed[0], attempt=claimed[1])

    work.before = [claim_another]
    assert _led(work) == {0, 1, 2}
    assert work.sent == 2


def test_a_job_was_started_again(work: Work) -> None:
    """What its process did before has come to nothing; that does not count as a try."""
    work.job("7")
    work.worker("7", begins=1)
    work.old.write("seen", job="7", state="PENDING", alive=True, reason="", node="", restarts=1)
    work.ended("7", "COMPLETED", restarts=1)

    assert _led(work, attempts=1) == {0, 1, 2}


def test_an_error_that_nobody_has_heard_of(work: Work) -> None:
    """It was raised while nobody led: whoever leads now has the task tried again."""
    work.job("7")
    journal, _ = work.worker("7", begins=1)
    journal.write("failed", task=0, attempt=1, error=None, text="ValueError: no")
    journal.write("left", code=1)
    work.ended("7")

    assert _led(work) == {0, 1, 2}


def test_a_task_was_given_up_and_the_leader_killed(work: Work) -> None:
    """Whoever leads now has it tried again."""
    work.job("7")
    journal, _ = work.worker("7", begins=1)
    journal.write("died", task=0, attempt=1, why="killed")
    work.old.write("gave_up", task=0, why="killed")
    work.ended("7")

    assert _led(work, attempts=1) == {0, 1, 2}


def test_tries_are_counted_over_all_leaders(work: Work) -> None:
    """The third is the last, though the first two were another leader's."""
    work.job("7")
    journal, _ = work.worker("7", begins=1)
    journal.write("died", task=0, attempt=1, why="killed")
    work.old.write("again", task=0, attempt=2, tried=1, avoid=[], why="killed")
    work.old.write("again", task=0, attempt=3, tried=2, avoid=[], why="killed")
    journal.write("died", task=0, attempt=3, why="killed again")

    with pytest.raises(WorkersDied, match="task 0 was tried 3 times, the last time it was killed again"):
        _led(work)


def test_a_job_that_nobody_knew_of(work: Work) -> None:
    """A call of sbatch seemed to have come to nothing; its job is one like others when it speaks."""
    work.old.write("sending", number=1, name="work.1", jobs=1, array=False, tasks=[])
    work.old.write("not_sent", number=1, why="no answer")
    work.worker("7", begins=1)
    leader = work.leader(workers=2)

    def end() -> None:
        assert leader.ledger.jobs["7"].alive
        work.ended("7")

    work.before = [end]
    assert {ended.task for ended in leader.lead()} == {0, 1, 2}


@pytest.mark.parametrize("error", [Unreachable("no answer"), Refused("too many jobs")])
def test_a_job_that_cannot_be_sent_now(work: Work, monkeypatch: pytest.MonkeyPatch, error: RuntimeError) -> None:
    """It is sent later, where nobody answers, or where others do their work meanwhile."""
    monkeypatch.setattr(leader_module, "_SECONDS_BETWEEN_SENDING", 0.0)
    work.job("7")
    journal, _ = work.worker("7", begins=1)
    work.job("8", number=2)
    work.ended("8", "CANCELLED")

    def fail() -> None:
        work.before = [lambda: journal.write("ended", task=0, attempt=1, token=TOKEN)]
        raise error

    work.before = [fail]
    assert _led(work, workers=2) == {0, 1, 2}
    assert work.sent == 2


def test_what_is_refused_where_nobody_works(work: Work) -> None:
    """That is an error."""

    def fail() -> None:
        raise Refused("no such partition")

    work.before = [fail]
    with pytest.raises(Refused, match="no such partition"):
        _led(work)


# -- nothing is tried for ever -----------------------------------------------------------------------------------------


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A command whose jobs end without a word of their own."""
    made = Work(tmp_path, 1, COMMANDS)
    made.instead = lambda job: None
    monkeypatch.setattr(leader_module, "Watch", Ends)
    monkeypatch.setattr(Sender, "send", lambda *args: made.send(*args))
    return made


@pytest.mark.parametrize("attempts", [1, 3, 5])
def test_a_command_whose_jobs_end_before_they_begin(commands: Work, attempts: int) -> None:
    """Each is a try, though no process says that it was made; the last one's log is shown."""
    commands.paths.log_of(f"{100 + attempts}.0.0").write_text("no such module\n")

    with pytest.raises(
        WorkersDied, match=rf"(?s)tried {attempts} times.*job {100 + attempts} was failed.*no such module"
    ):
        _led(commands, attempts=attempts)
    assert commands.sent == attempts


def test_tries_of_commands_are_counted_over_all_leaders(commands: Work) -> None:
    """The first leader had sent two, of which the second ended when it had been killed."""
    commands.old.write("sending", number=1, name="work.1", jobs=1, array=False, tasks=[0], attempts=[1])
    commands.old.write("sent", number=1, job="7")
    commands.ended("7")
    commands.old.write("again", task=0, attempt=2, tried=1, avoid=[], why="lost")
    commands.old.write("sending", number=2, name="work.2", jobs=1, array=False, tasks=[0], attempts=[2])
    commands.old.write("sent", number=2, job="8")

    with pytest.raises(WorkersDied, match="task 0 was tried 3 times"):
        _led(commands)
    assert commands.sent == 1


def test_what_is_nobodys_fault_has_an_end_too(commands: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place where no job is left alone for as long as it needs is none to wait at."""
    monkeypatch.setattr(Ends, "state", "PREEMPTED")

    with pytest.raises(
        WorkersDied, match="task 0 was tried 5 times, the last time it was lost: its job 105 was preempted"
    ):
        _led(commands, attempts=1)


def test_jobs_that_get_somewhere_each_time(commands: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be taken away as often as it likes SLURM."""
    monkeypatch.setattr(Ends, "state", "PREEMPTED")

    def work_a_little(job: str) -> None:
        if job == "107":
            journal = commands.worker(job)[0]
            journal.write("ended", task=0, attempt=7, token=TOKEN, left=True)
        (commands.paths.ranks / f"{job}.0.progress").touch()

    commands.instead = work_a_little
    assert _led(commands, attempts=1) == {0}


def test_shards_of_which_nothing_is_ever_done(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cancels each job that runs ends the work in the end."""
    monkeypatch.setattr(leader_module, "Watch", Ends)
    monkeypatch.setattr(Ends, "state", "CANCELLED")
    work.instead = lambda job: [work.worker(job, begins=1)][:0]

    with pytest.raises(WorkersDied, match=r"was tried 5 times, the last time it was lost: its job \d+ was cancelled"):
        _led(work, attempts=1)


def test_shards_of_which_something_is_done_each_time(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun and cut off each time is nobody's fault for as long as other shards end."""
    monkeypatch.setattr(leader_module, "Watch", Ends)
    monkeypatch.setattr(Ends, "state", "PREEMPTED")
    for attempt in range(2, 12):
        work.old.write("again", task=0, attempt=attempt, tried=0, free=attempt - 1, avoid=[], why="lost")
    journal, claims = work.worker("7", begins=1)
    journal.write("ended", task=1, attempt=1, token=TOKEN)
    work.job("8", number=2)
    claims = Claims(work.paths, [0], "8.0.0", "n1", 0)

    assert claims.next() == (0, 11)
    assert _led(work, attempts=2) == {0, 1, 2}


def test_jobs_that_find_nothing_to_do(work: Work) -> None:
    """They leave in order while a task waits, of which they do not know: no others are sent for ever."""
    work.instead = lambda job: work.worker(job)[0].write("left", code=0)

    with pytest.raises(WorkersDied, match="3 jobs found nothing to do while task 0 waited; the last was 103"):
        _led(work)
    assert work.sent == 3


def test_jobs_that_come_when_all_is_taken(work: Work) -> None:
    """They leave with nothing done, which is no fault, however many they are."""
    work.job("7")
    journal, _ = work.worker("7", begins=3)
    for number in range(8, 18):
        work.job(str(number), number=number)
        work.worker(str(number))[0].write("left", code=0)
    journal.write("died", task=0, attempt=1, why="killed")
    journal.write("died", task=1, attempt=1, why="killed")
    journal.write("died", task=2, attempt=1, why="killed")
    work.ended("7")

    assert _led(work) == {0, 1, 2}


def test_the_nodes_that_are_left_do_not_work(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is kept from the nodes that do is cancelled, and its task may be done anywhere."""

    class Drained(Ends):
        def look(self, *, deadline: float) -> dict[str, Look]:
            gone = {job: Look(job, "CANCELLED", False) for job in self.jobs if job in cancelled}
            reason = "ReqNodeNotAvail, UnavailableNodes:n[2-3]"
            return {job: Look(job, "PENDING", True, reason) for job in self.jobs if job == "101"} | gone

    cancelled: list[str] = []
    monkeypatch.setattr(leader_module, "Watch", Drained)
    monkeypatch.setattr(living, "_SECONDS_WITHOUT_NODE", 0.0)
    monkeypatch.setattr(client, "cancel", lambda jobs, *, name: cancelled.extend(jobs))
    work.job("7")
    journal, claims = work.worker("7", begins=1)
    for task in (1, 2):
        assert claims.next() == (task, 1)
        journal.write("ended", task=task, attempt=1, token=TOKEN)
    journal.write("died", task=0, attempt=1, why="killed")
    journal.write("left", code=0)
    exclude: list[Sequence[str]] = []

    def wait_at_first(job: str) -> None:
        work.instead = None

    work.instead = wait_at_first
    sent = work.send
    monkeypatch.setattr(Sender, "send", lambda *args: (exclude.append(args[1].exclude), sent(*args)))

    assert _led(work) == {0, 1, 2}
    assert (cancelled, exclude) == (["101"], [("n1",), ()])


def test_what_is_said_is_read_alone(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand jobs that change at once are not a thousand readings of a thousand journals."""
    work.job("7")
    work.worker("7", begins=1)
    leader = work.leader()
    leader._take_in()
    read: list[str] = []
    added = Reader._added
    monkeypatch.setattr(Reader, "_added", lambda self, name: (read.append(name), added(self, name))[1])
    leader._write("silent", why="no answer")

    assert leader.ledger.silent == "no answer"
    assert len(read) == 1
