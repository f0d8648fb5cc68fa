"""Messages between a driver and its workers: a length, then an object by cloudpickle.

Nothing of it is kept: both ends are processes of one run, and the connection is a socket pair that only they have.
"""

from __future__ import annotations

import pickle
import socket
import struct
import traceback
from typing import Any

_LENGTH = struct.Struct("!Q")


def send(connection: socket.socket, message: object) -> None:
    """Send one message, whole."""
    import cloudpickle

    data = cloudpickle.dumps(message)
    connection.sendall(_LENGTH.pack(len(data)) + data)


class Reader:
    """Takes messages out of what a connection brings, however it is cut."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def next(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError: The other end is gone.
        """
        while (message := self._take()) is _NOTHING:
            self._receive()
        return message

    def available(self) -> list[Any]:
        """Receive once, and give the messages that are complete.

        Raises:
            EOFError: The other end is gone, and there is none.
        """
        self._receive()
        messages = []
        while (message := self._take()) is not _NOTHING:
            messages.append(message)
        return messages

    def _receive(self) -> None:
        try:
            data = self._connection.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        self._buffer += data

    def _take(self) -> Any:
        if len(self._buffer) < _LENGTH.size:
            return _NOTHING
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return _NOTHING
        message = pickle.loads(memoryview(self._buffer)[_LENGTH.size : end])
        del self._buffer[:end]
        return message


_NOTHING = object()


def packed(value: object) -> bytes:
    """An object as it is put into a message when the other end is to unpack it by itself (`unpacked`)."""
    import cloudpickle

    return bytes(cloudpickle.dumps(value))


def unpacked(data: bytes, name: str) -> Any:
    """What `packed` packed.

    Args:
        data: What it gave.
        name: What to call it in a message.

    Raises:
        TaskFailed: It cannot be made again here.
    """
    from esp3rt.work import TaskFailed

    try:
        return pickle.loads(data)
    except Exception as error:
        raise TaskFailed(f"{name} cannot be brought over from the worker: {type(error).__name__}: {error}") from error


def packed_error(error: BaseException) -> tuple[bytes | None, str]:
    """An error as it can be sent: the error itself if it survives that, and what Python says of it."""
    text = "".join(traceback.format_exception(error))
    try:
        data = packed(error)
        pickle.loads(data)
    except Exception:  # noqa: BLE001 - an error of any kind may refuse to be sent, in any way; its text goes instead
        return None, text
    return data, text


def unpacked_error(data: bytes | None, text: str) -> Exception:
    """The error that `packed_error` packed, with a note of where it came from; a `TaskFailed` where it was not sent."""
    from esp3rt.work import TaskFailed

    if data is not None:
        try:
            error = pickle.loads(data)
        except Exception:  # noqa: BLE001 - what can be made again there, by whatever means, may not be here
            error = None
        if isinstance(error, Exception):
            # The traceback of another process cannot be carried over but as text.
            error.add_note("In the worker:\n" + text.rstrip())
            return error
    return TaskFailed(text.rstrip())
