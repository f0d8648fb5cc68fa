"""A run as the process that leads it holds it: what it says of its end, and what it does not say when another leads."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from esp3rt.slurm import runs as runs_module
from esp3rt.slurm import submit
from esp3rt.slurm.found import LeadLost
from esp3rt.slurm.journal import Journal, Reader
from esp3rt.slurm.leader import Leader
from esp3rt.slurm.ledger import Ledger, read_run
from esp3rt.slurm.paths import RunPaths, runs_of
from esp3rt.slurm.placed import Process
from esp3rt.slurm.request import COMMANDS, SHARDS, Wanted
from esp3rt.slurm.runs import LedRun, lead_run
from esp3rt.slurm.settings import read_settings
from esp3rt.slurm.shards import serve
from esp3rt.slurm.submit import Sender


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """The jobs that were to be ended, and by which name."""
    calls: list[tuple[list[str], str]] = []
    monkeypatch.setattr(
        "esp3rt.slurm.client.cancel", lambda jobs, *, name="", deadline=0.0: calls.append((list(jobs), name))
    )
    return calls


def leading(folder: Path) -> Any:
    return lead_run(folder, ["infer"], ["python", "run.py"], str(folder))


def taken_over(paths: RunPaths) -> None:
    """Let another process take the lead, as it does where this one is stopped for a minute."""
    number = max(int(path.name) for path in paths.lead.glob("[0-9]*"))
    text = (paths.lead / str(number)).read_text()
    (paths.lead / str(number + 1)).write_text(text.replace('"token": "', '"token": "other'))


def said(paths: RunPaths) -> list[tuple[str, str]]:
    """What the run's journals say: each event and how it is said to have ended."""
    return [(event.kind, event.data.get("how", "")) for event in Reader(paths.journal).read()]


def work_of(run: LedRun, kind: str = COMMANDS, **about: Any) -> Ledger:
    """A work whose only job is 17."""
    paths = run.paths.new_work(
        "infer",
        {
            "kind": kind, "name": "infer", "stage": "infer", "token": "word", "tasks": [0], "created": 1.0, "mark": "",
            **about,
        },
    )  # fmt: skip
    journal = Journal(paths.journal, "leader-old")
    journal.write("made")
    journal.write("sending", number=1, name="infer.abc.1", jobs=1, array=False, tasks=[0])
    journal.write("sent", number=1, job="17")
    run.run.refresh()
    return run.run.stages["infer"].works[-1]


# -- another leads -----------------------------------------------------------------------------------------------------


def test_nothing_is_said_when_another_leads(tmp_path: Path) -> None:
    """Neither how the stage has ended, nor how the run has; and no stage is taken for done."""
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(LeadLost, match=r"leads run .* now, since this one .*; `esp3c status`"))
        run = stack.enter_context(leading(tmp_path))
        with run.stage_of("infer", "slurm"):
            taken_over(run.paths)
            with pytest.raises(LeadLost):
                run.over("done")
            with pytest.raises(LeadLost):
                run.is_done("infer")

    (paths,) = runs_of(tmp_path)
    assert said(paths) == [("leader", ""), ("stage_began", "")]


@pytest.mark.parametrize("what", ["leads", "ends", "sends", "looks for what was lost"])
def test_a_leader_that_is_one_no_more(tmp_path: Path, ended: list[tuple[list[str], str]], what: str) -> None:
    """It writes nothing, sends nothing, ends no job."""
    with pytest.raises(LeadLost), leading(tmp_path) as run:
        work = work_of(run)
        settings = read_settings({})
        leader = Leader(paths=work.paths, settings=settings, recipe=str(tmp_path), check=run.check)
        taken_over(run.paths)
        before = sorted(path.name for path in work.paths.journal.iterdir())
        try:
            if what == "leads":
                run.check(now=True)
            elif what == "ends":
                leader.end("failed", "no luck")
            elif what == "sends":
                leader._send([0], 1)
            else:
                leader._sender.find_lost({2: {"number": 2, "name": "infer.abc.2"}})
        finally:
            assert sorted(path.name for path in work.paths.journal.iterdir()) == before
            assert list(work.paths.send.iterdir()) == []
            assert ended == []


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*words: str, **_: object) -> str:
        assert words[0] != "sbatch"
        return ""

    monkeypatch.setattr("esp3rt.slurm.client.command", answer)


def test_the_loop_of_a_leader_notices(tmp_path: Path, ended: list[tuple[list[str], str]]) -> None:
    """Without a word to say it looks from time to time; jobs are left to the other."""
    with pytest.raises(LeadLost), leading(tmp_path) as run:
        work = work_of(run)
        leader = Leader(paths=work.paths, settings=read_settings({}), recipe=str(tmp_path), check=run.check)
        taken_over(run.paths)
        for _ in run._lead(leader):
            continue

    (paths,) = runs_of(tmp_path)
    assert (read_run(paths).over, read_run(paths).stages["infer"].works[0].over) == ("", "")
    assert ended == []


def test_a_job_is_known_from_one_event(tmp_path: Path) -> None:
    """Whoever found no job of that name was too early: the word of the one that has sent it is enough. Said twice, it is
    one job, and its workers stay."""
    with leading(tmp_path) as run:
        work = work_of(run, SHARDS, tasks=[0, 1])
        journal = Journal(work.paths.journal, "leader-other")
        about = {"number": 2, "name": "infer.abc.2", "jobs": 2, "array": True, "tasks": [0, 1]}
        journal.write("sending", **about)
        journal.write("not_sent", number=2, why="SLURM has no such job")
        journal.write("sent", job="18", **about)
        worker = Journal(work.paths.journal, "18_0.0.0")
        worker.write("worker", job="18_0", restarts=0, process=0, node="n1", pid=1)
        journal.write("sent", job="18", **about)
        run.run.refresh()

    jobs = [(job.id, job.name, job.task) for job in work.jobs.values()]
    assert jobs == [("17", "infer.abc.1", 0), ("18_0", "infer.abc.2", 0), ("18_1", "infer.abc.2", 1)]
    assert [*work.workers] == ["18_0.0.0"]


# -- what others must not read -----------------------------------------------------------------------------------------


def test_what_may_hold_secrets_is_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of a set-up stand in what is sent alone, which nobody else may read, nor what is done with a shard."""
    monkeypatch.setattr(submit, "_sbatch", lambda script: "17")
    monkeypatch.setattr(runs_module.LedRun, "_lead", lambda self, leader: iter(()))
    settings = read_settings({"options": {"setup": ["export TOKEN=hush"]}})

    def never(n: int) -> None:
        assert n == 0

    with leading(tmp_path) as run:
        shards: Iterator[object] = run.shards(
            settings, lambda: b"hush", [0], mark="m", name_of=str, items=1, moved=never
        )
        assert list(shards) == []
        (paths,) = run.paths.works()
        journal = Journal(paths.journal, "leader-x")
        wanted = Wanted(kind=SHARDS, name="infer", jobs=1, folder=str(tmp_path))
        Sender(paths, settings, journal, "abc", print).send(wanted, [], {})

    holding = {
        path.name: path for path in run.paths.folder.rglob("*") if path.is_file() and b"hush" in path.read_bytes()
    }
    assert holding.keys() == {"1.sh", "job.pkl", "1.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding.values()} == {0o600}


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "stage", "over"),
    [
        (3, "failed", "failed"),
        ("no luck", "failed", "failed"),
        (130, "waiting", ""),
        (143, "waiting", ""),
        (85, "waiting", ""),
    ],
)
def test_a_stage_that_ends_the_program(tmp_path: Path, code: int | str, stage: str, over: str) -> None:
    """It has failed, and the run with it, unless it was told to end."""
    with pytest.raises(SystemExit), leading(tmp_path) as run, run.stage_of("infer", "this machine"):
        raise SystemExit(code)

    (paths,) = runs_of(tmp_path)
    assert (read_run(paths).stages["infer"].state, read_run(paths).over) == (stage, over)


def test_what_nobody_finds_again_is_ended(
    tmp_path: Path, ended: list[tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A work without a mark that was left: its jobs are ended before another is begun; one with a mark is left alone."""
    monkeypatch.setattr(runs_module.LedRun, "_lead", lambda self, leader: iter(()))
    with leading(tmp_path) as run:
        old, other = work_of(run, SHARDS), work_of(run, SHARDS, mark="other")
        run.stage = "infer"
        about: dict[str, Any] = {"mark": "", "name_of": str, "items": 1, "moved": lambda n: None}
        assert list(run.shards(read_settings({}), lambda: b"", [0], **about)) == []
        run.run.refresh()

        assert (old.over, other.over) == ("cancelled", "")
        assert ended == [(["17"], "infer.abc.1")]


@pytest.mark.usefixtures("ended")
def test_what_nobody_needs_is_removed_when_a_stage_is_done(tmp_path: Path) -> None:
    """Of works that are done; what was said stays, and with it what is known of them. A job that comes late leaves."""
    with leading(tmp_path) as run, run.stage_of("infer", "slurm"):
        done, left = work_of(run, SHARDS, stay=0.0), work_of(run, SHARDS, mark="other")
        for work in (done, left):
            work.paths.job.write_bytes(b"job")
            work.paths.result(0, 1).write_bytes(b"result")
        worker = Journal(done.paths.journal, "17.0.0")
        worker.write("ended", task=0, attempt=1, token="word")
        worker.write("over", how="done")

    gone = {path.name for path in left.paths.folder.iterdir()} - {path.name for path in done.paths.folder.iterdir()}
    assert gone == {"job.pkl", "claims", "workers", "results"}
    (again, _) = read_run(run.paths).stages["infer"].works
    assert (again.over, again.count("done")) == ("done", 1)
    late = Process(job="17", index=0, restarts=1, rank=0, world=1, nodes=1, node="n1")
    (done.paths.send / "1.json").write_text('{"first": 0, "of": 1}')
    journal = Journal(done.paths.journal, late.worker)
    assert serve(done.paths, 1, late, journal, done.paths.about()) == 0
    assert [event.kind for event in Reader(done.paths.journal, late.worker).read()] == ["left"]
