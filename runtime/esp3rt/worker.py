"""A worker process, started by `processes`.

It takes a job and then tasks from a socket, and ends when the socket does, with all that it has started: at once, or as
soon as code that holds Python's lock lets go of it.
"""

from __future__ import annotations

import gc
import io
import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import Any

from esp3rt.wire import Reader, packed, packed_error, send

SECONDS_BETWEEN_REPORTS = 0.2


def main(descriptor: int) -> None:
    """Work until the driver has had enough, or is gone.

    Args:
        descriptor: That of the socket.
    """
    # What becomes of a worker is the driver's to say. A handler, not SIG_IGN: programs that are started here do not
    # inherit it.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    # A crash must not take the last lines with it.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    connection = socket.socket(fileno=descriptor)
    reader = Reader(connection)
    home = os.getcwd()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(reader, inbox), daemon=True).start()
    job: Any = None
    built: Any = None
    while True:
        kind, content = inbox.get()
        try:
            if kind == "place":
                sys.path[:] = content["sys_path"]
                sys.argv[:] = content["argv"]
                os.environ.clear()
                os.environ.update(content["variables"])
                home = content["folder"]
                os.chdir(home)
            elif kind == "rest":
                job = built = None
                gc.collect()
            elif kind == "job":
                # Unpacked by hand, so that an error in it is a message and not the end of the connection.
                job = _unpacked(content)
                if job.prepare is not None:
                    job.prepare()
                built = job.setup()
                send(connection, ("ready", None))
            elif kind == "task":
                # The task before may have gone somewhere else.
                os.chdir(home)
                moved = _Moved(connection)
                result = packed(job.work(built, content, moved))
                moved.flush()
                _flush_streams()
                send(connection, ("done", (content, result)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, an exit too, the driver raises it
            _flush_streams()
            send(connection, ("failed", packed_error(error)))


class _Moved:
    """Counts, and tells the driver a few times a second."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._count = 0
        self._last = time.monotonic()

    def __call__(self, n: int) -> None:
        self._count += n
        if time.monotonic() - self._last >= SECONDS_BETWEEN_REPORTS:
            self.flush()

    def flush(self) -> None:
        if self._count:
            send(self._connection, ("moved", self._count))
            self._count = 0
        self._last = time.monotonic()


def _listen(reader: Reader, inbox: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            message = reader.next()
        except (EOFError, OSError):
            # Nobody is there any more to take a result; half-written files are the next run's to clear.
            if os.getpgid(0) == os.getpid():
                os.killpg(os.getpid(), signal.SIGKILL)
            os._exit(0)
        inbox.put(message)


def _unpacked(data: bytes) -> Any:
    import pickle

    return pickle.loads(data)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
