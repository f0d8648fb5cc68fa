"""Commands that have names of their own: what is said of each."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from esp3rt.slurm.named import named_lines
from esp3rt.slurm.view import plain, table
from support.cluster_runs import START, RunOnDisk


@pytest.fixture
def run(tmp_path: Path) -> RunOnDisk:
    recipe = tmp_path / "digits"
    recipe.mkdir()
    return RunOnDisk(recipe, ["sweep"])


def test_each_has_a_line_those_that_run_first(run: RunOnDisk) -> None:
    run.begin("sweep")
    work = run.commands("sweep", ["lr=1", "lr=2", "lr=10", "lr=20"])
    work.sent("17", 4, [0, 1, 2, 3])
    work.worker("17_0", "n1").done(0, 12.0)
    work.worker("17_1", "n1").began(1)
    bad = work.worker("17_2", "n2")
    bad.began(2)
    bad.failed(2, "ended with exit code 3")
    work.write("gave_up", task=2, why="ended with exit code 3")
    now = START + run.now

    assert named_lines(run.read(), now) == [
        "  lr=2   running on n1, 0.0 s",
        "  lr=10  failed: ended with exit code 3",
        "  lr=20  waiting",
        "  lr=1   done in 12 s",
    ]
    assert plain(run.read(), now)[-4:] == named_lines(run.read(), now)
    drawn = io.StringIO()
    Console(file=drawn, width=80).print(table(run.read(), now))
    assert "  lr=10  failed: ended with exit code 3" in drawn.getvalue()


def test_one_that_was_lost_says_why_it_waits_and_how_often_it_was_begun(run: RunOnDisk) -> None:
    run.begin("sweep")
    work = run.commands("sweep", ["lr=1", "lr=2"])
    work.sent("17", 2, [0, 1])
    for number in range(2):
        lost = work.worker(f"17_{number}", "n1")
        lost.began(number)
        lost.died(number, "killed by SIGKILL")
        work.write("again", task=number, attempt=2, avoid=[], why="killed by SIGKILL")
    work.worker("18", "n2").began(1, 2)

    assert named_lines(run.read(), START + run.now) == [
        "  lr=2  running on n2, 0.0 s, attempt 2",
        "  lr=1  waiting: killed by SIGKILL",
    ]


def test_of_many_those_at_the_end_are_counted(run: RunOnDisk) -> None:
    run.begin("sweep")
    work = run.commands("sweep", [f"seed={number}" for number in range(40)])
    work.sent("17", 40, list(range(40)))
    for number in range(20):
        work.worker(f"17_{number}", "n1").done(number)
    work.write("over", how="cancelled", why="")

    lines = named_lines(run.read(), START + run.now)

    assert lines[0] == "  seed=20  not done: it was cancelled"
    assert lines[-1] == "  and 16 more: 16 done"
    assert len(lines) == 25


def test_a_stage_that_is_one_job_has_no_name_of_its_own(run: RunOnDisk) -> None:
    run.begin("sweep")
    run.commands("sweep").sent("17")

    assert named_lines(run.read(), START + run.now) == []
