"""Sweeps on one machine: which points run, what is kept of them, and what is shown."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from esp3rt.files import write_json
from esp3rt.slurm.ledger import Ledger, Run
from esp3rt.slurm.runs import LedRun
from esp3rt.slurm.settings import Settings
from esp3rt.sweep import jobs
from esp3rt.sweep.results import results_of
from esp3rt.sweep.spec import DONE, Point, Record, Records, SweepError, read_sweep
from esp3rt.sweep.spec import Sweep as Spec
from support.cluster_runs import RunOnDisk
from support.sweeps import DEADLINE, Sweep, is_alive, until

GOOD = "mark(); result({loss}, {rate})"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def run(sweep: Sweep, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        sweep.command(*words), cwd=sweep.folder, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def start(sweep: Sweep, started: list[subprocess.Popen[str]], *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        sweep.command(*words), cwd=sweep.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    started.append(process)
    return process


# -- points ------------------------------------------------------------------------------------------------------------


def test_points_run_and_their_results_are_shown_the_best_first(tmp_path: Path) -> None:
    """By the first metric, and not by the loss; in the table, in sweep.csv and in sweep.json."""
    sweep = Sweep(
        tmp_path / "toy", {"1e-3": GOOD.format(loss=0.5, rate=20.0), "3e-4": GOOD.format(loss=0.7, rate=12.5)}
    )

    done = run(sweep)

    assert done.returncode == 0, done.stderr
    shown = re.sub(r"\d+\.\d s", "0.1 s", done.stdout).splitlines()
    assert shown[4:] == [
        "   lr    state  valid/loss  WER test  time",
        "*  3e-4  done          0.7      12.5  0.1 s",
        "   1e-3  done          0.5        20  0.1 s",
        "* lr=3e-4: WER test 12.5, where less is better",
        f"the results are in {sweep.spec.parent}: sweep.csv, sweep.json",
    ]
    assert [(row["point"], row["training.lr"], row["WER test"]) for row in sweep.rows()] == [
        ("lr=3e-4", "3e-4", "12.5"),
        ("lr=1e-3", "1e-3", "20.0"),
    ]
    found = sweep.results()
    assert (found["best"], found["ordered_by"], found["more_is_better"]) == ("lr=3e-4", "WER test", False)
    assert found["points"][0]["best"] == {"metric": "valid/loss", "value": 0.7, "epoch": 2}
    assert found["points"][0]["metrics"] == {"measure": {"pkg.wer.WER": {"test": {"WER": 12.5, "words": 3}}}}


def test_a_point_that_fails_leaves_the_others_alone_and_says_why(tmp_path: Path) -> None:
    """The exit code is 1, the reason is the last line of its log, and it stands last."""
    sweep = Sweep(
        tmp_path / "toy",
        {
            "1": "mark(); print('first'); sys.exit('out of luck')",
            "2": GOOD.format(loss=1, rate=5),
            "3": "os.kill(os.getpid(), 9)",
        },
    )

    done = run(sweep)

    log = sweep.spec.parent / "logs" / "lr=1.log"
    assert done.returncode == 1
    assert sweep.states() == {"lr=2": "done", "lr=1": "failed", "lr=3": "failed"}
    assert "lr=1 failed: ended with exit code 1 (out of luck)\n  its log: " + str(log) in done.stdout
    assert "lr=3 failed: killed by SIGKILL" in done.stdout
    assert log.read_text() == "first\nout of luck\n"
    assert sweep.results()["best"] == "lr=2"


def test_the_same_again_does_what_is_left(tmp_path: Path) -> None:
    """Neither what is done, nor what is the same for all points where nothing is left."""
    sweep = Sweep(tmp_path / "toy", {"1": GOOD.format(loss=1, rate=5), "2": "mark(); sys.exit(3)"}, shared="mark()")

    codes = [run(sweep).returncode]
    sweep.set("2", GOOD.format(loss=1, rate=4))
    codes += [run(sweep).returncode, run(sweep).returncode]

    assert codes == [1, 0, 0]
    assert [mark["point"] for mark in sweep.marks()] == ["all", "lr=1", "lr=2", "all", "lr=2"]
    assert sweep.states() == {"lr=2": "done", "lr=1": "done"}


def test_a_point_whose_results_are_gone_runs_again(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "toy", {"1": GOOD.format(loss=1, rate=5), "2": GOOD.format(loss=1, rate=4)})
    run(sweep)
    (sweep.folder / "exp" / "lr=1" / "metrics.json").unlink()

    done = run(sweep)

    assert done.returncode == 0
    assert "1 of 2 points are done already" in done.stdout
    assert [mark["point"] for mark in sweep.marks()] == ["lr=1", "lr=2", "lr=1"]


def test_so_many_at_once_as_asked(tmp_path: Path) -> None:
    """Two that wait for each other come to an end, with a share of the cores each."""
    body = "mark(threads=os.environ.get('OMP_NUM_THREADS')); (here / name).touch(); wait_for({other!r}); result(1, 1)"
    sweep = Sweep(tmp_path / "toy", {"1": body.format(other="lr=2"), "2": body.format(other="lr=1")})
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}

    done = subprocess.run(sweep.command("--jobs=2"), env=variables, capture_output=True, timeout=DEADLINE, check=False)

    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert done.returncode == 0
    assert [mark["threads"] for mark in sweep.marks()] == [str(share)] * 2


def test_gpus_are_shared_out(tmp_path: Path) -> None:
    body = "mark(gpus=os.environ['CUDA_VISIBLE_DEVICES']); (here / name).touch(); wait_for({other!r}); result(1, 1)"
    sweep = Sweep(tmp_path / "toy", {"1": body.format(other="lr=2"), "2": body.format(other="lr=1")})

    done = subprocess.run(
        sweep.command("--jobs=2"),
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "3,5,7"},
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )

    assert done.returncode == 0
    assert sorted(mark["gpus"] for mark in sweep.marks()) == ["3,7", "5"]


def test_nothing_begins_where_what_is_the_same_for_all_fails(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "toy", {"1": "mark()"}, shared="sys.exit('no data')")

    done = run(sweep)

    assert done.returncode == 1
    assert "could not be done, so that none was begun" in done.stdout
    assert sweep.marks() == []


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_an_interrupt_ends_points_in_order_and_the_same_command_goes_on(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    """The point hears SIGINT; what is shown says how to go on; the exit code is 130."""
    body = "mark()\ntry:\n    wait_for('go')\nexcept KeyboardInterrupt:\n    mark(how='in order')\n    sys.exit(130)\nresult(1, 1)"
    sweep = Sweep(tmp_path / "toy", {"1": GOOD.format(loss=1, rate=1), "2": body})
    process = start(sweep, started)
    until(lambda: sweep.marks("lr=2"))

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE)
    sweep.let("go")
    again = run(sweep)

    assert process.returncode == 130
    assert "interrupted; the same command goes on" in out
    assert [mark.get("how") for mark in sweep.marks("lr=2")] == [None, "in order", None]
    assert (again.returncode, sweep.states()) == (0, {"lr=1": "done", "lr=2": "done"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_point_outlives_whoever_runs_it(
    number: signal.Signals, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    sweep = Sweep(tmp_path / "toy", {"1": "mark(); wait_for('go'); result(1, 1)"})
    process = start(sweep, started)
    pid = until(sweep.marks)[0]["pid"]

    process.send_signal(number)
    process.wait(DEADLINE)
    until(lambda: not is_alive(pid))
    sweep.let("go")

    assert run(sweep).returncode == 0
    assert sweep.states() == {"lr=1": "done"}


def test_a_sweep_that_is_under_way_is_not_begun_twice(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    sweep = Sweep(tmp_path / "toy", {"1": "mark(); wait_for('go'); result(1, 1)"})
    process = start(sweep, started)
    until(sweep.marks)

    second = run(sweep)
    sweep.let("go")

    assert second.returncode == 1
    assert f"process {process.pid}" in second.stderr and "is at this sweep already" in second.stderr
    assert process.wait(DEADLINE) == 0
    assert len(sweep.marks()) == 1


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_a_terminal_gets_a_table_with_colours(tmp_path: Path) -> None:
    """And while points run, what they said last."""
    body = "print('epoch 7', flush=True); mark(); wait_for('go'); result(1, 1)"
    sweep = Sweep(tmp_path / "toy", {"1": body, "2": "sys.exit(1)"})
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(sweep.command(), env=environment, stdout=slave, stderr=slave, stdin=slave)
    os.close(slave)
    seen = bytearray()

    def read() -> bool:
        try:
            seen.extend(os.read(master, 1 << 16))
        except OSError:
            return True
        if b"epoch 7" in seen:
            sweep.let("go")
        return False

    until(read)
    os.close(master)

    assert process.wait(DEADLINE) == 1
    text = seen.decode()
    assert "│ epoch 7" in text
    assert "\x1b[1;32m" in text.rpartition("valid/loss")[2]


def _results(folder: Path, metrics: list[object], losses: list[float], mode: str = "min") -> list[str]:
    """The order of points with these contents of metrics.json and these losses."""
    sweep = Sweep(folder / "toy", {str(number): "" for number in range(len(losses))})
    spec = json.loads(sweep.spec.read_text())
    for point, found, loss in zip(spec["points"], metrics, losses, strict=True):
        point["history"]["mode"] = mode
        place = Path(point["folder"])
        place.mkdir()
        (place / "history.csv").write_text(f"epoch,valid/loss\n1,{loss}\n")
        if found is not None:
            (place / "metrics.json").write_text(found if isinstance(found, str) else json.dumps(found))
    sweep.spec.write_text(json.dumps(spec))
    read = read_sweep(sweep.spec)
    for point in read.points:
        Records(read).write(point, Record(state=DONE))
    results = results_of(read)
    return [row.point.values[0] for row in results.rows] + [results.by]


def test_in_which_order_points_stand(tmp_path: Path) -> None:
    """Less is better, but of what is more the better; of equals that with the better loss; those without numbers last."""
    rates = [{"pkg.WER": {"t": {"WER": value}}} for value in (3, 2, 3)]
    accuracies = [{"pkg.Acc": {"t": {"accuracy": value}}} for value in (3, 2, 4)]

    assert _results(tmp_path / "a", rates, [2, 3, 1]) == ["1", "2", "0", "WER t"]
    assert _results(tmp_path / "b", accuracies, [1, 2, 3]) == ["2", "0", "1", "accuracy t"]
    assert _results(tmp_path / "c", [None, None], [2, 1]) == ["1", "0", "valid/loss"]
    assert _results(tmp_path / "d", [None, None], [1, 2], "max") == ["1", "0", "valid/loss"]
    assert _results(tmp_path / "e", ["{", rates[0]], [1, 2]) == ["1", "0", "WER t"]
    assert _results(tmp_path / "f", [[1], {"a": 1, "b": {"t": {"n": "x"}}}], [float("nan"), 1]) == [
        "1",
        "0",
        "valid/loss",
    ]


def test_metrics_that_are_called_the_same_are_told_apart(tmp_path: Path) -> None:
    found = {"pkg.a.Rate": {"t": {"rate": 1}}, "pkg.b.Other": {"t": {"rate": 2}, "u": {"words": True, "rate": 3.5}}}
    sweep = Sweep(
        tmp_path / "toy",
        {"1": f"result(1, 1); (here / 'exp' / name / 'metrics.json').write_text({json.dumps(found)!r})"},
    )

    assert run(sweep).returncode == 0

    [point] = sweep.results()["points"]
    assert point["scores"] == {"rate t": 1, "Other rate t": 2, "rate u": 3.5}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 7}', '{"version": 1}'])
def test_a_spec_that_cannot_be_read_is_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(text)

    with pytest.raises(SweepError, match="start the sweep again"):
        read_sweep(file)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "esp3rt.sweep", str(file)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("esp3c: error: ") and "Traceback" not in done.stderr


class Led:
    """A run whose first work is the one that is waited for."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def commands(self, *_: object, **__: object) -> tuple[Ledger, Iterator[int]]:
        return self.run.stages["sweep"].works[0], iter([0])


def test_each_work_that_was_left_has_its_own_points(tmp_path: Path) -> None:
    """Of two, what is known of the one is not taken for the other's."""
    on_disk = RunOnDisk(tmp_path, ["sweep"])
    first, second = (on_disk.commands("sweep", names) for names in (["p1", "p2"], ["p3", "p4"]))
    for work in (first, second):
        about = work.paths.about()
        write_json(work.paths.description, {**about, "commands": {number: ["py"] for number in about["names"]}})
    first.worker("1_0", "n1").done(0)
    second.worker("2_0", "n1").began(0)
    points = [
        Point(name=name, values=(), here=(), job=("py", name), folder=None, history=None, scores=())
        for name in ("p1", "p2", "p3", "p4")
    ]
    sweep = Spec(
        file=tmp_path / "sw" / "spec.json", recipe=tmp_path, name="r", keys=(), columns=(), shared=(), setting={},
        points=tuple(points),
    )  # fmt: skip
    (tmp_path / "sw").mkdir()
    led, records = cast(LedRun, Led(on_disk.read())), Records(sweep)
    left = jobs._left(led)
    jobs._wait(led, sweep, records, Settings(), left[0])

    assert [[name for name, _ in commands] for commands in left] == [["p1", "p2"], ["p3", "p4"]]
    assert [records.of(point).state for point in points] == ["done", "waiting", "waiting", "waiting"]
