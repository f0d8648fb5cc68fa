"""`cancel` ends the jobs of a run, and `resume` goes on with it."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from esp3rt.lease import Lease, take
from esp3rt.slurm import asked, cancel, client, resume
from esp3rt.slurm.looks import Look
from support.cluster_runs import Answers, RunOnDisk, WorkOnDisk

ALIVE = Answers(Look("17_0", "RUNNING", alive=True, node="n1"), Look("17_1", "PENDING", alive=True))


class Slurm:
    """What is asked of SLURM, and what it answers.

    Attributes:
        calls: The jobs that were to be ended, and by which name.
        jobs: Jobs in the queue, by their names.
        error: What is raised instead.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str]] = []
        self.jobs: dict[str, list[str]] = {}
        self.error: Exception | None = None

    def cancel(self, jobs: list[str], *, name: str = "", deadline: float = 0) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append((jobs, name))

    def find_by_name(self, name: str, *, deadline: float = 0) -> list[str]:
        return self.jobs.get(name, [])


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm()
    monkeypatch.setattr(client, "cancel", made.cancel)
    monkeypatch.setattr(client, "find_by_name", made.find_by_name)
    monkeypatch.setattr(cancel, "_SECONDS_TO_ANSWER", 0.1)
    return made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunOnDisk:
    recipe = tmp_path / "digits"
    recipe.mkdir()
    monkeypatch.chdir(recipe)
    monkeypatch.setattr(asked, "Watch", ALIVE)
    return RunOnDisk(recipe, ["train", "infer"])


def at_work(run: RunOnDisk) -> WorkOnDisk:
    run.begin("infer")
    work = run.shards("infer", 4)
    work.sent("17", jobs=2, name="infer.abc.1")
    work.worker("17_0", "n1").began(0)
    return work


def test_jobs_are_ended_and_that_is_written_down(
    run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]
) -> None:
    """By number and name: a number may be somebody else's by now. Workers hear it, as they listen to leaders."""
    work = at_work(run)
    code = cancel.main([])
    after = run.read()

    assert (code, slurm.calls) == (0, [(["17"], "infer.abc.1")])
    assert capsys.readouterr().out == "infer: job 17, 2 jobs of an array cancelled\n"
    assert (after.over, after.stages["infer"].works[0].over) == ("cancelled", "cancelled")
    assert [path.name for path in work.paths.journal.glob("leader-cancel-*")]


def test_a_second_time_there_is_nothing_to_do(run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    """Also of a run that is done."""
    at_work(run)
    cancel.main([])
    capsys.readouterr()

    assert cancel.main([]) == 0
    assert capsys.readouterr().out == f"run {run.paths.name} has no jobs to cancel: it is cancelled\n"
    assert len(slurm.calls) == 1


def test_one_stage(run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    """The run is not over while another has jobs."""
    at_work(run)
    run.begin("train")
    work = run.commands("train")
    work.sent("18", name="train.abc.1")
    code = cancel.main(["--stage", "train"])
    after = run.read()

    assert (code, slurm.calls) == (0, [(["18"], "train.abc.1")])
    assert (after.over, after.stages["infer"].works[0].over) == ("", "")
    assert after.stages["train"].works[0].over == "cancelled"
    assert cancel.main(["--stage", "x"]) == 2


def test_jobs_that_have_ended_meanwhile_are_not_said_to_be_cancelled(
    run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody led the run, so SLURM is asked first."""
    at_work(run)
    monkeypatch.setattr(asked, "Watch", Answers(*(Look(job, alive=False) for job in ("17_0", "17_1"))))

    assert (cancel.main([]), slurm.calls) == (0, [])
    assert capsys.readouterr().out == f"run {run.paths.name} had no job in the queue; it is cancelled\n"
    assert run.read().over == "cancelled"


def test_a_call_of_sbatch_that_nobody_knows_the_end_of(
    run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its job is looked up by its name."""
    run.begin("infer")
    work = run.shards("infer", 4)
    work.sending(name="infer.abc.1")
    slurm.jobs = {"infer.abc.1": ["21"], "another": ["22"]}

    assert cancel.main([]) == 0
    assert slurm.calls == [(["21"], "infer.abc.1")]
    assert capsys.readouterr().out == "infer: job 21 cancelled\n"


def test_slurm_does_not_answer(run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, nothing is written, and the next call can do it."""
    at_work(run)
    slurm.error = client.Unreachable("timed out")
    code = cancel.main([])
    error = capsys.readouterr().err
    before = run.read()
    slurm.error = None

    assert code == 1
    assert "whether the jobs (17) run on is not known; nothing was written down" in error
    assert (before.over, before.stages["infer"].works[0].over) == ("", "")
    assert cancel.main([]) == 0


def test_slurm_does_not_answer_when_it_is_asked_what_runs(
    run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is not even told to end them: that would take as long again."""
    at_work(run)
    monkeypatch.setattr(asked, "Watch", Answers(unreachable="timed out"))

    assert (cancel.main([]), slurm.calls) == (1, [])
    assert "SLURM does not answer (timed out): whether the jobs (17_0, 17_1) run on" in capsys.readouterr().err
    assert not run.read().over


def test_a_refusal_is_told(run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    """Jobs of another user, say."""
    at_work(run)
    slurm.error = client.Refused("Access/permission denied")

    assert cancel.main([]) == 1
    assert "Access/permission denied" in capsys.readouterr().err
    assert not run.read().over


def test_whoever_leads_is_waited_for(run: RunOnDisk, slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    """It may have sent jobs before it heard; those are ended too, and it is sent no signal."""
    work = at_work(run)
    lease = take(run.paths.lead)
    assert isinstance(lease, Lease)

    def lead() -> None:
        deadline = time.monotonic() + 60
        while not run.read().stages["infer"].works[0].over and time.monotonic() < deadline:
            time.sleep(0.02)
        work.sent("18", name="infer.abc.2")
        lease.release()

    leader = threading.Thread(target=lead)
    leader.start()
    code = cancel.main([])
    leader.join()

    assert code == 0
    assert slurm.calls == [(["17"], "infer.abc.1"), (["18"], "infer.abc.2")]
    assert capsys.readouterr().out.splitlines()[1].endswith(" leads the run; waiting until it has heard")


# -- resume ------------------------------------------------------------------------------------------------------------


def a_run(recipe: Path, code: int = 0) -> RunOnDisk:
    program = f"import os, sys; print(os.environ['ESP3RT_RUN'], os.getcwd(), sys.argv[1:]); sys.exit({code})"
    return RunOnDisk(recipe, ["infer"], command=[sys.executable, "-c", program, "--stages", "infer"])


def test_the_run_is_called_again_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In its folder, told which run it goes on with; its exit code is handed back."""
    run = a_run(tmp_path, code=3)

    assert resume.main([str(tmp_path)]) == 3
    assert capfd.readouterr().out.splitlines()[-1] == f"{run.paths.folder} {tmp_path} ['--stages', 'infer']"


def test_resuming_without_waiting(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The word is handed on, once."""
    a_run(tmp_path)
    resume.main([str(tmp_path), "--detach"])

    assert capfd.readouterr().out.splitlines()[-1].endswith(" ['--stages', 'infer', '--detach']")


def test_a_run_that_was_cancelled_or_failed_can_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One that is done cannot."""
    run = a_run(tmp_path)
    codes = []
    for how in ("cancelled", "failed", "done"):
        run.over(how)
        codes.append(resume.main([str(tmp_path)]))

    assert codes == [0, 0, 1]
    assert capfd.readouterr().err == (f"esp3c: error: run {run.paths.name} is done: nothing is left to go on with\n")


def test_a_run_that_is_led_cannot_be_led_by_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says who leads it."""
    run = a_run(tmp_path)
    with take(run.paths.lead):  # type: ignore[union-attr]
        code = resume.main([str(tmp_path)])
    error = capsys.readouterr().err

    assert code == 1
    assert f"run {run.paths.name} is led by process {os.getpid()} on " in error
    assert f"`esp3c status {tmp_path} --watch` shows it" in error


def test_what_cannot_be_called_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder or the Python is gone."""
    RunOnDisk(tmp_path, ["infer"], cwd=str(tmp_path / "gone"))

    assert resume.main([str(tmp_path)]) == 1
    assert "what the run was called with cannot be called again: " in capsys.readouterr().err


def test_without_a_run_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both say how to begin one."""
    expected = f"esp3c: error: no run of {tmp_path.name} was sent to a cluster yet: esp3c run {tmp_path}\n"

    assert resume.main([str(tmp_path)]) == 1
    assert cancel.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == expected * 2
