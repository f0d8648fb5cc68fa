"""Who may work on something that several processes could reach for.

A lease is a small file in a folder that all of them see. Its owner renews it (a heartbeat); when the owner is dead,
another may take it over. The files of a lease are numbered (`<name>.1`, `<name>.2`, …): whoever makes the next number
has it, and a file is made by a hard link, which fails where the name is there already, also on network file systems.
Numbers are not used twice, so that an owner that was believed dead, and wakes up, finds out: its number is no longer
the highest.

An owner is dead when

- it is a process of this machine that no longer exists, or that is stopped and has not renewed in time;
- it is on another machine and has not renewed in time. Both times are the file system's own, so clocks need not agree.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SECONDS_BETWEEN_BEATS = 10.0
SECONDS_TO_DEATH = 60.0
_SECONDS_BETWEEN_CHECKS = 1.0


class LeaseLost(RuntimeError):
    """Another process has taken the work over, since this one seemed to be dead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Who holds a lease.

    Attributes:
        token: A random word that no other owner has.
        host: The machine's name, for people.
        machine: What tells this machine, since its start, and this process table from all others.
        pid: The process.
        started: When the process was started, in the kernel's ticks, so that a number that is used again is noticed.
        released: Whether it has given the lease back.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: int
    released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """A lease that this process holds, until `release` or the end of the `with` block.

    Args and errors: see `take`, which makes it.
    """

    def __init__(self, path: Path, number: int, owner: Owner, beat: float) -> None:
        self._path = path
        self._number = number
        self._owner = owner
        self._checked = time.monotonic()
        self._ended = threading.Event()
        self._beat = beat
        self._thread = threading.Thread(target=self._keep, name=f"lease {path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def file(self) -> Path:
        """The lease's file."""
        return _numbered(self._path, self._number)

    def check(self, *, now: bool = False) -> None:
        """See that the lease is still this process's; costs nothing when it was seen a second ago.

        Args:
            now: Look in any case.

        Raises:
            LeaseLost: It is not.
        """
        time_now = time.monotonic()
        if not now and time_now - self._checked < _SECONDS_BETWEEN_CHECKS:
            return
        self._checked = time_now
        highest = max(_numbers(self._path), default=0)
        owner = _read(self.file)
        if highest != self._number or owner is None or owner.token != self._owner.token:
            raise LeaseLost(
                f"another process has taken over {self._path.name}, since this one did not move for a while"
            )

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        with suppress(OSError):
            owner = _read(self.file)
            if owner is not None and owner.token == self._owner.token:
                _replace(self.file, Owner(**{**asdict(self._owner), "released": True}))

    def _keep(self) -> None:
        while not self._ended.wait(self._beat):
            # A file system that does not answer for a moment costs a beat, not the lease.
            with suppress(OSError):
                os.utime(self.file)


def take(path: Path, *, beat: float = SECONDS_BETWEEN_BEATS, death: float = SECONDS_TO_DEATH) -> Lease | Owner:
    """Take the lease `path`, or learn who has it.

    Args:
        path: What the lease's files begin with; folders on the way are made.
        beat: Seconds between heartbeats.
        death: After how many seconds without one an owner on another machine is dead.

    Returns:
        The lease, or the owner that has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    me = Owner(
        token=secrets.token_hex(8),
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_started("self"),
    )
    mine = path.parent / f".{path.name}.{me.token}"
    try:
        mine.write_text(_as_text(me), encoding="utf-8")
        while True:
            number = max(_numbers(path), default=0)
            if number and (owner := _living(_numbered(path, number), mine, death)) is not None:
                return owner
            if _make(mine, _numbered(path, number + 1)):
                if max(_numbers(path)) == number + 1:
                    break
                # Between looking and making, others had it and went on to higher numbers.
                _numbered(path, number + 1).unlink(missing_ok=True)
        for older in _numbers(path):
            if older <= number:
                _numbered(path, older).unlink(missing_ok=True)
    finally:
        mine.unlink(missing_ok=True)
    return Lease(path, number + 1, me, beat)


def holder(path: Path, *, death: float = SECONDS_TO_DEATH) -> Owner | None:
    """Who has the lease `path` now, or None."""
    number = max(_numbers(path), default=0)
    if not number:
        return None
    probe = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        probe.write_text("", encoding="utf-8")
        return _living(_numbered(path, number), probe, death)
    finally:
        probe.unlink(missing_ok=True)


def _living(file: Path, clock: Path, death: float) -> Owner | None:
    """The owner in `file` if it lives; `clock` is a file that was written this moment."""
    owner = _read(file)
    if owner is None or owner.released:
        return None
    try:
        os.utime(clock)
        silent = clock.stat().st_mtime - file.stat().st_mtime
    except FileNotFoundError:
        return None
    if owner.machine == _machine():
        state, started = _process(owner.pid)
        if not state or (owner.started and started != owner.started):
            return None
        # A process that computes for minutes without letting its heartbeat run is no dead one; a stopped one may be.
        return owner if state not in "Tt" or silent < death else None
    return owner if silent < death else None


def _numbered(path: Path, number: int) -> Path:
    return path.parent / f"{path.name}.{number}"


def _numbers(path: Path) -> list[int]:
    try:
        names = os.listdir(path.parent)
    except FileNotFoundError:
        return []
    start = len(path.name) + 1
    return [int(name[start:]) for name in names if name.startswith(f"{path.name}.") and name[start:].isdecimal()]


def _make(source: Path, target: Path) -> bool:
    """Make `target` with the content of `source`, unless it exists."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: the file is there before its content, and is read again by whoever meets
        # it in between.
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        with open(descriptor, "wb") as handle:
            handle.write(source.read_bytes())
    return True


def _replace(file: Path, owner: Owner) -> None:
    beside = file.parent / f".{file.name}.{secrets.token_hex(8)}"
    beside.write_text(_as_text(owner), encoding="utf-8")
    os.replace(beside, file)


def _as_text(owner: Owner) -> str:
    return json.dumps(asdict(owner))


def _read(file: Path) -> Owner | None:
    for _ in range(50):
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        with suppress(ValueError, TypeError):
            return Owner(**json.loads(text))
        time.sleep(0.02)
    # Whoever began to write it has not gone on for a second.
    return None


def _machine() -> str:
    """What tells this machine, since its start, and this process table from others."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return " ".join(parts)


def _process(pid: int) -> tuple[str, int]:
    """The state of a process, a letter as in `ps`, and when it was started; "" where there is none."""
    if os.path.exists("/proc/self/stat"):
        return _stat(str(pid))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "", 0
    except PermissionError:
        pass
    return "R", 0


def _started(pid: str) -> int:
    return _stat(pid)[1]


def _stat(pid: str) -> tuple[str, int]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", 0
    # The name of the program stands in brackets and may hold anything.
    fields = text.rpartition(")")[2].split()
    # A process that has ended and that nobody has asked for is none any more.
    return ("" if fields[0] in "ZX" else fields[0]), int(fields[19])
