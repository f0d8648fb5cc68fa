"""`status`: what has become of a run, and what to do next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from esp3rt.lease import take
from esp3rt.slurm import asked, status
from esp3rt.slurm.looks import Look
from support.cluster_runs import START, Answers, RunOnDisk


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "digits"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(asked, "Watch", _nobody)
    return folder


def _nobody() -> None:
    raise AssertionError("SLURM was asked")


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    assert status.main(list(words)) == code
    return capsys.readouterr().out.splitlines()


def with_living_jobs(run: RunOnDisk) -> None:
    run.begin("infer")
    work = run.shards("infer", 4)
    work.sent("17", jobs=2, name="digits.abc.1")
    work.seen("17_0", "RUNNING", node="n1")
    work.seen("17_1", "PENDING", reason="Priority")
    work.worker("17_0", "n1").began(0)


def test_where_nothing_was_sent(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how to begin; that is no failure."""
    assert said(capsys) == ["no run of digits was sent to a cluster yet: esp3c run"]
    assert said(capsys, "--all") == ["no run of digits was sent to a cluster yet: esp3c run"]
    assert json.loads("\n".join(said(capsys, "--format", "json")))["run"] is None


def test_a_recipe_that_is_not_there(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line is wrong."""
    assert status.main(["nowhere"]) == 2
    assert capsys.readouterr().err == "esp3c: error: nowhere: there is no such folder or file\n"


def test_while_somebody_leads_slurm_is_not_asked(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The journals are as new as the leader's last look."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    with take(run.paths.lead):  # type: ignore[union-attr]
        lines = said(capsys)

    assert lines[0].startswith(f"run {run.paths.name} of digits, begun ")
    assert lines[0].endswith(f"led by process {os.getpid()} on {os.uname().nodename}")
    assert lines[1].startswith("infer  running  0 of 4 shards done, 1 running, 3 queued (Priority), n1, ")
    assert len(lines) == 2


def test_a_run_that_nobody_leads(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SLURM is asked about its jobs by their names; what it says goes before what the journals say."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    answers = Answers(Look("17_0", "NODE_FAIL", alive=False), Look("17_1", "RUNNING", alive=True, node="n2"))
    monkeypatch.setattr(asked, "Watch", answers)
    lines = said(capsys)

    assert answers.asked == {"17_0": "digits.abc.1", "17_1": "digits.abc.1"}
    assert "led by nobody" in lines[0]
    assert ", n2, " in lines[1]
    assert lines[-1] == "nobody leads it: its jobs run on; `esp3c resume` takes the lead"


def test_a_run_of_which_nothing_is_left(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs have ended since anybody looked."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    monkeypatch.setattr(asked, "Watch", Answers(*(Look(job, "COMPLETED", alive=False) for job in ("17_0", "17_1"))))
    lines = said(capsys, str(recipe))

    assert lines[1].startswith("infer  stopped")
    assert lines[-1] == f"nobody leads it, and no job of it is left: `esp3c resume {recipe}` goes on where it stopped"


def test_slurm_does_not_answer(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the journals say is said, and that it may be old."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    monkeypatch.setattr(asked, "Watch", Answers(unreachable="timed out"))
    lines = said(capsys)

    assert lines[1].startswith("infer  running  0 of 4 shards done, 1 running, 3 queued (Priority), n1, ")
    assert lines[2] == "SLURM does not answer (timed out); what is said of jobs may be old"
    assert lines[-1] == "nobody leads it: its jobs run on; `esp3c resume` takes the lead"


def test_a_machine_without_slurm(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that was copied to a laptop is shown as well."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    monkeypatch.undo()
    monkeypatch.chdir(recipe)
    monkeypatch.setenv("PATH", str(recipe))

    assert any("squeue is not installed on this machine" in line for line in said(capsys))


def test_a_failure_is_told_with_its_log(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which shard, why, the lines of the log up to there, and how to go on."""
    run = RunOnDisk(recipe, ["infer", "measure"])
    run.begin("infer")
    work = run.shards("infer", 4)
    work.sent("17", jobs=2)
    worker, other = work.worker("17_0", "n1"), work.worker("17_1", "n2")
    other.died(2, "killed by SIGKILL")
    work.write("again", task=2, attempt=2, avoid=["n2"], why="killed by SIGKILL")
    worker.began(3)
    worker.prints("".join(f"line {number}\n" for number in range(20)) + "ValueError: no such word\nlast words\n")
    worker.failed(3, "Traceback\nValueError: no such word")
    work.write("over", how="failed", why="ValueError: no such word")
    run.end("infer", "failed", "ValueError: no such word")
    run.over("failed")
    lines = said(capsys, code=1)

    assert lines[1].startswith("infer    failed   0 of 4 shards done, 1 failed, ")
    assert lines[2:] == [
        "measure  waiting",
        "",
        "infer failed: ValueError: no such word",
        "  shard 3: ValueError: no such word",
        f"  its log: {worker.log}",
        *(f"    | line {number}" for number in range(15, 20)),
        "    | ValueError: no such word",
        "when the cause is mended, `esp3c resume` goes on where it stopped",
    ]


def test_shards_that_were_given_up(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first of them, with their attempts; all of them for programs."""
    run = RunOnDisk(recipe, ["infer"])
    run.begin("infer")
    work = run.shards("infer", 8)
    work.sent("17")
    worker = work.worker("17", "n1")
    for shard in range(5):
        worker.began(shard, attempt=3)
        work.write("gave_up", task=shard, why="killed by SIGKILL")
    work.write("over", how="failed")
    run.end("infer", "failed", "shard 0 was tried 3 times")
    lines = said(capsys, code=1)
    found = json.loads("\n".join(said(capsys, "--format", "json", code=1)))["stages"][0]

    assert lines[4] == "  shard 0, attempt 3: killed by SIGKILL"
    assert lines[7] == "  and 2 more: `esp3c status --format json` lists them"
    assert found["tasks"] == {"total": 8, "done": 0, "running": 0, "queued": 0, "failed": 5}
    assert [failure["name"] for failure in found["failures"]] == [f"shard {number}" for number in range(5)]


def test_jobs_that_ended_before_they_began(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no worker to ask, but a log of the job."""
    run = RunOnDisk(recipe, ["train"])
    run.begin("train")
    work = run.commands("train")
    work.sent("17")
    log = work.paths.logs / "17_0_log.out"
    log.write_text("module: command not found\n", encoding="utf-8")
    work.write("over", how="failed")
    run.end("train", "failed", "3 jobs ended before they began to work")

    assert said(capsys, code=1)[3:6] == [
        "train failed: 3 jobs ended before they began to work",
        f"  its log: {log}",
        "    | module: command not found",
    ]


def test_a_run_that_was_cancelled(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where whoever led it has called that a failure of its stage."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    work = run.read().stages["infer"].works[0]
    from esp3rt.slurm.journal import Journal

    Journal(work.paths.journal, "leader-cancel").write("over", how="cancelled", why="")
    run.end("infer", "failed", "infer was cancelled")
    run.over("cancelled")
    lines = said(capsys)

    assert lines[0].endswith(", cancelled")
    assert lines[1].startswith("infer  cancelled  0 of 4 shards done")
    assert lines[-1] == "it was cancelled; `esp3c resume` goes on where it stopped"


def test_several_runs(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest is shown; another that is not over is pointed at; each can be named by a part of its name."""
    old = RunOnDisk(recipe, ["infer"])
    old.begin("infer")
    # Names of runs of the same second do not sort by time.
    folder = old.paths.folder.rename(old.paths.folder.with_name("20200101-000000-aaaa"))
    new = RunOnDisk(recipe, ["train", "infer"])
    new.over("done")
    lines = said(capsys)
    listed = said(capsys, "--all")

    assert lines[0].startswith(f"run {new.paths.name} ")
    assert lines[-1] == f"another run is not over: `esp3c status --run {folder.name}`"
    assert listed == [
        f"{new.paths.name}  done           train infer",
        f"{folder.name}  led by nobody  infer, in infer",
    ]
    assert said(capsys, "--run", "aaaa")[0].startswith(f"run {folder.name} ")
    assert status.main(["--run", "20"]) == 2
    assert capsys.readouterr().err.startswith("esp3c: error: --run 20: several are called so; the runs are ")
    assert status.main(["--run", "zzz"]) == 2
    assert "there is no such run" in capsys.readouterr().err


def test_a_recipe_file_names_its_folder(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what is to be called next names it in the same way."""
    run = RunOnDisk(recipe, ["infer"])
    run.over("cancelled")
    (recipe / "recipe.esp").touch()

    assert said(capsys, "recipe.esp")[-1] == "it was cancelled; `esp3c resume recipe.esp` goes on where it stopped"


def test_programs_are_told_all_of_it(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, with a version."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    with take(run.paths.lead):  # type: ignore[union-attr]
        found = json.loads("\n".join(said(capsys, "--format", "json")))

    assert {key: found[key] for key in ("version", "run", "name", "over", "detached", "created", "silent", "next")} == {
        "version": 1, "run": run.paths.name, "name": "digits", "over": None, "detached": False, "created": START,
        "silent": None, "next": [],
    }  # fmt: skip
    assert found["leader"] == {"host": os.uname().nodename, "pid": os.getpid()}
    assert found["stages"][0]["jobs"] == [
        {"job": "17_0", "state": "RUNNING", "alive": True, "reason": "", "node": "n1", "restarts": 0},
        {"job": "17_1", "state": "PENDING", "alive": True, "reason": "Priority", "node": "", "restarts": 0},
    ]


def test_watching_ends_with_the_run(recipe: Path) -> None:
    """Lines where there is no terminal; when the run is over its status, and its exit code."""
    run = RunOnDisk(recipe, ["infer"])
    run.begin("infer")
    with take(run.paths.lead), watching() as process:  # type: ignore[union-attr]
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(2)]
        work = run.shards("infer", 2)
        work.sent("17")
        work.worker("17", "n1").began(0)
        second = process.stdout.readline()
        work.write("over", how="failed")
        run.end("infer", "failed", "no such word")
        run.over("failed")
        rest = process.stdout.read()
        code = process.wait(60)

    assert first[1].startswith("infer  running  slurm, ")
    assert (second, code) == ("infer: runs on n1\n", 1)
    assert "infer: failed after" in rest
    assert "infer failed: no such word\n" in rest


def test_ctrl_c_ends_the_view_only(recipe: Path) -> None:
    """The run is not over, and nothing has failed."""
    run = RunOnDisk(recipe, ["infer"])
    run.begin("infer")
    with take(run.paths.lead), watching() as process:  # type: ignore[union-attr]
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
        code = process.wait(60)

    assert code == 0
    # Once before, once after.
    assert [line.split(",")[0] for line in (first[1], rest[-1])] == ["infer  running  slurm"] * 2
    assert not run.read().over


def watching() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "esp3rt.slurm", "status", "--watch"], stdout=subprocess.PIPE, text=True
    )


def test_watching_ends_where_nothing_is_left(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a leader and jobs there is nothing to come."""
    run = RunOnDisk(recipe, ["infer"])
    with_living_jobs(run)
    monkeypatch.setattr(asked, "Watch", Answers(*(Look(job, "COMPLETED", alive=False) for job in ("17_0", "17_1"))))

    assert said(capsys, "--watch")[-1].startswith("nobody leads it, and no job of it is left")


def test_status_imports_little(recipe: Path) -> None:
    """Where nobody looks on at a terminal it needs neither rich nor submitit nor numpy, nor what asks SLURM."""
    run = RunOnDisk(recipe, ["infer"])
    run.begin("infer")
    code = (
        "import sys\nfrom esp3rt.slurm.__main__ import main\nmain(['status'])\n"
        "print([name for name in ('rich', 'submitit', 'numpy', 'subprocess', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_error(recipe: Path) -> None:
    """`esp3c status | head -0`."""
    RunOnDisk(recipe, ["infer"])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "esp3rt.slurm", "status"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, "")


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The words that there are."""
    from esp3rt.slurm.__main__ import main

    assert main(["stat"]) == 2
    assert "usage: python -m esp3rt.slurm {status,logs,cancel,resume,work,request}" in capsys.readouterr().err
