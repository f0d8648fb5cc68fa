"""Being asked to stop: what a process is asked by signals, what it ends with, and how it says that it was not in vain.

SIGUSR2 asks for the state to be saved, since the work will be started again: its time is nearly over, or its place needed.
SIGTERM asks for an end. A handler only notes it; the work looks where it can stop.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import FrameType

AGAIN = 85
"""The exit code of what has saved its state and wants to be started again."""
TERMINATED = 128 + signal.SIGTERM
"""What a shell gives for a process that SIGTERM ended."""
PROGRESS = "ESP3RT_PROGRESS"
"""The variable that names a file which is made once there is more to go on from than there was at the start."""

_LOG = logging.getLogger(__name__)


class Stop(IntEnum):
    """Why to stop; of several reasons the highest counts."""

    NO = 0
    AGAIN = 1
    END = 2
    LOST = 3
    """Somebody else has taken the work over: nothing may be written any more."""


class Stopped(BaseException):
    """A training has stopped where it was asked to, and everything is written.

    It is no `Exception`: nothing on the way is to take it for an error.

    Attributes:
        why: What it was asked.
    """

    def __init__(self, why: Stop) -> None:
        super().__init__(why.name)
        self.why = why

    @property
    def code(self) -> int:
        """The exit code that says so."""
        return TERMINATED if self.why is Stop.END else AGAIN


_MEANING = {signal.SIGUSR2: Stop.AGAIN, signal.SIGTERM: Stop.END}
_asked = Stop.NO


def asked() -> Stop:
    """What this process has been asked."""
    return _asked


def forget() -> None:
    """What was asked has been done."""
    global _asked
    _asked = Stop.NO


def say_progress() -> None:
    """Let whoever has started this process know that there is more to go on from: one that dies now was not in vain."""
    if os.environ.get(PROGRESS):
        try:
            Path(os.environ[PROGRESS]).touch()
        except OSError as error:
            _LOG.warning("%s cannot be made: %s", os.environ[PROGRESS], error)


@contextmanager
def listening(*signals: signal.Signals, then: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Note signals, instead of being ended by them; whoever listened before still hears them.

    A process that leaves the block because it was asked to end is not to be ended by the same signal once more, which often
    comes twice, and so lose its exit code: it passes it over from then on. Does nothing outside of the main thread, where
    Python sets no handlers.

    Args:
        signals: SIGUSR2, SIGTERM, or both.
        then: Called whenever one has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signals}
    for number, handler in before.items():
        if not isinstance(handler, _Handler):
            signal.signal(number, _Handler(handler, then))
    # A parent that waits for signals keeps them blocked, and what it starts inherits that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    leaves = False
    try:
        yield
    except SystemExit as end:
        leaves = end.code in (AGAIN, TERMINATED)
        raise
    finally:
        for number, handler in before.items():
            # None stands for a handler that Python has not set and cannot set again.
            usual = signal.SIG_DFL if handler is None else handler
            signal.signal(number, signal.SIG_IGN if leaves else usual)


class _Handler:
    def __init__(self, before: object, then: Callable[[], None]) -> None:
        self._before = before
        self._then = then

    def __call__(self, number: int, frame: FrameType | None) -> None:
        global _asked
        _asked = max(_asked, _MEANING[signal.Signals(number)])
        self._then()
        if callable(self._before):
            self._before(number, frame)
