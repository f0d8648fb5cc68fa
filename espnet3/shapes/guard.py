"""Keeps the trial of a model from leaving anything behind: nothing is written, nobody is called, memory has an end.

This is for honest code that downloads weights or writes a cache in its constructor. It is no prison: a recipe's Python is
run here as the recipe's author runs it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree",
    "shutil.move", "shutil.copyfile",
}  # fmt: skip
_CALLS = {"socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request"}
_STARTS = {"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork"}
_BYTES_MORE = 6 << 30


class Refused(PermissionError):
    """Something that is not done while shapes are checked."""


def guard(folder: str) -> None:
    """Refuses, in this process from now on, to write outside `folder`, to use the network and to start processes."""
    place = os.path.realpath(folder)

    def inside(path: Any) -> bool:
        if isinstance(path, int):
            return True
        with suppress(TypeError, ValueError):
            real = os.path.realpath(os.fsdecode(path))
            return real == os.devnull or real.startswith((place + os.sep, "/dev/shm/"))
        return False

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            writes = bool(flags & _WRITING) if isinstance(flags, int) else any(each in (mode or "") for each in "wax+")
            if writes and not inside(path):
                raise Refused(f"it writes {os.fsdecode(path)}")
        elif event in _CHANGES and not inside(args[0]):
            raise Refused(f"it changes {os.fsdecode(args[0])}")
        elif event in _CALLS:
            raise Refused("it uses the network")
        elif event in _STARTS:
            raise Refused("it starts another process")

    sys.addaudithook(look)


def limit_memory() -> None:
    """Gives this process some gigabytes more than it has now, where the system can count them."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return
    most = pages * resource.getpagesize() + _BYTES_MORE
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
