"""Who may work on something that several processes could reach for.

A lease is a small folder that all of them see. Its owner renews the file in it (a heartbeat); when the owner is dead,
another may take it over. The files are numbered (`1`, `2`, …): whoever makes the next number has the lease, and a file
is made by a hard link, which fails where the name is there already, also on network file systems. Numbers are not used
twice, so that an owner that was believed dead, and wakes up, finds out: its number is no longer the highest.

An owner is dead for certain when it is a process of this machine that no longer exists. It is taken for dead when it has
not renewed in time and is stopped, or on another machine. (Both times are the file system's own, so clocks need not
agree.) Such an owner may wake up in the middle of its work: who takes over from it must not write where it writes. The
lease says so (`Lease.certain`).
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
    """A lease that this process holds, until `release` or the end of the `with` block; `take` makes it.

    Attributes:
        number: How many have had it, this one included.
        certain: Whether the one before is known to be gone; else it may wake up.
    """

    def __init__(self, folder: Path, number: int, owner: Owner, certain: bool, beat: float) -> None:
        self.number = number
        self.certain = certain
        self._folder = folder
        self._owner = owner
        self._checked = time.monotonic()
        self._ended = False
        _heart.add(self.file, beat)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def file(self) -> Path:
        """The lease's file."""
        return self._folder / str(self.number)

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
        highest = max(_numbers(self._folder), default=0)
        owner = _read(self.file)
        if highest != self.number or owner is None or owner.token != self._owner.token:
            raise LeaseLost(
                f"another process has taken over {self._folder.name}, since this one did not move for a while"
            )

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if self._ended:
            return
        self._ended = True
        _heart.remove(self.file)
        # Where the disk is full it cannot be written down; this process knows, and to others it is over when it ends.
        _held.discard(self._owner.token)
        with suppress(OSError):
            owner = _read(self.file)
            if owner is not None and owner.token == self._owner.token:
                _replace(self.file, Owner(**{**asdict(self._owner), "released": True}))


class _Heart:
    """Renews all leases of this process, in one thread."""

    def __init__(self) -> None:
        self._beats: dict[Path, float] = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, file: Path, beat: float) -> None:
        """Renew `file` every `beat` seconds from now on."""
        with self._lock:
            self._beats[file] = beat
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        self._changed.set()

    def remove(self, file: Path) -> None:
        """Renew it no more."""
        with self._lock:
            self._beats.pop(file, None)

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._lock:
                beats = dict(self._beats)
            now = time.monotonic()
            if now >= due:
                for file in beats:
                    # A file system that does not answer for a moment costs a beat, not the lease.
                    with suppress(OSError):
                        os.utime(file)
            shortest = min(beats.values(), default=None)
            # A lease with a shorter beat that comes in between brings the next beat forward.
            due = now + shortest if shortest is not None and (now >= due or due > now + shortest) else due
            self._changed.wait(None if shortest is None else max(0.0, due - now))
            self._changed.clear()


_heart = _Heart()
# The tokens of the leases that this process holds.
_held: set[str] = set()


def take(folder: Path, *, beat: float = SECONDS_BETWEEN_BEATS, death: float | None = None) -> Lease | Owner:
    """Take the lease `folder`, or learn who has it.

    Args:
        folder: The lease's folder; it is made where it is not there.
        beat: Seconds between heartbeats.
        death: After how many seconds without one an owner that cannot be asked is taken for dead; by default
            `SECONDS_TO_DEATH`.

    Returns:
        The lease, or the owner that has it.
    """
    death = SECONDS_TO_DEATH if death is None else death
    folder.mkdir(parents=True, exist_ok=True)
    me = Owner(
        token=secrets.token_hex(8),
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_started("self"),
    )
    mine = folder / f".{me.token}"
    _held.add(me.token)
    taken = False
    try:
        mine.write_text(_as_text(me), encoding="utf-8")
        while True:
            number = max(_numbers(folder), default=0)
            owner, certain = _owner_of(folder / str(number), mine, death) if number else (None, True)
            if owner is not None:
                return owner
            if _make(mine, folder / str(number + 1)):
                taken = max(_numbers(folder)) == number + 1
                if taken:
                    break
                # Between looking and making, others had it and went on to higher numbers.
                (folder / str(number + 1)).unlink(missing_ok=True)
            # Somebody was faster: it is theirs now, or free again.
        for older in _numbers(folder):
            if older <= number:
                (folder / str(older)).unlink(missing_ok=True)
        _clear_abandoned(folder, mine, death)
    finally:
        mine.unlink(missing_ok=True)
        if not taken:
            _held.discard(me.token)
    return Lease(folder, number + 1, me, certain, beat)


def holder(folder: Path, *, death: float | None = None) -> Owner | None:
    """Who has the lease `folder` now, or None; also asked by those who cannot write there."""
    number = max(_numbers(folder), default=0)
    if not number:
        return None
    probe = folder / f".{secrets.token_hex(8)}"
    clock: Path | None = probe
    try:
        try:
            probe.write_text("", encoding="utf-8")
        except OSError:
            # The disk is full, or the run somebody else's.
            clock = None
        return _owner_of(folder / str(number), clock, SECONDS_TO_DEATH if death is None else death)[0]
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _owner_of(file: Path, clock: Path | None, death: float) -> tuple[Owner | None, bool]:
    """The owner in `file` if it lives, and otherwise whether that is certain.

    Args:
        file: The lease's file with the highest number.
        clock: A file of this process, by which the file system's time is told; None: by this machine's clock.
        death: As for `take`.
    """
    owner = _read(file)
    if owner is None or owner.released:
        return None, True
    try:
        if clock is not None:
            os.utime(clock)
        silent = (time.time() if clock is None else clock.stat().st_mtime) - file.stat().st_mtime
    except FileNotFoundError:
        return None, True
    if owner.machine == _machine():
        if owner.pid == os.getpid():
            return (owner, True) if owner.token in _held else (None, True)
        state, started = _process(owner.pid)
        if not state or (owner.started and started != owner.started):
            return None, True
        # A process that computes for minutes without letting its heartbeat run is no dead one; a stopped one may be.
        return (owner, True) if state not in "Tt" or silent < death else (None, False)
    return (owner, True) if silent < death else (None, False)


def _clear_abandoned(folder: Path, mine: Path, death: float) -> None:
    """Remove what processes left that were killed while they reached for the lease."""
    now = mine.stat().st_mtime
    for path in folder.glob(".*"):
        with suppress(FileNotFoundError):
            if path != mine and now - path.stat().st_mtime > death:
                path.unlink()


def _numbers(folder: Path) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdecimal()]
    except FileNotFoundError:
        return []


def is_made_by_this(source: Path, link: Path) -> bool:
    """Whether a hard link that is said to exist already is one to `source`.

    Where the answer to a call is lost, a network file system makes the call again, and then says that it exists.
    """
    try:
        return os.path.samefile(source, link)
    except FileNotFoundError:
        return False


def _make(source: Path, target: Path) -> bool:
    """Make `target` with the content of `source`, unless it exists."""
    try:
        os.link(source, target)
    except FileExistsError:
        return is_made_by_this(source, target)
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
