"""`logs`: what the jobs of a run print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from esp3rt.lease import take
from esp3rt.slurm import asked, logs
from esp3rt.slurm.looks import Look
from support.cluster_runs import Answers, RunOnDisk


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunOnDisk:
    recipe = tmp_path / "digits"
    recipe.mkdir()
    monkeypatch.chdir(recipe)
    return RunOnDisk(recipe, ["train", "infer", "measure"])


def shown(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    assert logs.main(list(words)) == code
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *words: str, code: int = 1) -> str:
    assert logs.main(list(words)) == code
    return capsys.readouterr().err.removeprefix("esp3c: error: ").rstrip("\n")


def two_stages(run: RunOnDisk) -> None:
    run.begin("train")
    work = run.commands("train")
    work.sent("16")
    worker = work.worker("16", "n1")
    worker.prints("epoch 1\nepoch 2\n")
    worker.done(0)
    worker.left()
    work.write("over", how="done")
    run.end("train")
    run.begin("infer")
    work = run.shards("infer", 4)
    work.sent("17", jobs=2)
    for index, node in enumerate(["n1", "n2"]):
        worker = work.worker(f"17_{index}", node)
        worker.prints("".join(f"{node} line {number}\n" for number in range(30)))
        worker.began(index)


def test_the_log_of_what_runs(run: RunOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several logs the end of each, with the name of the worker."""
    two_stages(run)
    expected = [f"17_{index}.0 | n{index + 1} line {number}" for index in range(2) for number in range(10, 30)]

    assert shown(capsys) == expected
    assert shown(capsys, "--lines", "1") == ["17_0.0 | n1 line 29", "17_1.0 | n2 line 29"]


def test_the_log_of_one_job_is_shown_whole(run: RunOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name before its lines, for there is no other."""
    two_stages(run)

    assert shown(capsys, "--stage", "train") == ["epoch 1", "epoch 2"]
    assert shown(capsys, "--stage", "train", "--lines", "1") == ["epoch 2"]


def test_the_stage_that_failed_goes_before_the_last(run: RunOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing runs any more."""
    two_stages(run)
    infer = run.read().stages["infer"].works[0]
    from esp3rt.slurm.journal import Journal

    Journal(infer.paths.journal, "leader-2").write("over", how="done")
    run.end("infer")
    last = shown(capsys, "--lines", "1")
    run.end("train", "failed", "why")
    failed = shown(capsys, "--lines", "1")

    assert (len(last), failed) == (2, ["epoch 2"])


def test_the_job_that_has_a_shard(run: RunOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """The latest attempt's, and where those before it are."""
    two_stages(run)
    work = run.shards("infer", 8)
    lost, worker = work.worker("18_0", "n1"), work.worker("18_1", "n2")
    lost.began(5)
    lost.died(5, "killed by SIGKILL")
    run.now += 1
    work.write("again", task=5, attempt=2, avoid=[], why="killed by SIGKILL")
    code = logs.main(["--shard", "5"])
    while_it_waits = capsys.readouterr()
    lost.prints("of the first\n")
    worker.prints("of the second\n")
    run.now += 1
    worker.began(5, attempt=2)
    logs.main(["--stage", "infer", "--shard", "5"])
    then = capsys.readouterr()

    assert code == 1
    assert while_it_waits.err.splitlines()[0] == (
        "shard 5: attempt 1, by 18_0.0.0 on n1, came to nothing: killed by SIGKILL; it begins again"
    )
    assert then.out == "of the second\n"
    assert then.err.splitlines() == [
        "shard 5: attempt 2, by 18_1.0.0 on n2, is at work",
        f"  attempt 1 was by 18_0.0.0: {lost.log}",
        f"  its log has all that this job did: {worker.log}",
    ]


def test_what_there_is_no_log_of(run: RunOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what to look at instead."""
    name = run.paths.name

    assert refused(capsys) == f"run {name} has sent no jobs yet: `esp3c status` says how far it is"
    two_stages(run)
    assert refused(capsys, "--stage", "measure") == "measure has sent no jobs"
    assert refused(capsys, "--stage", "x", code=2) == (
        "--stage x: the run has no such stage; it has train, infer, measure"
    )
    assert refused(capsys, "--shard", "4", code=2) == "--shard 4: infer has shards 0 to 3"
    assert refused(capsys, "--shard", "3") == "shard 3 has not begun yet; `esp3c status` says how far it is"
    with pytest.raises(SystemExit) as ended:
        logs.main(["--lines", "-1"])
    assert ended.value.code == 2


def test_a_stage_with_a_log_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that sent no jobs names it, where the run knows it."""
    run = RunOnDisk(tmp_path, ["measure", "infer"], logs={"measure": "exp/a/measure.log"})
    run.shards("infer", 1)

    assert refused(capsys, str(tmp_path), "--stage", "measure") == (
        f"measure has sent no jobs; its own log is {tmp_path}/exp/a/measure.log"
    )


def test_a_job_that_never_said_anything(run: RunOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """Its log tells why."""
    run.begin("train")
    work = run.commands("train")
    work.sent("16")
    (work.paths.logs / "16_0_log.out").write_text("module: command not found\n", encoding="utf-8")

    assert shown(capsys) == ["module: command not found"]


def test_following_ends_with_the_work(run: RunOnDisk) -> None:
    """New lines, new workers from their first line, the end of a line that came late."""
    run.begin("infer")
    work = run.shards("infer", 4)
    with take(run.paths.lead), following() as process:  # type: ignore[union-attr]
        assert process.stdout is not None
        assert process.stderr is not None
        waiting = process.stderr.readline()
        first = work.worker("17_0", "n1")
        first.prints("one\n")
        lines = [process.stdout.readline()]
        second = work.worker("17_1", "n2")
        second.prints("two\nthr")
        lines.append(process.stdout.readline())
        second.prints("ee\nfour")
        work.write("over", how="done")
        run.end("infer")
        lines += process.stdout.readlines()
        code = process.wait(60)

    assert waiting == "no job of infer has begun yet; `esp3c status` says how far it is\n"
    assert lines == ["one\n", "17_1.0 | two\n", "17_1.0 | three\n", "17_1.0 | four\n"]
    assert code == 0


def test_following_goes_on_between_two_works(run: RunOnDisk) -> None:
    """A stage may have a work for each test set."""
    run.begin("infer")
    work = run.shards("infer", 1)
    work.worker("17", "n1").prints("one\n")
    with take(run.paths.lead), following() as process:  # type: ignore[union-attr]
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        work.write("over", how="done")
        work = run.shards("infer", 1)
        work.worker("18", "n1").prints("two\n")
        lines.append(process.stdout.readline())
        run.end("infer")
        lines += process.stdout.readlines()

    assert lines == ["one\n", "18.0 | two\n"]


def following() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "esp3rt.slurm", "logs", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_following_what_nobody_leads(
    run: RunOnDisk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends when SLURM says that no job is left, for nobody else will say so."""
    two_stages(run)
    answers = Answers(*(Look(job, "COMPLETED", alive=False) for job in ("17_0", "17_1")))
    monkeypatch.setattr(asked, "Watch", answers)

    assert len(shown(capsys, "-f")) == 40
    assert set(answers.asked) == {"17_0", "17_1"}
