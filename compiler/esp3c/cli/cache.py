"""What esp3c remembers between two processes, on disk: bytes by kind and key. Losing it costs time and nothing else.

    cache = Cache()
    data = cache.get("signatures", key)     # None where nothing, or nothing to be trusted, is there
    cache.put("signatures", key, data)

Nothing here raises. An entry is only believed if it carries the checksum of its kind, key and data under the stamp of
this very build of esp3c, so a torn, foreign or outdated file is a miss. Two processes may write at once: each writes
beside and renames. The folder is the user's alone; one that belongs to somebody else, or that others may write to, is
not used. `ESP3C_CACHE_DIR` names another folder, `ESP3C_NO_CACHE=1` turns it off.
"""

from __future__ import annotations

import os
import sys
import time
from hashlib import sha256

from esp3c import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ENTRY = 4_000_000
MAX_BYTES = 64_000_000
PRUNE_SECONDS = 86_400
_UNUSED_SECONDS = 30 * PRUNE_SECONDS

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Cache:
    """One cache; `folder` for tests, otherwise the user's own."""

    def __init__(self, folder: str | None = None) -> None:
        self._root = _root(folder)
        self._ready = False
        self._stamp = ""

    @property
    def folder(self) -> str | None:
        """Where the entries are; None where nothing is kept."""
        return self._root

    def get(self, kind: str, key: str) -> bytes | None:
        """The bytes that were put under this kind and key, or None."""
        if self._root is None:
            return None
        path = os.path.join(self._root, kind, _name(key))
        try:
            if not self._own():
                return None
            with open(path, "rb") as handle:
                entry = handle.read(MAX_ENTRY + 1000)
                if time.time() - os.fstat(handle.fileno()).st_mtime > PRUNE_SECONDS:
                    os.utime(handle.fileno())
            head, _, data = entry.partition(b"\n")
            return data if head == self._head(kind, key, data) else None
        except (OSError, ValueError):
            return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Keeps bytes under a kind, which is a plain word, and a key, which is any text. May silently do nothing."""
        if self._root is None or len(data) > MAX_ENTRY:
            return
        folder, name = os.path.join(self._root, kind), _name(key)
        beside = os.path.join(folder, f"{name}.{os.getpid()}.{time.monotonic_ns()}.new")
        try:
            os.makedirs(self._root, mode=0o700, exist_ok=True)
            if not self._own():
                return
            os.makedirs(folder, mode=0o700, exist_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with open(descriptor, "wb") as handle:
                    handle.write(self._head(kind, key, data) + b"\n" + data)
                os.replace(beside, os.path.join(folder, name))
            except OSError:
                os.unlink(beside)
                return
            # One entry in 256 asks again on the same day, so that even a day of many entries stays within bounds.
            self._prune(at_once=name.startswith("00"))
        except (OSError, ValueError):
            return

    def _head(self, kind: str, key: str, data: bytes) -> bytes:
        self._stamp = self._stamp or stamp()
        parts = [kind.encode(), key.encode("utf-8", "surrogateescape"), data]
        digest = sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
        return f"esp3c {self._stamp} {digest}".encode()

    def _own(self) -> bool:
        """Whether the folder belongs to this user alone. Asked once it is there; until then there is nothing to read."""
        if not self._ready and self._root is not None:
            found = os.lstat(self._root)
            self._ready = found.st_mode & 0o170022 == 0o040000 and found.st_uid == os.geteuid()
        return self._ready

    def _prune(self, at_once: bool) -> None:
        assert self._root is not None
        mark, now = os.path.join(self._root, "pruned"), time.time()
        try:
            if not at_once and 0 <= now - os.stat(mark).st_mtime < PRUNE_SECONDS:
                return
        except FileNotFoundError:
            pass
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(mark)
        kept = 0
        for age, size, path in sorted((now - changed, size, path) for changed, size, path in _entries(self._root)):
            left_behind = path.endswith(".new") and age > PRUNE_SECONDS
            kept += size
            if left_behind or age > _UNUSED_SECONDS or kept > MAX_BYTES:
                kept -= size
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    continue


def stamp() -> str:
    """A short text that changes with the version of esp3c, with any of its files, and with the version of Python."""
    facts = [__version__, sys.version, *sorted(_files(_PACKAGE))]
    return sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in {"__pycache__", "templates"}:
                continue
            if entry.is_dir():
                yield from _files(entry.path)
            else:
                # The grammar may be a link to a place that this copy does not have.
                found = entry.stat(follow_symlinks=False)
                yield f"{entry.path} {found.st_mtime_ns} {found.st_size}"


def _entries(root: str) -> Iterator[tuple[float, int, str]]:
    for kind in os.scandir(root):
        if kind.is_dir(follow_symlinks=False):
            for entry in os.scandir(kind.path):
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield found.st_mtime, found.st_size, entry.path


def _name(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _root(folder: str | None) -> str | None:
    """The folder of the entries, or None where nothing is to be kept."""
    if os.environ.get("ESP3C_NO_CACHE", "0") not in {"", "0"}:
        return None
    given = folder or os.environ.get("ESP3C_CACHE_DIR")
    # A folder of our own inside the one that is named: it may hold other things, and belong to all.
    return os.path.join(os.path.abspath(given) if given else _user_folder(), "esp3c")


def _user_folder() -> str:
    if sys.platform == "linux":
        # What platformdirs says there. Its import would cost more than all else that a repeated check does.
        given = os.environ.get("XDG_CACHE_HOME", "").strip()
        return given if os.path.isabs(given) else os.path.expanduser("~/.cache")
    from platformdirs import user_cache_dir

    return user_cache_dir()
