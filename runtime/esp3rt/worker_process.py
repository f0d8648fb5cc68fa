"""The process of a worker, as whoever starts it holds it: `esp3rt.worker` is what runs in it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from esp3rt.wire import Reader, send

_SECONDS_TO_END = 3.0
_BEGIN = "import sys; sys.path.append(sys.argv[1]); from esp3rt.worker import main; main(int(sys.argv[2]))"


class WorkerProcess:
    """A worker process and the connection to it.

    Args:
        variables: Its environment.
        output: Where it prints to: `subprocess.PIPE`, a file, or None for where this process does.

    Attributes:
        process: The process.
        connection, reader: The connection, and what takes messages out of it.
        life: A descriptor that becomes readable when the process ends; None where the system has none.
    """

    def __init__(self, variables: Mapping[str, str], output: int | IO[Any] | None = None) -> None:
        self.variables = dict(variables)
        here, there = socket.socketpair()
        self.connection = here
        self.reader = Reader(here)
        with there:
            self.process = subprocess.Popen(
                # -P: no module of the recipe stands before Python's own while the worker begins.
                [sys.executable, "-P", "-c", _BEGIN, str(Path(__file__).parents[1]), str(there.fileno())],
                pass_fds=(there.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                env=self.variables,
                # With a group of its own, it can be ended together with what it has started.
                process_group=0,
            )
        # What it has started may keep its connections open when it is gone; this tells in any case.
        self.life = os.pidfd_open(self.process.pid) if hasattr(os, "pidfd_open") else None

    def begin(self, job: bytes, place: Mapping[str, Any]) -> None:
        """Give it a job, packed, and where to do it: `sys_path`, `argv`, `folder`."""
        # If it is dead already, its end of the connection says so.
        with contextlib.suppress(ConnectionError):
            send(self.connection, ("place", {**place, "variables": self.variables}))
            send(self.connection, ("job", job))

    def tell(self, kind: str, content: Any = None) -> None:
        """Send it a message; where it died this moment, that is noticed where its connection is read."""
        with contextlib.suppress(ConnectionError):
            send(self.connection, (kind, content))

    def signal(self, number: int) -> None:
        """Send a signal to it and all that it has started."""
        # Its group may live on when it does not.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def end(self) -> None:
        """Let go of its connection and ask it to end."""
        self.connection.close()
        self.signal(signal.SIGTERM)

    def bury(self) -> None:
        """Wait for its end; past the time for that, force it, and in any case what it has started."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_SECONDS_TO_END)
        self.signal(signal.SIGKILL)
        self.process.wait()
        if self.life is not None:
            os.close(self.life)
            self.life = None


def cause_of(code: int) -> str:
    """In words, how a process ended whose exit code is this; negative: the signal that ended it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = ", which the kernel also sends where memory runs out" if -code == signal.SIGKILL else ""
    return f"killed by {name}{why}"
