"""Claims: whoever reaches for tasks at the same time, each attempt at a task is one worker's."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esp3rt.slurm.claims import Claims, all_claims
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths, new_run


@pytest.fixture
def work(tmp_path: Path) -> WorkPaths:
    return new_run(tmp_path).new_work("infer", {})


def claims(work: WorkPaths, tasks: list[int], worker: str = "17_0.0.0", node: str = "n1", start: int = 0) -> Claims:
    return Claims(work, tasks, worker, node, start)


_WORKER = """
import json, os, sys
from pathlib import Path
from esp3rt.slurm.claims import Claims
from esp3rt.slurm.paths import WorkPaths

folder, worker, count, start, links = sys.argv[1:]
if links == "no":
    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted")
    os.link = refuse
claims = Claims(WorkPaths(Path(folder)), list(range(int(count))), worker, "n1", int(start))
print("ready", flush=True)
sys.stdin.readline()
taken = []
while (task := claims.next()) is not None:
    taken.append(task)
print(json.dumps(taken))
"""


@pytest.mark.parametrize("links", ["yes", "no"])
@pytest.mark.parametrize("apart", [True, False])
def test_each_task_is_one_workers(work: WorkPaths, links: str, apart: bool) -> None:
    """Six processes that begin at the same moment, in the same place or apart, with or without hard links: no task is left,
    none is taken twice, and the files say who has which."""
    count, workers = 300, [f"17_{number}.0.0" for number in range(6)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(work.folder), worker, str(count), str(50 * number * apart), links],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, worker in enumerate(workers)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    taken = {worker: json.loads(process.communicate()[0]) for worker, process in zip(workers, processes, strict=True)}

    assert sorted(tuple(each) for tasks in taken.values() for each in tasks) == [(task, 1) for task in range(count)]
    assert all_claims(work) == {(task, attempt): worker for worker, tasks in taken.items() for task, attempt in tasks}


def test_a_worker_begins_where_it_is_told(work: WorkPaths) -> None:
    """And goes round; where the place is beyond the end, too."""
    mine = claims(work, [5, 6, 7, 8], start=6)

    assert [mine.next() for _ in range(5)] == [(7, 1), (8, 1), (5, 1), (6, 1), None]


def test_a_further_attempt_is_open_when_the_leader_says_so(work: WorkPaths) -> None:
    """To one worker, and not on a node that is to be avoided."""
    here, there = claims(work, [0], "17_0.0.0", "n1"), claims(work, [0], "17_1.0.0", "n2")
    first = here.next(), there.next(), here.next()
    leader = Journal(work.journal, "leader-a")
    leader.write("again", task=0, attempt=2, avoid=["n1"], why="lost")
    second = here.next(), there.next(), there.next()
    leader.write("again", task=0, attempt=3, avoid=[], why="lost")
    third = here.next(), there.next()

    assert first == ((0, 1), None, None)
    assert second == (None, (0, 2), None)
    assert third == ((0, 3), None)


def test_an_attempt_that_is_open_is_not_made_for_the_first_time(work: WorkPaths) -> None:
    """A worker that begins late makes the attempt that the leader has opened, not the first one again."""
    Journal(work.journal, "leader-a").write("again", task=0, attempt=2, avoid=[], why="lost")
    mine = claims(work, [0, 1])

    assert [mine.next(), mine.next(), mine.next()] == [(1, 1), (0, 2), None]


def test_what_the_leader_has_given_up_is_not_claimed(work: WorkPaths) -> None:
    """Nor anything when the work is over, until it goes on after all. What others say is not heard."""
    mine = claims(work, [0, 1, 2])
    leader = Journal(work.journal, "leader-a")
    Journal(work.journal, "17_1.0.0").write("over", how="done")
    leader.write("gave_up", task=0, why="often enough")
    first = mine.next()
    leader.write("over", how="failed")
    second = mine.next()
    leader.write("reopened")
    third = mine.next()

    assert (first, second, third) == ((1, 1), None, (2, 1))


def test_a_claim_whose_maker_died_at_once(work: WorkPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no hard links, a claim without a name is nobody's; the task is not taken a second time by itself."""

    def refuse(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    work.claim(0, 1).touch()
    mine = claims(work, [0, 1])
    taken = mine.next(), mine.next()

    assert taken == ((1, 1), None)
    assert all_claims(work) == {(0, 1): "", (1, 1): "17_0.0.0"}


def test_the_latest_attempt_is_the_one_that_is_open(work: WorkPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clocks of those who opened attempts say: of one that was opened before nothing is heard any more, nor that
    it was given up."""
    ahead, behind = Journal(work.journal, "leader-a"), Journal(work.journal, "leader-b")
    claims(work, [0]).next()
    behind.write("again", task=0, attempt=3, avoid=[], why="lost")
    monkeypatch.setattr(time, "time", lambda: 1e10)
    ahead.write("again", task=0, attempt=2, avoid=[], why="lost")
    ahead.write("gave_up", task=0, attempt=2, why="lost")

    assert claims(work, [0], "17_1.0.0").next() == (0, 3)


def test_a_claim_whose_answer_is_lost(work: WorkPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system makes the call again, and says that there is such a file: it is this worker's own."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    mine, others = claims(work, [0, 1]), claims(work, [0, 1], "17_1.0.0")

    assert (mine.next(), others.next(), mine.next()) == ((0, 1), (1, 1), None)


def test_what_this_worker_has_made_it_does_not_make_again(work: WorkPaths) -> None:
    """Though the leader, which has not heard of it, opens the attempt once more, for other nodes."""
    mine = claims(work, [0])
    leader = Journal(work.journal, "leader-a")
    leader.write("again", task=0, attempt=2, avoid=["n2"], why="lost")
    first = mine.next()
    leader.write("again", task=0, attempt=2, avoid=[], why="lost")

    assert (first, mine.next()) == ((0, 2), None)
