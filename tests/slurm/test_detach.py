"""Stages whose driver goes: interrupted, killed, cancelled, or detached from the beginning."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from esp3rt.slurm.ledger import read_run
from esp3rt.slurm.paths import runs_of
from slurm.cluster import Cluster
from slurm.toy import DEADLINE, Driver, Toy, until

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]
WAITS = "mark(); wait_for('go')"


def over(toy: Toy) -> str:
    """How the run ended, when it has."""
    found: str = until(lambda: toy.run().over, lambda: str([(s.name, s.state) for s in toy.run().stages.values()]))
    return found


def called(command: str, toy: Toy, *words: str) -> subprocess.CompletedProcess[str]:
    """`esp3c COMMAND`, as the compiler calls it."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "esp3rt.slurm", command, str(toy.folder), *words],
        capture_output=True, text=True, timeout=DEADLINE, cwd="/",
    )  # fmt: skip


def sbatch_that(folder: Path, before: str, after: str) -> dict[str, str]:
    """An environment in which sbatch does something before it sends a job, and after that."""
    real = shutil.which("sbatch")
    (folder / "bin").mkdir()
    (folder / "bin" / "sbatch").write_text(f'#!/bin/sh\n{before}\n{real} "$@"\n{after}\nexit 0\n')
    (folder / "bin" / "sbatch").chmod(0o755)
    return {"PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}


# -- a driver that goes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_a_driver_that_goes_leaves_its_job(cluster: Cluster, tmp_path: Path, how: str) -> None:
    """Be it by Ctrl-C, when it says how to come back, or killed. The same command finds the job where it is, sends no other,
    does not do again what is done, and ends as if nothing had been."""
    toy = Toy(tmp_path / "toy", {"one": "mark()", "two": WAITS, "three": "mark()"}, jobs={"two": {}})
    with toy.start() as driver:
        toy.await_marks("two")
        if how == "kill":
            driver.kill()
        else:
            assert driver.interrupt() == 130
            assert "its jobs run on: `esp3c status` shows them, `esp3c resume` waits for them" in driver.out
            assert "`esp3c cancel` ends them" in driver.out
    running = toy.states(cluster, "two")
    with toy.start() as driver:
        driver.await_line("two")
        toy.let("go")
        assert driver.wait() == 0, driver.out

    assert running == ["RUNNING"]
    assert toy.order() == ["one", "two", "three"]
    assert "was left before its end: this goes on with it" in driver.out
    assert f"one: was done before, in run {toy.runs()[0].name}\n" in driver.out
    assert len(toy.jobs(cluster, "two")) == 1
    assert len(toy.runs()) == 1


def test_a_job_that_ends_while_nobody_looks(cluster: Cluster, tmp_path: Path) -> None:
    """Is done when somebody looks again; one that failed has failed."""
    toy = Toy(
        tmp_path / "toy", {"one": WAITS, "two": "mark(); wait_for('fail'); sys.exit(3)"}, jobs={"one": {}, "two": {}}
    )
    for stage, word in (("one", "go"), ("two", "fail")):
        with toy.start() as driver:
            toy.await_marks(stage)
            driver.kill()
        toy.let(word)
        until(lambda: cluster.squeue() == [])
    with toy.start() as driver:
        assert driver.wait() == 1

    assert "two ended with exit code 3" in driver.out
    assert toy.order() == ["one", "two"]


@pytest.mark.usefixtures("cluster")
def test_two_drivers(tmp_path: Path) -> None:
    """The second is refused, and told of the first; the first does not notice. Another command is another run."""
    toy = Toy(tmp_path / "toy", {"one": WAITS}, jobs={"one": {}})
    with toy.start() as first:
        toy.await_marks("one")
        with toy.start() as second:
            assert second.wait() == 1
        with toy.start("--word", "other") as third:
            toy.await_marks("one", 2)
            toy.let("go")
            assert (first.wait(), third.wait()) == (0, 0)

    assert f"process {first.process.pid} on " in second.out
    assert "leads run" in second.out
    assert "`esp3c status` shows it, `esp3c cancel` ends it" in second.out


@pytest.mark.usefixtures("cluster")
def test_two_drivers_that_begin_at_the_same_moment(tmp_path: Path) -> None:
    """One of them leads."""
    toy = Toy(tmp_path / "toy", {"one": WAITS}, jobs={"one": {}})
    drivers = [toy.start() for _ in range(4)]
    try:
        until(lambda: sum(driver.process.poll() is None for driver in drivers) == 1)
        toy.let("go")
        codes = sorted(driver.wait() for driver in drivers)
    finally:
        for driver in drivers:
            driver.kill()

    assert codes == [0, 1, 1, 1]
    assert len(toy.marks()) == 1


def test_other_configs_do_not_go_on_with_a_job(cluster: Cluster, tmp_path: Path) -> None:
    """The job goes on under those that it was sent with; the message says what can be done. When it is gone, the run begins
    anew."""
    toy = Toy(tmp_path / "toy", {"one": WAITS}, jobs={"one": {}})
    with toy.start() as driver:
        (first,) = toy.await_marks("one")
        driver.kill()
    toy.set(jobs={"one": {"time": 11}})
    with toy.start() as driver:
        assert driver.wait() == 1
    refused = driver.out
    cluster.run("scancel", first["job"])
    until(lambda: cluster.squeue() == [])
    toy.let("go")
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    assert f"was left with jobs that go on ({first['job']}), under configs that were others" in refused
    assert "`esp3c resume` waits for them, `esp3c cancel` ends them" in refused
    assert len(toy.runs()) == 2


def test_the_controller_is_gone_while_a_driver_waits(cluster: Cluster, tmp_path: Path) -> None:
    """The driver says so and waits; what its job has done is found without SLURM."""
    toy = Toy(tmp_path / "toy", {"one": WAITS, "two": "mark()"}, jobs={"one": {}})
    with toy.start() as driver:
        toy.await_marks("one")
        cluster.stop_controller()
        driver.await_line("SLURM does not answer")
        toy.let("go")
        assert driver.wait() == 0, driver.out

    assert toy.order() == ["one", "two"]


@pytest.mark.usefixtures("cluster")
def test_a_run_that_is_cancelled(tmp_path: Path) -> None:
    """The driver ends, says by whom, and has no traceback to show; the same command begins anew."""
    toy = Toy(tmp_path / "toy", {"one": WAITS, "two": "mark()"}, jobs={"one": {}})
    with toy.start() as driver:
        toy.await_marks("one")
        assert called("cancel", toy).returncode == 0
        assert driver.wait() == 1
    toy.let("go")
    first = toy.run()
    with toy.start() as again:
        assert again.wait() == 0, again.out

    assert "one was cancelled" in driver.out
    assert "what is done is kept; `esp3c resume` goes on" in driver.out
    assert "Traceback" not in driver.out
    assert (first.over, first.stages["one"].state) == ("cancelled", "cancelled")
    assert toy.order() == ["one", "one", "two"]
    assert len(toy.runs()) == 2


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_that_somebody_cancels(cluster: Cluster, tmp_path: Path, begun: bool) -> None:
    """No other is sent: it was wanted so. The driver ends and says which job it was; `resume` sends it again."""
    toy = Toy(
        tmp_path / "toy", {"one": WAITS}, jobs={"one": {} if begun else {"additional_parameters": {"hold": True}}}
    )
    with toy.start() as driver:
        job = (toy.await_marks("one")[0]["job"]) if begun else until(lambda: toy.jobs(cluster, "one"))[0].job_id
        cluster.run("scancel", job)
        until(lambda: driver.process.poll() is not None or len(toy.jobs(cluster, "one")) > 1)
        assert len(toy.jobs(cluster, "one")) == 1, driver.out
        assert driver.wait() == 1
    ended = toy.run()
    toy.set(jobs={"one": {}})
    toy.let("go")
    resumed = called("resume", toy)

    assert f"one was cancelled: somebody has ended its job {job}" in driver.out
    assert (ended.over, ended.stages["one"].state) == ("cancelled", "cancelled")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert len(toy.jobs(cluster, "one")) == 2
    assert toy.run().over == "done"


# -- a chain that was detached -----------------------------------------------------------------------------------------


def test_a_chain_ends_by_itself(cluster: Cluster, tmp_path: Path) -> None:
    """The stages before the first job are done at once, and the driver ends. The others come one after the other, each when
    the one before is done: a job, items that jobs share, and what is done on this machine otherwise; then the run is over, as
    its state says."""
    stages = {"one": "mark()", "two": WAITS, "three": "mark(); share(4); mark()", "four": "mark(); mark()"}
    toy = Toy(tmp_path / "toy", stages, jobs={"two": {}, "three": {}}, workers={"three": 2})
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    toy.await_marks("two")
    waiting = cluster.squeue()
    began = toy.order()
    toy.let("go")

    assert over(toy) == "done"
    assert began == ["one", "two"]
    assert toy.order() == ["one", "two", "three", *["item"] * 4, "three", "four", "four"]
    assert sorted((job.state, job.reason) for job in waiting) == [("PENDING", "Dependency"), ("RUNNING", "None")]
    two, three = toy.marks("two")[0]["job"], toy.marks("three")[0]["job"]
    assert toy.marks("four")[0]["job"] == three
    assert f"sent: two (job {two})\nsent: three, four (job {three})\n" in driver.out
    assert "goes on by itself; `esp3c status` shows it, `esp3c cancel` ends it" in driver.out
    items = {mark["job"] for mark in toy.marks("item")}
    assert not items & {two, three, None}
    assert {stage.name: stage.state for stage in toy.run().stages.values()} == dict.fromkeys(stages, "done")
    status = called("status", toy)
    assert status.returncode == 0
    assert ", done\n" in status.stdout


def test_a_failure_stops_the_rest_of_a_chain(cluster: Cluster, tmp_path: Path) -> None:
    """What waits for it is taken out of the queue; the run says which stage, and why. `resume` goes on from there."""
    stages = {
        "one": "mark()",
        "two": "mark(); (HERE / 'mended').exists() or sys.exit(3)",
        "three": "mark()",
        "four": "mark()",
    }
    toy = Toy(tmp_path / "toy", stages, jobs={"one": {}, "two": {}, "four": {}})
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    assert over(toy) == "failed"
    until(lambda: cluster.squeue() == [])
    failed = [(stage.state, stage.why) for stage in toy.run().stages.values()]
    status = called("status", toy)
    toy.let("mended")
    resumed = called("resume", toy, "--detach")

    assert failed == [("done", ""), ("failed", "ended with exit code 3"), ("waiting", ""), ("waiting", "")]
    assert status.returncode == 1
    assert "two failed: ended with exit code 3" in status.stdout
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    until(lambda: toy.run().over == "done")
    assert toy.order() == ["one", "two", "two", "three", "four"]
    assert len(toy.runs()) == 1


@pytest.mark.usefixtures("cluster")
def test_a_chain_that_failed_goes_on_with_the_same_command(tmp_path: Path) -> None:
    """From the stage that failed, and it says so; without `--detach` the driver sees it to its end."""
    stages = {"one": "mark()", "two": "mark(); (HERE / 'mended').exists() or sys.exit(3)", "three": "mark()"}
    toy = Toy(tmp_path / "toy", stages, jobs={"one": {}, "two": {}})
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    assert over(toy) == "failed"
    toy.let("mended")
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    assert "failed: this goes on where it did (after `esp3c cancel` it would begin anew)" in driver.out
    assert toy.order() == ["one", "two", "two", "three"]
    assert toy.run().over == "done"


def test_a_chain_that_goes_on_is_left_alone(cluster: Cluster, tmp_path: Path) -> None:
    """The same command with `--detach` says that it does, and sends nothing. When it is done, the command begins anew."""
    toy = Toy(tmp_path / "toy", {"one": WAITS, "two": "mark()"}, jobs={"one": {}, "two": {}})
    for _ in range(2):
        with toy.start("--detach") as driver:
            assert driver.wait() == 0, driver.out
        toy.await_marks("one")
    second = driver.out
    sent = len(toy.jobs(cluster, "one")), len(toy.jobs(cluster, "two"))
    toy.let("go")
    assert over(toy) == "done"
    with toy.start() as driver:
        assert driver.wait() == 0, driver.out

    assert "goes on by itself" in second
    assert "sent:" not in second
    assert sent == (1, 1)
    assert toy.order() == ["one", "two", "one", "two"]
    assert len(toy.runs()) == 2


def test_a_driver_takes_the_lead_of_a_chain(cluster: Cluster, tmp_path: Path) -> None:
    """The job that runs goes on, and is waited for; those that wait are the driver's from then on, and sent when it is their
    turn."""
    stages = {"one": "mark()", "two": WAITS, "three": "mark()", "four": "mark(); share(2)"}
    toy = Toy(tmp_path / "toy", stages, jobs={"two": {}, "three": {}, "four": {}}, workers={"four": 2})
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    toy.await_marks("two")
    with toy.start() as driver:
        until(lambda: [job.state for job in cluster.squeue()] == ["RUNNING"])
        toy.let("go")
        assert driver.wait() == 0, driver.out

    assert toy.order() == ["one", "two", "three", "four", "item", "item"]
    assert toy.marks("four")[0]["job"] is None
    assert len(toy.jobs(cluster, "two")) == 1
    assert toy.run().over == "done"


def test_a_run_that_was_led_may_be_detached(cluster: Cluster, tmp_path: Path) -> None:
    """The job that runs is part of the chain then, and speaks for itself; the rest is sent after it. A job that ended badly
    while nobody looked is sent again."""
    stages = {"one": "mark(); wait_for('one')", "two": "mark()", "three": "mark()"}
    toy = Toy(tmp_path / "toy", stages, jobs={"one": {}, "two": {}})
    with toy.start() as driver:
        (lost,) = toy.await_marks("one")
        driver.kill()
    os.kill(lost["pid"], 9)
    until(lambda: cluster.squeue() == [])
    first = called("resume", toy, "--detach")
    toy.await_marks("one", 2)
    with toy.start() as driver:
        until(lambda: len(cluster.squeue()) == 1)
        driver.kill()
    second = called("resume", toy, "--detach")
    toy.let("one")

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert over(toy) == "done"
    assert toy.order() == ["one", "one", "two", "three"]


@pytest.mark.usefixtures("cluster")
def test_the_last_stages_alone_may_be_detached(tmp_path: Path) -> None:
    """Where what is left needs no job of its own, a job of the setting before does it."""
    stages = {"one": "mark()", "two": "mark(); (HERE / 'mended').exists() or sys.exit(3)"}
    toy = Toy(tmp_path / "toy", stages, jobs={"one": {}})
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    assert over(toy) == "failed"
    toy.let("mended")
    resumed = called("resume", toy, "--detach")

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    until(lambda: toy.run().over == "done")
    assert toy.order() == ["one", "two", "two"]


def test_a_job_of_a_chain_that_sends_others(cluster: Cluster, tmp_path: Path) -> None:
    """Warned, as its time may be over long before theirs begins, it goes on when SLURM starts it again: its jobs run on, and
    no item is worked on twice. It has no GPUs, and its jobs have nothing of its own settings."""
    stages = {"one": "mark(gpus=os.environ.get('CUDA_VISIBLE_DEVICES')); share(2)", "two": "mark()"}
    options = {"attempts": 1, "partition": "gpu", "gpus_per_node": 1}
    toy = Toy(tmp_path / "toy", stages, jobs={"one": options}, workers={"one": 2})
    toy.let("hold")
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    first, second = toy.await_marks("item", 2)
    (leader,) = toy.marks("one")
    cluster.run("scancel", "--signal=USR2", leader["job"])
    toy.await_marks("one", 2)
    toy.let("go")

    assert over(toy) == "done"
    assert toy.order() == ["one", "item", "item", "one", "two"]
    assert [mark["gpus"] for mark in toy.marks("one")] == [None, None]
    assert [mark["job"] for mark in toy.marks("one")] == [leader["job"]] * 2
    assert len({first["job"], second["job"], leader["job"]}) == 3
    assert (first["restarts"], second["restarts"]) == (0, 0)


@pytest.mark.usefixtures("cluster")
def test_a_job_that_leads_waits_until_the_chain_is_sent(tmp_path: Path) -> None:
    """Where it begins while the driver is still sending those after it."""
    toy = Toy(
        tmp_path / "toy", {"one": "share(2); mark()", "two": "mark()"}, jobs={"one": {}, "two": {}}, workers={"one": 2}
    )
    waits = f"grep -rqs 'leads the run; waiting until it lets go' '{toy.folder}/.esp3c/runs'"
    env = sbatch_that(tmp_path, f'grep -q job-name=two "$1" && until {waits}; do sleep 0.1; done', "")
    with toy.start("--detach", env=env) as driver:
        assert driver.wait() == 0, driver.out

    assert over(toy) == "done"
    assert toy.order() == ["item", "item", "one", "two"]


def test_a_chain_that_is_cancelled(cluster: Cluster, tmp_path: Path) -> None:
    """All of it goes."""
    toy = Toy(tmp_path / "toy", {"one": WAITS, "two": "mark()"}, jobs={"one": {}, "two": {}})
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    toy.await_marks("one")
    cancelled = called("cancel", toy)
    until(lambda: cluster.squeue() == [])

    assert cancelled.returncode == 0, cancelled.stderr
    assert toy.run().over == "cancelled"
    assert toy.order() == ["one"]


def test_a_job_of_a_chain_that_slurm_refuses(cluster: Cluster, tmp_path: Path) -> None:
    """Then none of them is left, and the message says why."""
    toy = Toy(tmp_path / "toy", {"one": WAITS, "two": "mark()"}, jobs={"one": {}, "two": {"partition": "nowhere"}})
    with toy.start("--detach") as driver:
        assert driver.wait() == 1
    until(lambda: cluster.squeue() == [])

    assert "SLURM does not take the job: sbatch: " in driver.out
    assert toy.run().over == "failed"


def test_a_driver_that_is_killed_while_it_sends(cluster: Cluster, tmp_path: Path) -> None:
    """The same command sends what lacks, and no job twice."""
    env = sbatch_that(tmp_path, "", 'grep -q job-name=two "$1" && kill -9 $PPID')
    toy = Toy(tmp_path / "toy", {"one": WAITS, "two": "mark()", "three": "mark()"}, jobs={"one": {}, "two": {}})
    with toy.start("--detach", env=env) as driver:
        assert driver.wait() == -9
    toy.await_marks("one")
    with toy.start("--detach") as driver:
        assert driver.wait() == 0, driver.out
    toy.let("go")

    assert over(toy) == "done"
    assert toy.order() == ["one", "two", "three"]
    assert toy.states(cluster, "one") == ["COMPLETED"]
    assert len(toy.runs()) == 1


@pytest.mark.usefixtures("cluster")
def test_detach_needs_a_stage_that_is_sent(tmp_path: Path) -> None:
    """Else it is refused before anything runs."""
    toy = Toy(tmp_path / "toy", {"one": "mark()", "two": "mark()"}, jobs={})
    with toy.start("--detach") as driver:
        assert driver.wait() == 1

    assert "--detach: 'one', 'two' run on this machine" in driver.out
    assert toy.marks() == []


def test_a_stage_may_be_called_from_any_folder(cluster: Cluster, tmp_path: Path) -> None:
    """A path on the command line means the same in a job."""
    toy = Toy(tmp_path / "toy", {"one": "mark(here=os.getcwd(), words=sys.argv[1:3])"}, jobs={"one": {}})
    with Driver(["toy/run.py", "--word", "toy/conf"], tmp_path, {}) as driver:
        assert driver.wait() == 0, driver.out

    (mark,) = toy.marks()
    assert (mark["here"], mark["words"]) == (str(tmp_path), ["--word", "toy/conf"])
    assert len(cluster.squeue()) == 0


@pytest.mark.training
@pytest.mark.usefixtures("cluster")
def test_a_recipe_from_beginning_to_end(tmp_path: Path) -> None:
    """A recipe of the repository, cut to seconds and detached: data here, statistics and hypotheses by arrays of jobs, the
    training as a job, and the measuring after it."""
    built = (".esp3c", "exp", "data", "conf", "recipe_data", "run.py", "system.py", "__pycache__")
    kept_out = shutil.ignore_patterns(*built)
    folder = Path(shutil.copytree(ROOT / "recipes" / "spoken_digits", tmp_path / "digits", ignore=kept_out))
    recipe = folder / "recipe.esp"
    text = recipe.read_text()
    for old, new in {
        "utterances = 2000": "utterances = 60",
        "max_epochs = 9": "max_epochs = 1",
        "local(n_workers = 1)": "slurm(cpus_per_task = 1, mem = 1500MB, time = 10min, n_workers = 2, n_shards = 4)",
        "  train\n": "  train on here\n",
    }.items():
        assert old in text
        text = text.replace(old, new)
    recipe.write_text(text)
    esp3c = [sys.executable, "-m", "esp3c.cli.main"]
    sent = subprocess.run([*esp3c, "run", str(recipe), "--detach"], capture_output=True, text=True, timeout=DEADLINE)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    until(lambda: read_run(runs_of(folder)[-1]).over, lambda: str(read_run(runs_of(folder)[-1]).stages))
    status = subprocess.run([*esp3c, "status", str(recipe)], capture_output=True, text=True, timeout=DEADLINE)

    assert status.returncode == 0, status.stdout + status.stderr
    lines = [line.split() for line in status.stdout.splitlines()[1:]]
    assert [line[:2] for line in lines if line] == [
        ["create_dataset", "done"],
        ["collect_stats", "done"],
        ["train", "done"],
        ["infer", "done"],
        ["measure", "done"],
    ]
    assert "infer           done  8 of 8 shards done" in status.stdout
    metrics = json.loads((folder / "exp/ctc/inference/metrics.json").read_text())
    assert metrics["espnet3.systems.asr.metrics.wer.WER"]["seen_voices"]["words"] > 10
