"""Worker processes: they work, die, fail, print and end; the driver sees all of it."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from esp3rt.processes import LocalProcesses, gpu_of
from esp3rt.work import InProcess, Job, TaskFailed, WorkersDied


class Odd(Exception):
    """An error that cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def _run(
    work: Callable[[Any, int, Callable[[int], None]], Any], tasks: int = 6, workers: int = 2, **settings: Any
) -> Any:
    job = Job(setup=settings.pop("setup", dict), work=work, name_of="shard {}".format)
    moved: list[int] = []
    outcomes = {
        outcome.task: outcome.result
        for outcome in LocalProcesses(workers, **settings).run(job, range(tasks), moved.append)
    }
    return [outcomes[task] for task in range(tasks)], sum(moved)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_tasks_are_shared_out_and_each_process_sets_up_once() -> None:
    """As many processes as workers, none of them this one; what they count adds up."""

    def setup() -> dict[str, Any]:
        return {"pid": os.getpid(), "setups": [1]}

    def work(built: dict[str, Any], task: int, moved: Callable[[int], None]) -> tuple[int, int, int]:
        time.sleep(0.05)
        moved(task)
        built["setups"].append(1)
        return task * task, built["pid"], os.getpid()

    results, moved = _run(work, setup=setup)

    assert [result[0] for result in results] == [0, 1, 4, 9, 16, 25]
    assert moved == 15
    assert len({pid for _, pid, _ in results}) == 2
    assert all(built == own != os.getpid() for _, built, own in results)


def test_here_the_same_happens_in_this_process() -> None:
    """In order, and set up once."""
    made: list[int] = []
    job = Job(setup=lambda: made.append(1), work=lambda built, task, moved: (task, os.getpid()))

    outcomes = [outcome.result for outcome in InProcess().run(job, [2, 0], lambda n: None)]
    assert (outcomes, made) == ([(2, os.getpid()), (0, os.getpid())], [1])
    assert list(InProcess().run(job, [], lambda n: None)) == []


def test_a_worker_that_dies_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its task is done again, the others are not, and what it had counted is taken back."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> int:
        with (tmp_path / str(task)).open("a") as log:
            log.write("x")
        moved(1)
        if task == 3 and (tmp_path / "3").read_text() == "x":
            time.sleep(0.3)
            moved(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    results, moved = _run(work)

    assert results == [0, 1, 2, 3, 4, 5]
    assert moved == 6
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        **{str(task): "x" for task in range(6)},
        "3": "xx",
    }
    assert "died while it worked on shard 3 (killed by SIGKILL" in capsys.readouterr().out


def test_a_task_that_kills_every_worker_ends_the_run() -> None:
    """With what the last of them printed."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> None:
        if task == 1:
            print("about to fall", flush=True)
            os._exit(3)

    with pytest.raises(WorkersDied) as caught:
        _run(work)
    assert str(caught.value) == (
        "3 worker processes died while it worked on shard 1; the last was ended with exit code 3. The last lines that "
        "it printed:\n  about to fall"
    )


def test_a_setup_that_kills_ends_the_run() -> None:
    """Before the first task."""
    with pytest.raises(WorkersDied, match="3 worker processes died before its first task"):
        _run(lambda built, task, moved: None, setup=lambda: os._exit(1))


def test_an_error_is_raised_here() -> None:
    """As it is, with the worker's traceback; one that cannot be sent is told in words."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> None:
        raise Odd(1, 2) if built else KeyError("speech")

    with pytest.raises(KeyError, match="speech") as caught:
        _run(work)
    assert "KeyError: 'speech'" in caught.value.__notes__[0]
    with pytest.raises(TaskFailed, match="Odd: 1 and 2"):
        _run(work, setup=lambda: {"odd": True})


def test_what_a_worker_prints_comes_out_here(capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line, with its number."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> None:
        print("a line", flush=True)
        print("an error", file=sys.stderr)
        print("half", end="")

    _run(work, tasks=1, workers=1)
    assert sorted(capsys.readouterr().out.splitlines()) == ["worker 0: a line", "worker 0: an error", "worker 0: half"]


def test_no_worker_is_left_when_the_driver_stops_early() -> None:
    """The iterator is closed, and so is all that it started."""
    before = {child.pid for child in psutil.Process().children()}
    job = Job(setup=dict, work=lambda built, task, moved: time.sleep(task * 100))
    outcomes = LocalProcesses(2).run(job, range(4), lambda n: None)
    assert next(outcomes).task == 0
    assert {child.pid for child in psutil.Process().children()} - before

    outcomes.close()
    assert {child.pid for child in psutil.Process().children()} == before


def test_no_worker_outlives_a_driver_that_is_killed(tmp_path: Path) -> None:
    """Though nobody is left to end it."""
    script = tmp_path / "drive.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from esp3rt.processes import LocalProcesses
            from esp3rt.work import Job

            def work(built, task, moved):
                open(f"{sys.argv[1]}/{os.getpid()}.pid", "w").close()
                time.sleep(100)

            list(LocalProcesses(2).run(Job(setup=dict, work=work), range(2), print))
            """
        )
    )
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    deadline = time.monotonic() + 30
    while len(found := list(tmp_path.glob("*.pid"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    driver.kill()
    driver.wait()

    pids = [int(path.stem) for path in found]
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    """And its own functions reach the workers, as do its folder, its path and its arguments."""
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong queue')\n")
    (tmp_path / "helper.py").write_text("def triple(n): return 3 * n\n")
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            sys.path.remove(sys.path[0])
            from esp3rt.processes import LocalProcesses
            from esp3rt.work import Job
            sys.path.append(".")

            def work(built, task, moved):
                from helper import triple
                return triple(task), sys.argv[1:]

            print([o.result for o in LocalProcesses(1).run(Job(setup=dict, work=work), range(2), print)])
            """
        )
    )
    done = subprocess.run([sys.executable, "run.py", "one"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[(0, ['one']), (3, ['one'])]\n", "")


def test_ctrl_c_ends_the_workers_quietly(tmp_path: Path) -> None:
    """A terminal sends the signal to all of them; only the driver answers it."""
    started = threading.Event()

    def work(built: Any, task: int, moved: Callable[[int], None]) -> None:
        moved(1)
        time.sleep(0.3)
        moved(1)
        time.sleep(100)

    def interrupt(n: int) -> None:
        if not started.is_set():
            started.set()
            for child in psutil.Process().children():
                if child.pid not in before:
                    child.send_signal(signal.SIGINT)
            raise KeyboardInterrupt

    before = {child.pid for child in psutil.Process().children()}
    job = Job(setup=dict, work=work)
    with pytest.raises(KeyboardInterrupt):
        list(LocalProcesses(2).run(job, range(2), interrupt))
    assert {child.pid for child in psutil.Process().children()} <= before


def test_workers_share_the_cores_and_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set already stays."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")

    def work(built: Any, task: int, moved: Callable[[int], None]) -> list[str]:
        return [os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")]

    cores = len(os.sched_getaffinity(0))
    results, _ = _run(work, tasks=1, workers=1, environment=gpu_of)
    assert results == [[str(cores), "7", "4"]]
    assert [gpu_of(number) for number in range(3)] == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("4", "6", "4")]
    with pytest.raises(ValueError, match="at least one worker, not 0"):
        LocalProcesses(0)


def test_workers_that_are_kept_do_the_next_job_too() -> None:
    """With another environment, and what they imported still there; `close` ends them."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> tuple[int, bool, Any]:
        import colorsys

        known = hasattr(colorsys, "seen")
        colorsys.seen = True  # type: ignore[attr-defined]
        return os.getpid(), known, built

    before = {child.pid for child in psutil.Process().children()}
    execution = LocalProcesses(1, keep=True)
    first, second = (
        list(execution.run(Job(setup=lambda name=name: name, work=work), [0], lambda n: None))[0]  # noqa: RUF015
        for name in ("one", "two")
    )
    pid = first.result[0]
    assert (first.result[1:], second.result) == ((False, "one"), (pid, True, "two"))
    with pytest.raises(ValueError, match="no"):
        list(execution.run(Job(setup=dict, work=_fails), [0], lambda n: None))
    assert not psutil.pid_exists(pid), "after an error nothing is kept"

    list(execution.run(Job(setup=dict, work=work), [0], lambda n: None))
    execution.close()
    assert {child.pid for child in psutil.Process().children()} == before


def _fails(built: Any, task: int, moved: Callable[[int], None]) -> None:
    raise ValueError("no")


def test_what_cannot_be_brought_over_is_told_in_words() -> None:
    """A result that only the worker can make again; an exit, which is an error like any other and not a death."""

    class Home:
        def __reduce__(self) -> Any:
            return _only_in, (os.getpid(),)

    with pytest.raises(TaskFailed, match=r"the result of shard 0 cannot be brought over .*only there"):
        _run(lambda built, task, moved: Home(), tasks=1)
    with pytest.raises(TaskFailed, match="SystemExit: 4"):
        _run(lambda built, task, moved: sys.exit(4), tasks=1)


def _only_in(pid: int) -> int:
    if os.getpid() != pid:
        raise RuntimeError("only there")
    return pid


def test_what_a_worker_has_started_ends_with_it(tmp_path: Path) -> None:
    """A worker that is killed is noticed while its children live; and no child is left in the end."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> int:
        first = not (tmp_path / "first").exists()
        child = subprocess.Popen(["sleep", "300"])
        (tmp_path / str(child.pid)).touch()
        if first:
            (tmp_path / "first").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    begun = time.monotonic()
    assert _run(work, tasks=1, workers=1)[0] == [0]
    assert time.monotonic() - begun < 60
    children = [int(path.name) for path in tmp_path.iterdir() if path.name != "first"]
    assert len(children) == 2
    deadline = time.monotonic() + 20
    while any(_lives(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_that_is_printed_is_lost(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Python's own switch for it; of a progress bar the last state comes out."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)

    def work(built: Any, task: int, moved: Callable[[int], None]) -> None:
        for line in range(300):
            print(f"{task} {line}")
        print("\r".join(f"{percent} %" for percent in range(101)))
        if task == 1 and not built:
            built["once"] = True

    _run(work, tasks=2, workers=2)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(" 299") for line in lines) == 2
    assert len(lines) == 602
    assert sum(line.endswith(": 100 %") for line in lines) == 2
    with pytest.raises(WorkersDied, match="the last words"):
        _run(lambda built, task, moved: (print("the last words"), os.abort()), tasks=1)


def test_a_task_begins_where_the_driver_is(tmp_path: Path) -> None:
    """Though the one before went somewhere else; a kept worker sees variables that were set since."""

    def work(built: Any, task: int, moved: Callable[[int], None]) -> tuple[str, str | None]:
        found = os.getcwd(), os.environ.get("SET_SINCE")
        os.chdir(tmp_path)
        return found

    execution = LocalProcesses(1, keep=True)
    job = Job(setup=dict, work=work)
    before = [outcome.result for outcome in execution.run(job, range(2), lambda n: None)]
    os.environ["SET_SINCE"] = "yes"
    try:
        after = [outcome.result for outcome in execution.run(job, [0], lambda n: None)]
    finally:
        del os.environ["SET_SINCE"]
        execution.close()

    assert before == [(os.getcwd(), None)] * 2
    assert after == [(os.getcwd(), "yes")]
