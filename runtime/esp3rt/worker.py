"""A worker process, started by `processes`.

It takes a job and then tasks from a socket, and ends when the socket does: a worker never outlives its driver.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import Any

from esp3rt.wire import Reader, packed_error, send

SECONDS_BETWEEN_REPORTS = 0.2


def main(descriptor: int) -> None:
    """Work until the driver has had enough, or is gone.

    Args:
        descriptor: That of the socket.
    """
    # Ctrl-C in a terminal reaches every process of it; what becomes of the workers is the driver's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=descriptor)
    reader = Reader(connection)
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
                os.chdir(content["folder"])
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
                moved = _Moved(connection)
                result = job.work(built, content, moved)
                moved.flush()
                send(connection, ("done", (content, result)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver raises it
            send(connection, ("failed", packed_error(error)))
        _flush_streams()


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
            os._exit(0)
        inbox.put(message)


def _unpacked(data: bytes) -> Any:
    import pickle

    return pickle.loads(data)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
