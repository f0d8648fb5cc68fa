"""A world of the server lives until something that it looked at has changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from esp3c.lsp import worlds as module
from esp3c.lsp.worlds import Kept, Worlds
from esp3c.python.find import Status, look_up


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "model.py").write_text("class Model: ...\n", encoding="utf-8")
    long_ago = time.time() - 100
    for place in (tmp_path / "src" / "model.py", tmp_path / "src", tmp_path):
        os.utime(place, (long_ago, long_ago))
    return tmp_path


def asked(worlds: Worlds, folder: Path, path: str) -> Status:
    return look_up(worlds.of(folder), path).status


def test_it_stays_while_nothing_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.0)
    worlds = Worlds()
    assert asked(worlds, folder, "src.model.Model") is Status.FOUND
    # Files younger than what a file system tells apart are looked at again.
    monkeypatch.setattr("esp3c.looks._TICK_NS", -(10**12))
    first = worlds.of(folder)
    assert [worlds.of(folder) for _ in range(5)] == [first] * 5


@pytest.mark.parametrize("what", ["written", "added", "taken away"])
def test_a_change_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.0)
    worlds, model = Worlds(), folder / "src" / "model.py"
    assert asked(worlds, folder, "src.model.Other") is Status.ABSENT
    assert asked(worlds, folder, "src.other.Model") is Status.ABSENT
    if what == "written":
        model.write_text("class Other: ...\n", encoding="utf-8")
        assert asked(worlds, folder, "src.model.Other") is Status.FOUND
    elif what == "added":
        (folder / "src" / "other.py").write_text("class Model: ...\n", encoding="utf-8")
        assert asked(worlds, folder, "src.other.Model") is Status.FOUND
    else:
        model.unlink()
        assert asked(worlds, folder, "src.model.Model") is Status.ABSENT


def test_the_disk_is_asked_once_a_second_unless_somebody_tells(folder: Path) -> None:
    worlds = Worlds()
    first = worlds.of(folder)
    assert asked(worlds, folder, "src.model.Other") is Status.ABSENT
    (folder / "src" / "model.py").write_text("class Other: ...\n", encoding="utf-8")
    assert worlds.of(folder) is first
    worlds.look_again()
    assert asked(worlds, folder, "src.model.Other") is Status.FOUND


def test_half_typed_names_do_not_stay_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEWED", 10)
    worlds = Worlds()
    assert len({id(worlds.of(folder)) for _ in range(10)}) == 1
    first = worlds.of(folder)
    assert [worlds.of(folder) is first for _ in range(11)].count(False) >= 1


class Behind:
    """A store on disk, by hand."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self.entries.get((kind, key))

    def put(self, kind: str, key: str, data: bytes) -> None:
        self.entries[kind, key] = data


def test_what_a_keystroke_asks_is_not_written_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = Behind()
    kept = Kept(behind)
    kept.put("settled", "question", b"answer")
    kept.put("module", "src.model", b"contents")
    assert behind.entries == {("module", "src.model"): b"contents"}
    assert kept.get("settled", "question") == b"answer"
    # It holds so much and no more, and the oldest goes first.
    monkeypatch.setattr(module, "_MOST_KEPT", 2)
    kept.put("settled", "other", b"x")
    assert kept.get("settled", "question") == b"answer"
    kept.put("settled", "third", b"x")
    assert [kept.get("settled", each) for each in ("question", "other", "third")] == [b"answer", None, b"x"]
    assert kept.get("module", "src.model") == b"contents"
