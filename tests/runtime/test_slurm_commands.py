"""A process of a job that runs a command: what it does with signals, and what it says of the end. SLURM is made of scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from esp3rt.files import write_json
from esp3rt.slurm.journal import Journal, Reader
from esp3rt.slurm.ledger import read_run
from esp3rt.slurm.paths import RunPaths, WorkPaths, new_run

DEADLINE = 60.0
# It says that it has begun, and waits.
WAITS = "import pathlib, sys, time\npathlib.Path('begun').touch()\ntime.sleep(600)"
KNOWS = "import signal, sys\nsignal.signal(signal.SIGUSR2, lambda *_: sys.exit(85))\n" + WAITS
STUBBORN = "import signal\nfor n in (signal.SIGUSR2, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n" + WAITS
PROGRESSES = "import os, pathlib\npathlib.Path(os.environ['ESP3RT_PROGRESS']).touch()\n" + WAITS


class Job:
    """A job as SLURM would have started it, `state` being what squeue says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: RunPaths = new_run(folder)
        write_json(self.run.description, {"stages": ["one", "two"], "recipe": str(folder)})
        self.processes: list[subprocess.Popen[str]] = []
        (folder / "bin").mkdir()
        self.script("scontrol", f'echo "$@" >> "{folder}/requeued"')
        self.state("RUNNING")

    def script(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def state(self, word: str) -> None:
        cells = "".join(
            f"{cell}\x1f" for cell in ("17", word, "1", "0", "0", "2026-11-21T00:00:00", "n1", "None", "one")
        )
        self.script("squeue", f"printf '{cells}\\n'")

    def make(self, command: str, **about: Any) -> WorkPaths:
        """The work: one task, which is a program in Python."""
        self.work = self.run.new_work(
            "one",
            {
                "kind": "commands", "name": "one", "stage": "one", "token": "word", "tasks": [0], "created": time.time(),
                "commands": {0: [sys.executable, "-c", command]}, "variables": {"WORD": "told"},
                "place": {"folder": str(self.folder)}, "signal_delay": 11.0, "limit": 60, "attempts": 2, **about,
            },
        )  # fmt: skip
        write_json(self.work.send / "1.json", {"tasks": [0], "attempts": {"0": 1}})
        return self.work

    def start(self, **env: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        slurm = {"SLURM_JOB_ID": "17", "SLURMD_NODENAME": "n1", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "esp3rt.slurm", "work", str(self.work.folder), "1"],
            env={**kept, **slurm, "PATH": path, **env},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def begun(self) -> None:
        until((self.folder / "begun").exists)

    def said(self, worker: str = "17.0.0") -> list[tuple[str, dict[str, Any]]]:
        return [
            (event.kind, event.data) for event in Reader(self.work.journal, worker).read() if event.kind != "worker"
        ]

    def kinds(self, worker: str = "17.0.0") -> list[str]:
        return [kind for kind, _ in self.said(worker)]

    def requeued(self) -> list[str]:
        path = self.folder / "requeued"
        return path.read_text().splitlines() if path.exists() else []

    def end(self, process: subprocess.Popen[str], code: int) -> str:
        """What it has printed, when it has ended so."""
        printed, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == code, printed
        return printed


def until(what: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def warned(job: Job, command: str, env: Mapping[str, str] | None = None, **about: Any) -> subprocess.Popen[str]:
    """A process that was warned when its command had begun."""
    job.make(command, **about)
    process = job.start(**(env or {}))
    job.begun()
    process.send_signal(signal.SIGUSR2)
    return process


def test_a_command_that_does_what_it_should(job: Job) -> None:
    """In the folder and with the variables that it was given; the end is one event, which says that nothing follows."""
    job.make("import os\nprint(os.environ['WORD'], os.getcwd(), os.environ['ESP3RT_JOB'], flush=True)")
    printed = job.end(job.start(), 0)

    assert printed == f"job 17 on n1\ntold {job.folder} {job.work.folder}\n"
    assert job.said() == [
        ("began", {"task": 0, "attempt": 1}),
        ("ended", {"task": 0, "attempt": 1, "token": "word", "left": True}),
    ]


def test_an_exit_code_is_a_failure(job: Job) -> None:
    """And the job's, too."""
    job.make("raise SystemExit(3)")
    job.end(job.start(), 3)

    assert job.kinds() == ["began", "failed", "left"]
    assert job.said()[1][1]["why"] == "ended with exit code 3"


def test_a_command_that_is_killed_is_lost(job: Job) -> None:
    """Whether it had made progress is said with it."""
    job.make("import os\nopen(os.environ['ESP3RT_PROGRESS'], 'w')\nos.kill(os.getpid(), 9)")
    printed = job.end(job.start(), 137)

    assert "the command was killed by SIGKILL" in printed
    assert job.kinds() == ["began", "died", "left"]
    assert job.said()[1][1]["progress"] is True


def test_a_command_that_asks_for_it_goes_on_in_the_same_job(job: Job) -> None:
    """Warned, it ends with 85: SLURM is asked to requeue the job, which does not end before SLURM ends it."""
    process = warned(job, KNOWS)
    until(job.requeued)
    waits = process.poll()
    process.send_signal(signal.SIGTERM)
    job.end(process, 85)

    assert waits is None
    assert job.requeued() == ["requeue 17"]
    assert job.kinds() == ["began", "stopping", "requeued"]


@pytest.mark.parametrize("command", [WAITS, STUBBORN])
def test_a_command_that_knows_nothing_of_warnings(job: Job, command: str) -> None:
    """It is ended by the signal, or else cut off before the time is over; then its job is requeued like any other."""
    process = warned(job, command)
    until(job.requeued)
    process.send_signal(signal.SIGTERM)
    printed = job.end(process, 85)

    assert job.kinds() == ["began", "stopping", "requeued"]
    assert ("it is cut off" in printed) == (command == STUBBORN)


def test_a_time_limit_that_is_too_short_is_a_failure_in_the_end(job: Job) -> None:
    """A command that is not done in its time, and says of no progress, is not started again for ever."""
    process = warned(job, WAITS, {"SLURM_RESTART_COUNT": "1"}, limit=1)
    printed = job.end(process, 128 + signal.SIGUSR2)

    assert job.kinds("17.1.0") == ["began", "stopping", "failed", "left"]
    assert "the command did not end within its time limit of 1 min, 2 times" in printed
    assert job.requeued() == []


@pytest.mark.parametrize(
    ("command", "restarts", "about"),
    [
        (WAITS, "0", {"limit": 1}),
        (PROGRESSES, "7", {"limit": 1}),
        (WAITS, "7", {"limit": 60}),
        (KNOWS, "7", {"limit": 60}),
    ],
    ids=["first", "progress", "other reason", "asks, for another reason"],
)
def test_what_is_not_held_against_a_time_limit(job: Job, command: str, restarts: str, about: dict[str, Any]) -> None:
    """The first times; a command that gets on; one that was stopped long before its time was over."""
    process = warned(job, command, {"SLURM_RESTART_COUNT": restarts}, **about)
    until(job.requeued)
    process.send_signal(signal.SIGTERM)

    job.end(process, 85)


@pytest.mark.parametrize("before", [[], [0], [1]], ids=["never", "before", "now"])
def test_a_command_that_asks_to_be_started_again_for_ever(job: Job, before: list[int]) -> None:
    """It is not, unless it makes progress: times with progress do not count."""
    work = job.make("raise SystemExit(85)")
    for life in before:
        (work.ranks / f"17.{life}.progress").touch()
    process = job.start(SLURM_RESTART_COUNT="1")
    if before:
        until(job.requeued)
        process.send_signal(signal.SIGTERM)
        job.end(process, 85)

        assert job.kinds("17.1.0") == ["began", "requeued"]
        return
    printed = job.end(process, 85)

    assert job.kinds("17.1.0") == ["began", "failed", "left"]
    assert "the command asked to be started again (exit code 85) 2 times without progress" in printed
    assert job.requeued() == []


@pytest.mark.parametrize("how", ["cancelled", "done"])
def test_a_job_that_comes_too_late(job: Job, how: str) -> None:
    """The work is over, or its task is done by another job: the command is not run."""
    work = job.make("raise SystemExit(3)")
    leader = Journal(work.journal, "leader-x")
    if how == "done":
        leader.write("ended", task=0, attempt=1, token="word")
    else:
        leader.write("over", how=how, why="")
    printed = job.end(job.start(), 0)

    assert "there is nothing left to do" in printed
    assert job.kinds() == ["left"]


def test_a_signal_that_slurm_does_not_mean(job: Job) -> None:
    """Somebody has sent SIGTERM alone: nothing follows, and the job does not keep its place for long."""
    job.make(WAITS)
    process = job.start(PYTHONPATH=_hasty(job.folder))
    job.begun()
    process.send_signal(signal.SIGTERM)
    job.end(process, 143)

    assert job.kinds() == ["began", "stopping"]


def _hasty(folder: Path) -> str:
    """A path on which the waiting is short."""
    text = "from esp3rt.slurm import commands\ncommands._SECONDS_TO_BE_KILLED = 1.0\n"
    (folder / "sitecustomize.py").write_text(text)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_slurm_may_refuse_to_requeue(job: Job) -> None:
    """Then the job ends, and whoever leads is told that it is lost through no fault of its own."""
    job.script("scontrol", "echo 'slurm_requeue error: Requested operation is presently disabled' >&2; exit 1")
    process = warned(job, KNOWS)
    job.end(process, 85)

    assert job.kinds() == ["began", "stopping", "requeued", "died", "left"]
    assert job.said()[3][1]["progress"] is True
    assert "not requeued by SLURM: scontrol: " in job.said()[3][1]["why"]


def test_slurm_may_be_about_to_requeue_by_itself(job: Job) -> None:
    """What it calls an error then is none: nobody is told that the job is lost."""
    job.script("scontrol", f"touch '{job.folder}/asked'; echo 'Job is pending execution for job 17' >&2; exit 1")
    job.state("PENDING")
    process = warned(job, KNOWS)
    until((job.folder / "asked").exists)
    process.send_signal(signal.SIGTERM)
    job.end(process, 85)

    assert job.kinds() == ["began", "stopping", "requeued"]


def test_slurm_may_not_answer_at_once(job: Job) -> None:
    """It is asked again while there is time."""
    asked = job.folder / "asked"
    error = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"
    job.script(
        "scontrol",
        f"test -e '{asked}' && {{ echo \"$@\" > '{job.folder}/requeued'; exit 0; }}; touch '{asked}'; {error}",
    )
    process = warned(job, KNOWS, signal_delay=30.0)
    until(job.requeued)
    process.send_signal(signal.SIGTERM)
    job.end(process, 85)

    assert job.kinds() == ["began", "stopping", "requeued"]


def test_a_job_that_slurm_ends_says_nothing(job: Job) -> None:
    """SLURM knows why. The process stays until the job is gone: had it ended before, SLURM would not start it again."""
    job.make(WAITS)
    process = job.start()
    job.begun()
    process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in job.kinds())
    time.sleep(0.5)
    waits = process.poll()
    job.state("COMPLETING")
    job.end(process, 143)

    assert waits is None
    assert job.kinds() == ["began", "stopping"]


def test_what_is_done_is_done_although_slurm_ends_the_job(job: Job) -> None:
    """A command that ends well nevertheless has ended well."""
    job.make("import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + WAITS)
    process = job.start()
    job.begun()
    process.send_signal(signal.SIGTERM)
    job.end(process, 0)

    assert job.kinds() == ["began", "stopping", "ended"]


def test_nothing_that_a_command_has_started_outlives_it(job: Job) -> None:
    """It is ended with the command."""
    job.make("import subprocess, pathlib\npathlib.Path('pid').write_text(str(subprocess.Popen(['sleep', '600']).pid))")
    job.end(job.start(), 0)
    pid = int((job.folder / "pid").read_text())

    until(lambda: not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z")


def test_a_job_of_several_processes_is_done_when_all_are(job: Job) -> None:
    """Each runs the command; the first waits for the others, and says so for all. They agree on a place to meet."""
    job.make(
        "import os, pathlib, time\n"
        "rank = os.environ['SLURM_PROCID']\n"
        "print(os.environ['MASTER_ADDR'], os.environ['MASTER_PORT'], flush=True)\n"
        "pathlib.Path('begun' + rank).touch()\n"
        "while rank == '1' and not pathlib.Path('go').exists(): time.sleep(0.02)\n"
    )
    two = {"SLURM_NTASKS": "2", "SLURM_NNODES": "1"}
    processes = [job.start(SLURM_PROCID=rank, **two) for rank in ("0", "1")]
    for rank in "01":
        until((job.folder / f"begun{rank}").exists)
    time.sleep(0.5)
    waits = [process.poll() for process in processes]
    (job.folder / "go").touch()
    printed = [job.end(process, 0).splitlines()[1] for process in processes]

    assert waits == [None, None]
    assert printed[0] == printed[1]
    assert (job.kinds(), job.kinds("17.0.1")) == (["began", "ended"], ["left"])


# -- where nobody leads ------------------------------------------------------------------------------------------------

DETACHED = {"detached": {"stages": ["one"], "leads": False}}


def test_a_job_that_nobody_leads_speaks_for_its_stage(job: Job) -> None:
    """In the run's journals, as a leader would; the run is not over while stages follow."""
    job.make("pass", **DETACHED)
    job.end(job.start(), 0)
    run = read_run(job.run)

    assert [(stage.state, stage.where) for stage in run.stages.values()] == [("done", "slurm"), ("waiting", "")]
    assert (run.over, run.stages["one"].works[0].over) == ("", "done")


def test_a_failure_that_nobody_hears_of_ends_the_run(job: Job) -> None:
    """With the reason."""
    job.make("raise SystemExit(3)", **DETACHED)
    job.end(job.start(), 3)
    run = read_run(job.run)

    assert (run.over, run.stages["one"].state, run.stages["one"].why) == ("failed", "failed", "ended with exit code 3")


@pytest.mark.parametrize(("restarts", "code"), [("0", 85), ("1", 137)])
def test_a_job_that_nobody_leads_sees_to_its_own_attempts(job: Job, restarts: str, code: int) -> None:
    """A command that is lost is tried again by its own job, as often as the setting says."""
    job.make("import os\nos.kill(os.getpid(), 9)", **DETACHED)
    process = job.start(SLURM_RESTART_COUNT=restarts)
    if code == 85:
        until(job.requeued)
        process.send_signal(signal.SIGTERM)
    job.end(process, code)

    assert read_run(job.run).over == ("" if code == 85 else "failed")


def test_a_run_may_be_detached_when_its_job_has_begun(job: Job) -> None:
    """Then the job speaks for itself from there on."""
    work = job.make(
        "import pathlib, time\npathlib.Path('begun').touch()\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)"
    )
    process = job.start()
    job.begun()
    write_json(work.description, {**work.about(), **DETACHED})
    (job.folder / "go").touch()
    job.end(process, 0)

    assert read_run(job.run).stages["one"].state == "done"


def test_a_job_that_leads_says_what_its_command_could_not(job: Job) -> None:
    """Where this fails before it can say anything, the first of its stages that is not done has failed."""
    job.make("raise SystemExit(1)", detached={"stages": ["one", "two"], "leads": True})
    job.end(job.start(), 1)
    run = read_run(job.run)

    assert run.over == "failed"
    assert [stage.state for stage in run.stages.values()] == ["failed", "waiting"]


def test_a_job_that_leads_is_never_out_of_time(job: Job) -> None:
    """Its jobs may wait in the queue for longer than it runs."""
    process = warned(job, WAITS, {"SLURM_RESTART_COUNT": "9"}, limit=1, detached={"stages": ["one"], "leads": True})
    until(job.requeued)
    process.send_signal(signal.SIGTERM)

    job.end(process, 85)
