"""The cache on disk: what is not its own, whole and of this build is a miss, and nothing that happens to it is an error."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from esp3c.cli import cache as module
from esp3c.cli.cache import Cache


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ESP3C_CACHE_DIR", "ESP3C_NO_CACHE"):
        monkeypatch.delenv(name, raising=False)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "pruned")


def test_what_was_put_is_there_for_the_next_process_too(tmp_path: Path) -> None:
    Cache(str(tmp_path)).put("kind", "key", b"line\nline\0")

    script = f"from esp3c.cli.cache import Cache; print(Cache({str(tmp_path)!r}).get('kind', 'key'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "b'line\\nline\\x00'\n"
    assert Cache(str(tmp_path)).get("kind", "key") == b"line\nline\0"


def test_kind_and_key_are_part_of_what_is_asked(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    cache.put("kind", "key", b"1")

    assert cache.get("kind", "other") is None
    assert cache.get("other", "key") is None


def test_the_last_one_counts_and_any_bytes_and_text_will_do(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    for key in ("", "a/../b", "x" * 5000, "é\udc80\n", "key"):
        cache.put("kind", key, b"old")
        cache.put("kind", key, bytes(range(256)))
        assert cache.get("kind", key) == bytes(range(256))
    cache.put("kind", "empty", b"")
    assert cache.get("kind", "empty") == b""


@pytest.mark.parametrize("keep", [0, 1, 30, -1])
def test_a_torn_file_is_a_miss(tmp_path: Path, keep: int) -> None:
    cache = Cache(str(tmp_path))
    cache.put("kind", "key", b"data that is long enough to be torn")
    (entry,) = files(tmp_path)
    entry.write_bytes(entry.read_bytes()[:keep])

    assert cache.get("kind", "key") is None


def test_every_byte_is_under_the_checksum(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    cache.put("kind", "key", b"data")
    (entry,) = files(tmp_path)
    whole = entry.read_bytes()
    for place in range(len(whole)):
        entry.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert cache.get("kind", "key") is None, place
    entry.write_bytes(whole)
    assert cache.get("kind", "key") == b"data"


def test_an_entry_under_a_foreign_name_is_a_miss(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    cache.put("kind", "key", b"1")
    (first,) = files(tmp_path)
    cache.put("kind", "other", b"2")
    (second,) = set(files(tmp_path)) - {first}
    os.replace(first, second)

    assert cache.get("kind", "other") is None


def test_another_build_of_the_tool_believes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(str(tmp_path)).put("kind", "key", b"1")
    monkeypatch.setattr(module, "__version__", "0.0.other")

    assert Cache(str(tmp_path)).get("kind", "key") is None


def test_the_stamp_changes_with_every_file_of_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "esp3c"
    (package / "check").mkdir(parents=True)
    inner = package / "check" / "rule.py"
    inner.write_text("a = 1\n")
    monkeypatch.setattr(module, "_PACKAGE", str(package))
    before = module.stamp()
    assert module.stamp() == before

    inner.write_text("a = 12\n")
    longer = module.stamp()
    os.utime(inner, ns=(1, 1))
    older = module.stamp()
    (package / "new.py").touch()
    assert len({before, longer, older, module.stamp()}) == 4
    (package / "__pycache__").mkdir()
    (package / "new.py").unlink()
    assert module.stamp() == older


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Cache(str(tmp_path)).put("kind", "key", b"1")
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in files(tmp_path)} == {0o600}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    cache = Cache(str(tmp_path))
    cache.put("kind", "key", b"1")
    (tmp_path / "esp3c").chmod(mode)

    assert Cache(str(tmp_path)).get("kind", "key") is None
    Cache(str(tmp_path)).put("kind", "more", b"2")
    assert len(files(tmp_path)) == 1


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(str(tmp_path)).put("kind", "key", b"1")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert Cache(str(tmp_path)).get("kind", "key") is None
    Cache(str(tmp_path)).put("kind", "more", b"2")
    assert len(files(tmp_path)) == 1


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    Cache(str(tmp_path / "real")).put("kind", "key", b"1")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "esp3c").symlink_to(tmp_path / "real" / "esp3c")

    assert Cache(str(tmp_path / "named")).get("kind", "key") is None


@pytest.mark.parametrize("place", ["", "esp3c", "esp3c/kind", "esp3c/kind/ENTRY"])
def test_a_file_or_folder_where_another_should_be(tmp_path: Path, place: str) -> None:
    root = tmp_path / "cache"
    if place.endswith("ENTRY"):
        (root / place.replace("ENTRY", module._name("key"))).mkdir(parents=True)
        (root / "esp3c").chmod(0o700)
    else:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text("a file")
    cache = Cache(str(root))

    assert cache.get("kind", "key") is None
    cache.put("kind", "key", b"1")
    assert cache.get("kind", "key") is None
    assert not list(root.rglob("*.new"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    cache.put("kind", "key", b"1")
    (tmp_path / "esp3c" / "kind").chmod(0o500)
    try:
        cache.put("kind", "other", b"2")
        assert cache.get("kind", "other") is None
        assert cache.get("kind", "key") == b"1"
    finally:
        (tmp_path / "esp3c" / "kind").chmod(0o700)


@pytest.mark.parametrize("call", ["makedirs", "open", "replace", "lstat"])
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    Cache(str(tmp_path)).put("kind", "key", b"1")

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, "read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        Cache(str(tmp_path)).put("kind", "key", b"2")
        Cache(str(tmp_path)).get("kind", "key")

    assert Cache(str(tmp_path)).get("kind", "key") == b"1"
    assert len(files(tmp_path)) == 1


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: a part is written, then the disk refuses."""
    script = f"""
import resource, signal
from esp3c.cli.cache import Cache
cache = Cache({str(tmp_path)!r})
cache.put("kind", "small", b"1")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
cache.put("kind", "large", b"x" * 100_000)
print(cache.get("kind", "large"), cache.get("kind", "small"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("None b'1'\n", "")
    assert len(files(tmp_path)) == 1


WRITER = """
import sys
from esp3c.cli.cache import Cache
cache = Cache(sys.argv[1])
wrong = 0
for turn in range(150):
    cache.put("kind", str(turn % 3), sys.argv[2].encode() * 20_000)
    found = cache.get("kind", str(turn % 3))
    wrong += found is None or found not in {b"a" * 20_000, b"b" * 20_000}
print(wrong)
"""


def test_two_processes_at_once_see_whole_entries_only(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), sign], stdout=subprocess.PIPE, text=True)
        for sign in "ab"
    ]

    assert [each.communicate(timeout=60)[0] for each in running] == ["0\n", "0\n"]
    assert len(files(tmp_path)) == 3


def test_a_process_that_is_killed_while_it_writes_leaves_no_half(tmp_path: Path) -> None:
    for moment in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), "a"], stdout=subprocess.DEVNULL, text=True
        )
        deadline = time.monotonic() + 20
        while not (tmp_path / "esp3c" / "kind").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.01 * moment)
        process.kill()
        process.wait()
        for key in "012":
            assert Cache(str(tmp_path)).get("kind", key) in {None, b"a" * 20_000}


def test_it_can_be_turned_off_and_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESP3C_CACHE_DIR", str(tmp_path))
    Cache().put("kind", "key", b"1")
    assert len(files(tmp_path)) == 1
    assert Cache().get("kind", "key") == b"1"
    monkeypatch.setenv("ESP3C_NO_CACHE", "1")
    Cache().put("kind", "other", b"1")
    assert Cache().get("kind", "key") is None
    assert len(files(tmp_path)) == 1
    monkeypatch.setenv("ESP3C_NO_CACHE", "0")
    assert Cache().get("kind", "key") == b"1"


@pytest.mark.parametrize("given", [None, "/somewhere/cache"])
def test_the_folder_is_where_platformdirs_says(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    from platformdirs import user_cache_dir

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if given is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", given)

    assert module._user_folder() == user_cache_dir()


def test_old_entries_go_first_and_the_whole_stays_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    cache, now = Cache(str(tmp_path)), time.time()
    for number in range(30):
        cache.put("kind", str(number), b"x" * 1000)
        entry = tmp_path / "esp3c" / "kind" / module._name(str(number))
        os.utime(entry, (now - 3600 + number, now - 3600 + number))
    os.utime(tmp_path / "esp3c" / "pruned", (1, 1))

    cache.put("kind", "last", b"x" * 1000)

    assert sum(path.stat().st_size for path in files(tmp_path)) <= 10_000
    assert cache.get("kind", "last") is not None
    assert cache.get("kind", "29") is not None
    assert cache.get("kind", "0") is None


def test_bounds_hold_on_one_busy_day_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 50_000)
    cache = Cache(str(tmp_path))
    for number in range(2000):
        cache.put("kind", str(number), b"x" * 200)

    # An entry in 256 looks around: what stays is the bound and what came since.
    assert sum(path.stat().st_size for path in files(tmp_path)) < 50_000 + 1500 * 300


def test_what_nobody_used_for_a_month_and_halves_of_killed_processes_go(tmp_path: Path) -> None:
    cache, day = Cache(str(tmp_path)), 86_400
    for key in ("unused", "used"):
        cache.put("kind", key, b"1")
        os.utime(tmp_path / "esp3c" / "kind" / module._name(key), (time.time() - 31 * day,) * 2)
    half = tmp_path / "esp3c" / "kind" / "abc.1.2.new"
    half.write_bytes(b"half")
    os.utime(half, (time.time() - 2 * day,) * 2)
    foreign = tmp_path / "esp3c" / "note"
    foreign.write_text("mine")
    os.utime(foreign, (1, 1))
    assert cache.get("kind", "used") == b"1"
    os.utime(tmp_path / "esp3c" / "pruned", (1, 1))

    cache.put("kind", "new", b"1")

    assert cache.get("kind", "unused") is None
    assert cache.get("kind", "used") == b"1"
    assert not half.exists()
    assert foreign.exists()


def test_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRY", 100)
    cache = Cache(str(tmp_path))
    cache.put("kind", "fits", b"x" * 100)
    cache.put("kind", "large", b"x" * 101)

    assert cache.get("kind", "fits") == b"x" * 100
    assert cache.get("kind", "large") is None


def test_a_package_whose_files_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(str(tmp_path)).put("kind", "key", b"data")
    monkeypatch.setattr(module, "_PACKAGE", str(tmp_path / "esp3c.zip"))

    assert Cache(str(tmp_path)).get("kind", "key") is None
