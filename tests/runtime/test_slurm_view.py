"""A run as a table, as lines, and as it goes on: everything out of the journals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import esp3rt.slurm.view as view_module
from esp3rt.slurm.news import News
from esp3rt.slurm.rows import Row, rows, seconds_left
from esp3rt.slurm.tails import Tail, last_line, last_lines
from esp3rt.slurm.view import Live, plain, table
from support.cluster_runs import START, RunOnDisk


@pytest.fixture
def run(tmp_path: Path) -> RunOnDisk:
    recipe = tmp_path / "digits"
    recipe.mkdir()
    return RunOnDisk(recipe, ["train", "infer"])


def row_of(run: RunOnDisk, stage: str, *, leads: bool = True) -> Row:
    return next(row for row in rows(run.read(), START + run.now, leads=leads) if row.stage == stage)


# -- rows --------------------------------------------------------------------------------------------------------------


def test_a_job_waits_runs_and_is_done(run: RunOnDisk) -> None:
    """A stage that is one job: SLURM's reason while it waits, where it runs, how long it took."""
    states = [row_of(run, "train").state]
    run.begin("train")
    work = run.commands("train")
    work.sending()
    states.append(row_of(run, "train").state)
    work.sent("17")
    work.seen("17", "PENDING", reason="Resources")
    waiting = row_of(run, "train")
    run.now = 60
    work.seen("17", "RUNNING", node="n1")
    worker = work.worker("17", "n1")
    worker.began(0)
    run.now = 100
    running = row_of(run, "train")
    worker.ended(0)
    worker.left()
    run.end("train")
    run.now = 500
    done = row_of(run, "train")

    assert states == ["waiting", "being sent"]
    assert (waiting.state, waiting.reason, waiting.nodes) == ("queued", "Resources", ())
    assert (running.state, running.nodes, running.elapsed) == ("running", ("n1",), 100)
    assert (done.state, done.nodes, done.elapsed) == ("done", ("n1",), 100)


def test_a_job_that_is_requeued_waits_again(run: RunOnDisk) -> None:
    """Its worker is gone, though it never said so."""
    run.begin("train")
    work = run.commands("train")
    work.sent("17")
    work.seen("17", "RUNNING", node="n1")
    worker = work.worker("17", "n1")
    worker.began(0)
    run.now = 10
    worker.write("requeued", task=0, attempt=1)
    run.now = 11
    work.seen("17", "PENDING", reason="BeginTime", restarts=1)
    waiting = row_of(run, "train")
    run.now = 20
    work.seen("17", "RUNNING", node="n2", restarts=1)
    work.worker("17", "n2", restarts=1).began(0)
    again = row_of(run, "train")

    assert (waiting.state, waiting.reason, waiting.nodes) == ("queued", "BeginTime", ())
    assert (again.state, again.nodes) == ("running", ("n2",))
    assert "RUNNING, started 2 times" in "\n".join(plain(run.read(), START + 20))


def test_shards_are_counted(run: RunOnDisk) -> None:
    """Done, at work, waiting, given up; the nodes are those where workers live, in the order of their numbers."""
    run.begin("infer")
    work = run.shards("infer", 20)
    work.sent("17", jobs=3)
    workers = [work.worker(f"17_{k}", node) for k, node in enumerate(["n10", "n9", "n2"])]
    for shard in range(6):
        workers[shard % 3].done(shard)
    workers[0].began(6)
    workers[1].began(7)
    workers[1].died(7, "killed by SIGKILL")
    work.write("gave_up", task=7, why="killed by SIGKILL")
    workers[2].left()
    row = row_of(run, "infer")

    assert (row.unit, row.total, row.done, row.running, row.queued, row.failed) == ("shards", 20, 6, 1, 12, 1)
    assert row.nodes == ("n9", "n10")


def test_works_of_a_stage_are_added_up(run: RunOnDisk) -> None:
    """One for each test set; one that failed and was begun anew does not count."""
    run.begin("infer")
    for over in ("failed", "done", ""):
        work = run.shards("infer", 2)
        work.sent("17")
        work.worker("17", "n1").done(0)
        if over:
            work.write("over", how=over)
    row = row_of(run, "infer")

    assert (row.total, row.done, row.queued, row.state) == (4, 2, 2, "running")


def test_without_leader_and_jobs_a_stage_has_stopped(run: RunOnDisk) -> None:
    """Whoever leads would send others."""
    run.begin("infer")
    work = run.shards("infer", 2)
    work.sent("17")
    work.worker("17", "n1").began(0)
    work.seen("17", "NODE_FAIL", alive=False, node="n1")

    assert row_of(run, "infer").state == "queued"
    assert row_of(run, "infer", leads=False).state == "stopped"


def test_the_time_left_is_reckoned_in_seconds_of_workers(run: RunOnDisk) -> None:
    """A pause between two workers costs nothing; without a task at work nothing can be told."""
    run.begin("infer")
    work = run.shards("infer", 12)
    worker, other = work.worker("17_0", "n1"), work.worker("17_1", "n2")
    nothing = row_of(run, "infer").left
    worker.done(0, seconds=10)
    run.now += 5000
    worker.done(1, seconds=10)
    pausing = row_of(run, "infer").left
    worker.began(2)
    other.began(3)
    run.now += 5

    assert (nothing, pausing) == (None, None)
    # Eight wait at ten seconds each, two are half done, for two workers.
    assert row_of(run, "infer").left == pytest.approx((8 * 10 + 2 * 5) / 2)


def test_items_tell_the_time_left_before_a_shard_is_done(run: RunOnDisk) -> None:
    """100 of 1000 items in 20 seconds, by one worker."""
    run.begin("infer")
    work = run.shards("infer", 2, items=1000)
    worker = work.worker("17_0", "n1")
    worker.began(0)
    run.now += 20
    worker.moved(100)
    ledger = run.read().stages["infer"].works[0]

    assert seconds_left(ledger, START + run.now) == pytest.approx(900 * 20 / 100)


def test_slurms_silence_is_said_with_its_beginning(run: RunOnDisk) -> None:
    """The first of several complaints since it answered last."""
    run.begin("infer")
    work = run.shards("infer", 2)
    work.sent("17")
    for why, now in (("timed out", 10), ("", 20), ("timed out", 30), ("refused", 40)):
        run.now = now
        work.write("silent", why=why)
    row = row_of(run, "infer")
    said = plain(run.read(), START + 50)[-1]

    assert (row.silent, row.silent_since) == ("refused", START + 30)
    assert said.startswith("SLURM does not answer since ")
    assert said.endswith("(refused); what is said of jobs may be old")


# -- the forms ---------------------------------------------------------------------------------------------------------


def filled(run: RunOnDisk) -> None:
    run.begin("train")
    work = run.commands("train")
    work.sent("16")
    work.worker("16", "n1").done(0, seconds=65)
    run.end("train")
    run.begin("infer")
    work = run.shards("infer", 100)
    work.sent("17", jobs=3)
    work.seen("17_2", "PENDING", reason="Priority")
    workers = [work.worker(f"17_{k}", f"n{k + 1}") for k in range(2)]
    for shard in range(10):
        workers[shard % 2].done(shard, seconds=2)
    workers[0].began(10)
    workers[0].prints("job 17_0 on n1\n 10%|#\r\x1b[32m 20%|##\x1b[0m\r")


def test_lines_say_what_the_table_says(run: RunOnDisk) -> None:
    """A row a stage, and below it the last line of what runs."""
    filled(run)

    assert plain(run.read(), START + run.now) == [
        "train  done     job 16, n1, 1 min 05 s",
        "infer  running  10 of 100 shards done, 1 running, 89 queued (Priority), n1 n2, 20 s, about 3 min 00 s left",
        "       | 20%|##",
    ]


def test_the_table_has_no_markup_of_others(run: RunOnDisk) -> None:
    """What a log says is text, also where it looks like rich's or the terminal's own language."""
    from rich.console import Console

    filled(run)
    work = run.read().stages["infer"].works[0].paths
    (work.logs / "17_0_0_log.out").write_text("[red]\x1b]0;title\x07\x1b[2J[/red] \u202eevil\n", encoding="utf-8")
    console = Console(width=150, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    console.print(table(run.read(), START + run.now))
    text = console.export_text()

    assert "10 of 100 shards done, 1 running, 89 queued (Priority)" in text
    assert "infer │ [red][/red] evil" in text


# -- logs --------------------------------------------------------------------------------------------------------------


def test_the_last_line_is_found_at_the_end(tmp_path: Path) -> None:
    """Of a bar what it wrote last; blank lines are passed over; a missing file says nothing."""
    log = tmp_path / "log"
    log.write_bytes(b"first\n" * 100_000 + b"bar 1%\rbar 2%\r\n\n  \n")

    assert last_line(log) == "bar 2%"
    assert last_line(tmp_path / "none") == ""


def test_last_lines_are_counted_from_the_end(tmp_path: Path) -> None:
    """Also where they are long, and where the last has not ended."""
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"%d %s\n" % (number, b"x" * 5000) for number in range(10)) + b"last")

    assert [line.split()[0] for line in last_lines(log, 4)] == ["7", "8", "9", "last"]
    assert len(last_lines(log, 100)) == 11
    assert last_lines(log, 0) == []
    assert last_lines(tmp_path / "none", 3) == []


def test_a_tail_reads_what_is_added(tmp_path: Path) -> None:
    """Whole lines as they come; what was begun is kept until it ends, or until the end."""
    log = tmp_path / "log"
    tail = Tail(log, last=1)
    before = list(tail.read())
    log.write_bytes(b"old\none\ntw")
    first = list(tail.read())
    log.write_bytes(b"old\none\ntwo\nthree")
    second = list(tail.read())

    assert (before, first, second) == ([], [], ["two"])
    assert list(tail.rest()) == ["three"]


def test_a_log_that_is_begun_anew_is_read_anew(tmp_path: Path) -> None:
    """A job that SLURM starts again may cut its log off."""
    log = tmp_path / "log"
    log.write_bytes(b"a long first line\n")
    tail = Tail(log)
    first = list(tail.read())
    log.write_bytes(b"new\n")

    assert (first, list(tail.read())) == (["a long first line"], ["new"])


# -- as it goes on -----------------------------------------------------------------------------------------------------


class Clock:
    """Clocks that are moved by hand."""

    def __init__(self, run: RunOnDisk) -> None:
        self.run = run

    def monotonic(self) -> float:
        return 100.0 + self.run.now

    def time(self) -> float:
        return START + self.run.now


@pytest.fixture
def clock(run: RunOnDisk, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(run)
    monkeypatch.setattr(view_module, "time", made)
    return made


def test_without_a_terminal_a_run_is_few_lines(
    run: RunOnDisk, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs, each quarter, the end; eight ticks a second add nothing."""
    run.begin("infer")
    with Live(run.read()) as live:
        work = run.shards("infer", 100)
        work.sent("17", jobs=2)
        live.tick()
        run.now += 20
        worker = work.worker("17_0", "n1")
        for shard in range(100):
            worker.began(shard)
            for _ in range(8):
                run.now += 0.125
                live.tick()
            worker.ended(shard)
        work.write("over", how="done")

    assert capsys.readouterr().out.splitlines() == [
        "infer: runs on n1",
        "infer: 25 of 100 shards (25%), 45 s, about 1 min 15 s left",
        "infer: 50 of 100 shards (50%), 1 min 10 s, about 50 s left",
        "infer: 75 of 100 shards (75%), 1 min 35 s, about 25 s left",
        "infer: 100 shards done after 2 min 00 s",
    ]


def test_lines_come_five_seconds_apart_but_for_trouble(
    run: RunOnDisk, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what was held back only the last is said; a node that is lost is said at once."""
    run.begin("infer")
    work = run.shards("infer", 4)
    work.sent("17")
    with Live(run.read(), watching=True) as live:
        worker = work.worker("17", "n1")
        run.now += 1
        live.tick()
        for shard in range(3):
            worker.done(shard, seconds=1)
            live.tick()
        work.seen("17", "NODE_FAIL", alive=False, node="n1")
        run.now += 1
        live.tick()
        said = capsys.readouterr().out.splitlines()
        work.sent("18")
        work.worker("18", "n2").began(3)
        run.now += 5
        live.tick()

    assert said == ["infer: runs on n1", "infer: job 17: NODE_FAIL on n1"]
    assert capsys.readouterr().out.splitlines() == ["infer: 3 of 4 shards (75%), 10 s, about 0.0 s left"]


def test_who_only_looks_on_is_told_what_the_leader_says_itself(run: RunOnDisk) -> None:
    """Jobs that are sent, shards that begin again, SLURM's silence."""
    run.begin("infer")
    led, watched = run.read(), run.read()
    works_led, works_watched = News(led), News(watched, watching=True)
    said: dict[str, list[str]] = {"led": [], "watched": []}

    def hear() -> None:
        for name, seen, news in (("led", led, works_led), ("watched", watched, works_watched)):
            seen.refresh()
            said[name] += [line for line, _ in news.since(START + run.now)]

    work = run.shards("infer", 4)
    work.sent("17", jobs=2)
    work.seen("17_0", "PENDING", reason="Priority")
    hear()
    work.write("silent", why="timed out")
    hear()
    work.write("silent", why="")
    worker = work.worker("17_0", "n1")
    worker.began(2)
    worker.died(2, "killed by SIGKILL")
    work.write("again", task=2, attempt=2, avoid=["n1"], why="killed by SIGKILL")
    hear()
    hear()

    assert said == {
        "led": ["infer: runs on n1"],
        "watched": [
            "infer: 4 shards as 2 jobs sent to SLURM (17); Priority",
            "infer: SLURM does not answer (timed out); its jobs go on",
            "infer: shard 2 begins again: killed by SIGKILL",
            "infer: SLURM answers again",
            "infer: runs on n1",
        ],
    }


def test_what_was_there_before_is_no_news(run: RunOnDisk) -> None:
    """Whoever takes a run up is not told its history."""
    filled(run)

    assert News(run.read(), watching=True).since(START + run.now) == []


def test_on_a_terminal_the_table_stands_above_bars_and_below_lines(run: RunOnDisk) -> None:
    """All three share the screen; when it is over the table is gone, and what was done stays."""
    filled(run)
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from esp3rt.progress import Progress, console_line\n"
        "from esp3rt.slurm.ledger import read_run\nfrom esp3rt.slurm.paths import RunPaths\n"
        "from esp3rt.slurm.view import Live\n"
        "with Live(read_run(RunPaths(Path(sys.argv[1])))) as live, Progress('own', 3) as bar:\n"
        "    for number in range(3):\n"
        "        live.tick()\n        console_line(f'line {number}')\n        bar.advance()\n        time.sleep(0.3)\n"
        "print('after')\n"
    )
    text = on_a_terminal([sys.executable, "-c", code, str(run.paths.folder)])
    screen = shown_in_the_end(text)

    # Before a line is written, what is drawn below it is erased.
    during = shown_in_the_end(re.split(r"(?:\r|\x1b\[\d*[AK])+line 2", text)[0])

    assert [line.split()[0] for line in during if line] == ["line", "line", "stage", "train", "infer", "infer", "own"]
    assert "10 of 100 shards done, 1 running" in during[4]
    assert [line for line in screen if line] == ["line 0", "line 1", "line 2", screen[3], "after"]
    assert screen[3].startswith("own: 3 items in")


def on_a_terminal(command: list[str]) -> str:
    """What a command writes on a terminal of 150 columns."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    with subprocess.Popen(command, stdout=follower, env=environment) as process:
        os.close(follower)
        blocks = []
        while True:
            try:
                block = os.read(leader, 65536)
            except OSError:
                break
            if not block:
                break
            blocks.append(block)
    os.close(leader)
    assert process.returncode == 0
    return b"".join(blocks).decode()


def shown_in_the_end(text: str) -> list[str]:
    """The screen after a text with rich's movements: up, erase the line, begin of the line."""
    lines, row = [""], 0
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\x1b":
            end = position + 2
            while not text[end].isalpha():
                end += 1
            sequence = text[position + 2 : end + 1]
            if sequence.endswith("A"):
                row -= int(sequence[:-1] or 1)
            elif sequence.endswith("K"):
                lines[row] = ""
            position = end + 1
            continue
        if char == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif char != "\r":
            lines[row] += char
        position += 1
    return [line.rstrip() for line in lines]
