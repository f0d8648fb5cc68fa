"""Files appear whole or not at all."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esp3rt.files import remove_partials, replacing, write_bytes, write_json, write_text


def test_text_bytes_and_json_are_what_was_given(tmp_path: Path) -> None:
    """Each writer makes folders on the way and leaves nothing beside its file."""
    write_text(tmp_path / "a" / "b.txt", "Grüße\nx\n")
    write_bytes(tmp_path / "a" / "c.bin", b"\0\1")
    write_json(tmp_path / "a" / "d.json", {"ä": [1, 2.5], "nan": float("nan"), "inf": [float("inf")]})

    assert (tmp_path / "a" / "b.txt").read_bytes() == "Grüße\nx\n".encode()
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\0\1"
    assert json.loads((tmp_path / "a" / "d.json").read_text()) == {"ä": [1, 2.5], "nan": None, "inf": [None]}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b.txt", "c.bin", "d.json"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    """A block that raises changes nothing and leaves no partial file."""
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="boom"), replacing(path) as handle:
        handle.write("new")
        raise RuntimeError("boom")

    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    """A link is written through, and the file that it points at keeps its mode."""
    target = tmp_path / "target.txt"
    write_text(target, "old")
    target.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    write_text(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_long_name_of_many_bytes_can_be_written(tmp_path: Path) -> None:
    """The partial file's name fits wherever the file's own does."""
    path = tmp_path / ("音" * 84)
    write_text(path, "x")

    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_only_whole_files_are_written(tmp_path: Path) -> None:
    """Appending and folders are refused."""
    with pytest.raises(ValueError, match="whole files"), replacing(tmp_path / "x", "a"):
        pass
    with pytest.raises(IsADirectoryError), replacing(tmp_path):
        pass


_WRITER = """
import sys
from esp3rt.files import replacing
with replacing(sys.argv[1]) as handle:
    handle.write("new" * 1000)
    handle.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""

_LOOP = """
import sys
from esp3rt.files import write_text
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_text(sys.argv[1], f"{number}\\n" * 5000)
"""


def test_a_killed_writer_leaves_the_old_file_and_its_partial_is_cleared(tmp_path: Path) -> None:
    """While the writer lives its partial file is left alone; after SIGKILL it is removed."""
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        kept = remove_partials(tmp_path)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    cleared = remove_partials(tmp_path)

    assert kept == []
    assert len(cleared) == 1
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]


def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    """A writer that is killed at any moment leaves one of the texts that it wrote, never a mixture."""
    path = tmp_path / "x.txt"
    for round_number in range(6):
        with subprocess.Popen([sys.executable, "-c", _LOOP, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05 + 0.013 * round_number)
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        lines = path.read_text().splitlines()

        assert len(lines) == 5000
        assert len(set(lines)) == 1


def test_partials_of_other_machines_and_other_files_stay(tmp_path: Path) -> None:
    """Only what a dead writer of this machine left is removed, or what is a day old."""
    fresh = tmp_path / ".x.txt.other-host.123.abcd.partial"
    old = tmp_path / ".y.txt.other-host.123.abcd.partial"
    strange = tmp_path / ".notes.partial"
    for path in (fresh, old, strange):
        path.write_text("")
    os.utime(old, (1, 1))

    assert remove_partials(tmp_path) == [old]
    assert remove_partials(tmp_path / "nowhere") == []
    assert fresh.exists()
    assert strange.exists()
