"""A file is put into its place whole, and only where that is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from esp3c.cli.replacing import put


def test_a_link_stays_and_what_it_leads_to_keeps_its_mode(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"old")
    there.chmod(0o640)
    (tmp_path / "link").symlink_to(there)

    assert put(tmp_path / "link", b"new", b"old")

    assert (tmp_path / "link").is_symlink()
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (b"new", 0o640)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "there"]


def test_other_bytes_than_expected_are_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"theirs")

    assert not put(tmp_path / "file", b"new", b"old")

    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"file": b"theirs"}


def test_a_new_file_has_the_mode_that_any_new_file_has(tmp_path: Path) -> None:
    (tmp_path / "any").touch()

    assert put(tmp_path / "file", b"new")

    assert (tmp_path / "file").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="not a plain file"):
            put(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_what_is_write_protected_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o444)

    with pytest.raises(PermissionError, match="write-protected"):
        put(tmp_path / "file", b"new")
