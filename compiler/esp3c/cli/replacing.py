"""Puts a file into its place whole or not at all: written beside, synced, renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def put(path: Path, data: bytes, before: bytes | None = None) -> bool:
    """Writes a file; whether it did. Links are followed, and a file keeps its mode.

    With `before` the file has to hold these bytes; where somebody changed it, nothing is written.

    Raises:
        OSError: the disk refused, the file is write-protected, or no plain one; nothing has changed then.
    """
    target = Path(os.path.realpath(path))
    if target.exists():
        if not target.is_file():
            # A device would become a file for everybody.
            raise OSError(errno.EINVAL, "it is not a plain file")
        mode = target.stat().st_mode & 0o7777
        # The superuser may write to what others have protected, and does not mean to.
        if not mode & 0o222 or not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "it is write-protected")
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".new", dir=target.parent)
    try:
        with open(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(beside, mode)
        if before is not None and target.read_bytes() != before:
            os.unlink(beside)
            return False
        os.replace(beside, target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
