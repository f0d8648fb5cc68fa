"""Journals: what was written whole is read, once and in order, whatever became of the writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp3rt.slurm.journal import Event, Journal, Reader


def told(events: list[Event]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(event.writer, event.kind, event.data) for event in events]


def test_what_is_written_is_read_once(tmp_path: Path) -> None:
    """In the order of each writer; a second reading gives what was added since."""
    one, other = Journal(tmp_path, "17_0.0.0"), Journal(tmp_path, "leader-a")
    reader, late = Reader(tmp_path), Reader(tmp_path, "leader-")
    before = time.time()
    one.write("began", task=3)
    other.write("again", sure=True, task=4, why="é\n \u2028 \r")
    first = list(reader.read())
    one.write("ended", task=3)
    second = list(reader.read())

    assert told(first) == [
        ("17_0.0.0", "began", {"task": 3}),
        ("leader-a", "again", {"task": 4, "why": "é\n \u2028 \r"}),
    ]
    assert told(second) == [("17_0.0.0", "ended", {"task": 3})]
    assert list(reader.read()) == []
    assert told(list(late.read())) == told(first[1:])
    assert all(before - 1 <= event.time <= time.time() + 1 for event in first)


def test_no_folder_and_no_journal_is_nothing(tmp_path: Path) -> None:
    """Nor is a file of another kind."""
    reader = Reader(tmp_path / "journal")
    empty = list(reader.read())
    Journal(tmp_path / "journal", "a").write("began")
    (tmp_path / "journal" / ".nfs0001").write_text("{")
    (tmp_path / "journal" / "notes.txt").write_text("{}\n")

    assert empty == []
    assert told(list(reader.read())) == [("a", "began", {})]


def test_nobody_speaks_before_what_it_has_read(tmp_path: Path) -> None:
    """A machine whose clock is behind puts what it says after what it knows; in other folders its clock is as good as any."""
    now = time.time()
    line = json.dumps({"e": "gave_up", "t": now + 1000, "task": 1})
    (tmp_path / "leader-a.jsonl").write_text(f"{line}\n", encoding="utf-8")
    journal, elsewhere = Journal(tmp_path, "leader-b"), Journal(tmp_path / "other", "leader-b")
    list(Reader(tmp_path).read())
    journal.write("again", task=1)
    journal.write("again", task=2)
    elsewhere.write("again", task=3)
    events = sorted(Reader(tmp_path).read(), key=lambda event: event.time)
    other = [event.time for event in Reader(tmp_path / "other").read()]

    assert [(event.writer, event.data["task"]) for event in events] == [
        ("leader-a", 1),
        ("leader-b", 1),
        ("leader-b", 2),
    ]
    assert events[1].time > events[0].time
    assert other[0] < now + 900


EVENTS = st.lists(st.tuples(st.sampled_from(["began", "ended"]), st.text(max_size=8)), min_size=1, max_size=4)


SHARE = st.floats(0, 1)


@given(EVENTS, SHARE)
def test_any_cut(events: list[tuple[str, str]], share: float) -> None:
    """A reader sees the whole lines, wherever the writing has got to, and the rest when it is there; nothing twice."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "a")
        for kind, why in events:
            journal.write(kind, why=why)
        text = journal.path.read_bytes()
        cut = round(share * len(text))
        journal.path.write_bytes(text[:cut])
        reader = Reader(Path(folder))
        first = [(event.kind, event.data["why"]) for event in reader.read()]
        journal.path.write_bytes(text)
        second = [(event.kind, event.data["why"]) for event in reader.read()]

    assert first == events[: text[:cut].count(b"\n")]
    assert first + second == events


@given(EVENTS, EVENTS, SHARE, st.booleans())
def test_a_writer_that_was_killed_anywhere(
    events: list[tuple[str, str]], later: list[tuple[str, str]], share: float, looks: bool
) -> None:
    """Half a line is passed over, and whoever writes under the same name begins a new one; no event of its own is lost."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "a")
        for kind, why in events:
            journal.write(kind, why=why)
        text = journal.path.read_bytes()
        cut = round(share * len(text))
        journal.path.write_bytes(text[:cut])
        reader = Reader(Path(folder))
        seen = list(reader.read()) if looks else []
        again = Journal(Path(folder), "a")
        for kind, why in later:
            again.write(kind, why=why)
        seen += reader.read()

    whole = text[:cut].count(b"\n")
    # All of a line but its end is a whole one, too, as soon as another follows.
    complete = text[:cut].rpartition(b"\n")[2] == text.splitlines()[whole] if whole < len(events) else False
    assert [(event.kind, event.data["why"]) for event in seen] == events[: whole + complete] + later


@given(st.binary(max_size=40))
def test_lines_that_are_no_events(rubbish: bytes) -> None:
    """Whatever a broken disk has left there is passed over."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(rubbish + b"\n[]\n{}\n7\n" + json.dumps({"e": "began", "t": "x"}).encode() + b"\n")
        Journal(Path(folder), "a").write("ended")

        assert told(list(Reader(Path(folder)).read()))[-1] == ("a", "ended", {})


def test_a_full_disk_costs_one_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer is told; what it writes when there is room again stands on a line of its own."""
    journal = Journal(tmp_path, "a")
    journal.write("began", task=1)
    real = os.fsync

    def full(descriptor: int) -> None:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - 9)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        journal.write("ended", sure=True, task=1)
    monkeypatch.setattr(os, "fsync", real)
    journal.write("left", sure=True)

    assert told(list(Reader(tmp_path).read())) == [("a", "began", {"task": 1}), ("a", "left", {})]


_WRITER = """
import itertools, sys
from pathlib import Path
from esp3rt.slurm.journal import Journal
journal = Journal(Path(sys.argv[1]), "a")
for number in itertools.count():
    journal.write("moved", n=number)
"""


def test_a_writer_that_is_killed_for_real(tmp_path: Path) -> None:
    """All that it has written is read, without a gap, while it writes and when it is gone."""
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)])
    reader, seen = Reader(tmp_path), []
    end = time.monotonic() + 60
    while len(seen) < 200:
        assert time.monotonic() < end
        seen += [event.data["n"] for event in reader.read()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen += [event.data["n"] for event in reader.read()]
    Journal(tmp_path, "a").write("left")

    assert seen == list(range(len(seen)))
    assert [event.kind for event in reader.read()] == ["left"]
