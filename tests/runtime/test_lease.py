"""Leases: one owner at a time, heartbeats, taking over from the dead, and finding out that one was believed dead."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from esp3rt.lease import Lease, LeaseLost, Owner, holder, take


def _child(path: Path, body: str) -> "subprocess.Popen[str]":
    """A process that takes the lease `path`, says so, and goes on with `body`."""
    code = "import sys, time\nfrom pathlib import Path\nfrom esp3rt.lease import take\n" + textwrap.dedent(body)
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "has it\n"
    return child


HOLD = """
lease = take(Path(sys.argv[1]), beat=0.1)
print("has it", flush=True)
time.sleep(60)
"""


def _taken(path: Path, **settings: float) -> Lease:
    lease = take(path, **settings)
    assert isinstance(lease, Lease)
    return lease


def test_one_at_a_time(tmp_path: Path) -> None:
    """The second learns who has it; given back, it is free."""
    path = tmp_path / "leases" / "0"
    with _taken(path):
        second = take(path)
        assert isinstance(second, Owner)
        assert str(second).startswith(f"process {os.getpid()} on ")
        assert holder(path) == second

    assert holder(path) is None
    with _taken(path) as again:
        again.check(now=True)


def test_the_dead_are_followed_at_once(tmp_path: Path) -> None:
    """No heartbeat has to be missed where the process can be seen to be gone."""
    path = tmp_path / "0"
    child = _child(path, HOLD)
    assert isinstance(take(path), Owner)
    child.send_signal(signal.SIGKILL)
    child.wait()

    _taken(path).release()


def test_a_number_that_another_process_has_now_is_no_life(tmp_path: Path) -> None:
    """A process is known by its number and the time of its start."""
    path = tmp_path / "0"
    lease = _taken(path)
    text = lease.file.read_text().replace('"started": ', '"started": 1').replace(f'"pid": {os.getpid()}', '"pid": 1')
    lease.file.write_text(text)

    other = take(path)
    assert isinstance(other, Lease)
    assert other.certain
    with pytest.raises(LeaseLost, match="taken over 0"):
        lease.check(now=True)
    other.release()
    lease.release()


def test_a_lease_that_could_not_be_given_back_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk keeps it from being written down; this process knows all the same."""

    def full(file: Path, owner: Owner) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("esp3rt.lease._replace", full)
        _taken(tmp_path / "0").release()

    assert holder(tmp_path / "0") is None
    _taken(tmp_path / "0").release()


def test_what_killed_takers_left_is_cleared(tmp_path: Path) -> None:
    """In time; and no more than two files are left of any number of turns."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / ".0123").touch()
    os.utime(tmp_path / "0" / ".0123", (1, 1))
    for _ in range(5):
        _taken(tmp_path / "0").release()

    assert [path.name for path in (tmp_path / "0").iterdir()] == ["5"]


def test_another_machine_is_dead_when_it_is_silent(tmp_path: Path) -> None:
    """While its heartbeat is fresh it lives, whatever its clock says."""
    path = tmp_path / "0"
    lease = _taken(path, beat=30.0)
    lease.file.write_text(lease.file.read_text().replace('"machine": "', '"machine": "far '))

    assert isinstance(take(path, death=5.0), Owner)
    stamp = time.time() - 10
    os.utime(lease.file, (stamp, stamp))
    taken = take(path, death=5.0)
    assert isinstance(taken, Lease)
    assert not taken.certain
    taken.release()
    lease.release()


def test_a_stopped_owner_finds_out(tmp_path: Path) -> None:
    """Stopped for longer than the limit, it is taken for dead; awake again, it stops its work."""
    path = tmp_path / "0"
    child = _child(
        path,
        """
        from esp3rt.lease import LeaseLost
        lease = take(Path(sys.argv[1]), beat=0.05)
        print("has it", flush=True)
        try:
            while True:
                lease.check(now=True)
                time.sleep(0.01)
        except LeaseLost:
            print("lost", flush=True)
        """,
    )
    child.send_signal(signal.SIGSTOP)
    assert isinstance(take(path, death=60.0), Owner)
    deadline = time.monotonic() + 20
    while isinstance(taken := take(path, death=0.3), Owner):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGCONT)

    assert child.stdout is not None
    assert child.stdout.readline() == "lost\n"
    assert child.wait(20) == 0
    taken.check(now=True)
    taken.release()


def test_who_has_it_is_seen_by_those_who_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, or in somebody else's folder."""
    path = tmp_path / "0"
    with _taken(path) as lease:

        def refuse(*_: object, **__: object) -> int:
            raise PermissionError("not yours")

        monkeypatch.setattr(Path, "write_text", refuse)
        assert holder(path) is not None
        text = lease.file.read_text()
        lease.file.write_bytes(text.replace('"machine": "', '"machine": "another ').encode())
        assert holder(path) is not None
        os.utime(lease.file, (1.0, 1.0))
        assert holder(path, death=0.5) is None
        monkeypatch.undo()


def test_the_heart_beats(tmp_path: Path) -> None:
    """The file's time moves while the owner does other things."""
    with _taken(tmp_path / "0", beat=0.02) as lease:
        os.utime(lease.file, (1, 1))
        deadline = time.monotonic() + 10
        while lease.file.stat().st_mtime == 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_many_that_reach_at_once_never_have_it_together(tmp_path: Path) -> None:
    """Threads stand for processes: each holds the lease for a moment, and nobody else does then."""
    path = tmp_path / "0"
    inside: list[int] = []
    counts: Counter[int] = Counter()

    def work(me: int) -> None:
        while counts[me] < 5:
            lease = take(path)
            if isinstance(lease, Lease):
                inside.append(me)
                assert inside == [me]
                lease.check(now=True)
                inside.remove(me)
                lease.release()
                counts[me] += 1

    threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert counts == {0: 5, 1: 5, 2: 5, 3: 5}


def test_a_lease_whose_answer_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system makes the call again, and says that there is such a file: it is this process's own."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    lease = take(tmp_path)

    assert isinstance(lease, Lease)
    assert lease.number == 1
    lease.release()
