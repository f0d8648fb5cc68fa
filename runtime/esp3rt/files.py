"""Files that appear whole or not at all.

Every writer here works beside the file that it replaces, in the same folder: it writes a partial file, brings
it to the disk (fsync), renames it over the target and brings the folder to the disk. A process that is killed
at any point leaves either the old file or the new one, and at most a partial file, which `remove_partials`
clears away.

A partial file is called `.<name>.<host>.<pid>.<random>.partial`: the name says whose it is, so that a living
writer's file is never taken away.
"""

import hashlib
import json
import math
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_SUFFIX = ".partial"
# A partial file of another machine cannot be asked whether its writer lives; after a day it is dead.
_FOREIGN_AGE_SECONDS = 24 * 3600.0
_HASHED_WHOLE = 64 * 2**20
# In bytes: file systems allow 255, and host, process and random part need theirs.
_LONGEST_NAME = 120


@contextmanager
def replacing(
    path: str | os.PathLike[str], mode: str = "w", encoding: str = "utf-8", *, secret: bool = False
) -> Iterator[IO[Any]]:
    """Yield a handle whose content becomes the file `path` when the block ends without an error.

    Folders on the way are made. A symbolic link stays a link: the file that it points at is replaced. An
    existing file keeps its permissions. If the block raises, `path` is untouched and no partial file stays.

    Args:
        path: The file to write or replace.
        mode: "w" for text, "wb" for bytes.
        encoding: The encoding of text; lines end in "\\n" on every machine.
        secret: Whether nobody but its owner may read the file, whatever it was before.

    Raises:
        ValueError: `mode` is neither "w" nor "wb".
        IsADirectoryError: `path` is a folder.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f'replacing() writes whole files: mode must be "w" or "wb", not {mode!r}')
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder, not a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / _partial_name(target.name)
    descriptor = os.open(
        partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600 if secret else 0o666
    )
    try:
        text = {} if mode == "wb" else {"encoding": encoding, "newline": "\n"}
        with open(descriptor, mode, **text) as handle:  # type: ignore[call-overload]
            yield handle
            handle.flush()
            with suppress(FileNotFoundError):
                if not secret:
                    os.fchmod(handle.fileno(), stat.S_IMODE(target.stat().st_mode))
            os.fsync(handle.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str, *, secret: bool = False) -> None:
    """Make `text` the content of `path`, in UTF-8, whole or not at all; `secret` as for `replacing`."""
    with replacing(path, secret=secret) as handle:
        handle.write(text)


def write_bytes(path: str | os.PathLike[str], data: bytes, *, secret: bool = False) -> None:
    """Make `data` the content of `path`, whole or not at all; `secret` as for `replacing`."""
    with replacing(path, "wb", secret=secret) as handle:
        handle.write(data)


def write_json(path: str | os.PathLike[str], obj: object, *, secret: bool = False) -> None:
    """Make `obj` the content of `path` as indented JSON, whole or not at all.

    A number that JSON has no word for (nan, inf) becomes null, so that every reader can read the file. `secret` as for
    `replacing`.

    Raises:
        TypeError: `obj` holds something that JSON cannot hold.
    """
    write_text(path, json.dumps(_finite(obj), indent=2, ensure_ascii=False, allow_nan=False) + "\n", secret=secret)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Bring the names in `folder` to the disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot sync a folder; the rename itself has already happened.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def state_of(path: str | os.PathLike[str]) -> str:
    """A text that changes when the file's content does: its hash, or for a large file its size and time.

    Reading a large checkpoint again would cost more than it gains.
    """
    state = os.stat(path)
    if state.st_size <= _HASHED_WHOLE:
        return sha256_of(path)
    return f"{state.st_size} bytes, {state.st_mtime_ns}"


def remove_partials(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what killed writers left in `folder` (not below it) and return the paths removed.

    The partial file of a process that lives on this machine stays, and so does one of another machine that is
    less than a day old.
    """
    removed: list[Path] = []
    root = Path(folder)
    if not root.is_dir():
        return removed
    for path in sorted(root.glob(f".*{_SUFFIX}")):
        if _is_abandoned(path):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _partial_name(name: str) -> str:
    # A name in Japanese has three bytes a character; what is cut in the middle of one is dropped.
    short = os.fsencode(name)[:_LONGEST_NAME].decode(errors="ignore")
    return f".{short}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}"


def _host() -> str:
    return socket.gethostname().replace(".", "-")[:64] or "localhost"


def _is_abandoned(path: Path) -> bool:
    parts = path.name.removesuffix(_SUFFIX).rsplit(".", 3)
    if len(parts) != 4 or not parts[2].isdigit():
        return False
    _, host, pid, _ = parts
    if host == _host():
        return not is_alive(int(pid))
    try:
        return time.time() - path.stat().st_mtime > _FOREIGN_AGE_SECONDS
    except FileNotFoundError:
        return False


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is running, also one of somebody else."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _finite(obj: object) -> object:
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if isinstance(obj, dict):
        return {key: _finite(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_finite(value) for value in obj]
    return obj
