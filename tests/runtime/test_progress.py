"""Progress is few plain lines without a terminal, and bars on one."""

import os
import pty
import subprocess
import sys

import pytest

import esp3rt.progress as progress_module
from esp3rt.progress import Progress, console_line, duration, track


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress_module, "time", made)
    return made


def test_a_short_task_is_one_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """What takes less than five seconds says so once, at its end."""
    seen = list(track(range(7), label="decode", unit="utterances"))

    assert seen == list(range(7))
    assert capsys.readouterr().out == "decode: 7 utterances in 0.0 s\n"


def test_a_long_task_is_few_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A sign of life after five seconds, the quarters, the end."""
    for _ in track(range(200), label="decode"):
        clock.now += 0.5

    assert capsys.readouterr().out.splitlines() == [
        "decode: 10 of 200 items (5%), 5.0 s",
        "decode: 50 of 200 items (25%), 25 s",
        "decode: 100 of 200 items (50%), 50 s",
        "decode: 150 of 200 items (75%), 1 min 15 s",
        "decode: 200 items in 1 min 40 s",
    ]


def test_without_a_total_lines_become_rare(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """An hour of items of unknown number is a handful of lines."""
    with Progress("read", unit="lines") as progress:
        for _ in range(36000):
            clock.now += 0.1
            progress.advance()
        progress.describe("last")
    lines = capsys.readouterr().out.splitlines()

    assert 3 <= len(lines) <= 6
    assert lines[-1] == "read · last: 36000 lines in 1 h 00 min"


def test_a_task_that_fails_says_where(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line tells how far it came."""
    with pytest.raises(RuntimeError), Progress("train", 10, unit="steps") as progress:
        progress.advance(3)
        raise RuntimeError("out of memory")

    assert capsys.readouterr().out == "train: stopped at 3 of 10 steps after 0.0 s\n"


def test_rich_is_not_imported_without_a_terminal() -> None:
    """A job's log needs no rich."""
    code = (
        "import sys\nfrom esp3rt.progress import track\nlist(track([1], label='a'))\nassert 'rich' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "a: 1 items in 0.0 s\n"


def test_on_a_terminal_lines_and_a_bar_live_together() -> None:
    """Markup in a line is text; without colours there are none; the closing line stays."""
    code = (
        "import time\nfrom esp3rt.progress import console_line, track\n"
        "for i in track(range(4), label='decode'):\n"
        "    time.sleep(0.06)\n    console_line(f'[red]item[/red] {i}')\n"
    )
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                block = os.read(leader, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
    os.close(leader)
    text = shown.decode()

    assert process.returncode == 0
    assert "[red]item[/red] 3" in text
    assert "decode: 4 items in" in text
    assert "\x1b[3" not in text


def test_lines_and_durations(capsys: pytest.CaptureFixture[str]) -> None:
    """Durations read at a glance."""
    console_line("[bold]as it is[/bold]")

    assert capsys.readouterr().out == "[bold]as it is[/bold]\n"
    assert [duration(s) for s in (0.04, 9.96, 12.4, 59.6, 185, 7620)] == [
        "0.0 s",
        "10.0 s",
        "12 s",
        "1 min 00 s",
        "3 min 05 s",
        "2 h 07 min",
    ]
