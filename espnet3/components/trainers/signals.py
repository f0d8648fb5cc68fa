"""Lightning's place for handlers of signals, with other handlers.

Its own handler of SIGTERM talks to the other processes of the training at once, in the middle of whatever this process and
they are doing, and they need not have got the signal.

SLURM sends its signals to all that a job has started, so also to the processes that load data. Their end is then none to
fail at.
"""

import signal
import threading
import time
from contextlib import ExitStack
from typing import Any

from espnet3.utils.again import Stop, asked, listening

_SECONDS_TO_HEAR = 1.0


class Signals:
    """In the place of a Trainer's `_signal_connector`.

    Attributes:
        received_sigterm: Never, for Lightning: where a training stops is decided elsewhere.
    """

    received_sigterm = False

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._put_back: ExitStack | None = None

    def register_signal_handlers(self) -> None:
        """Listen to SIGTERM while batches are trained on; before that there is nothing to be saved."""
        self.teardown()
        self._put_back = ExitStack()
        if threading.current_thread() is threading.main_thread():
            # Lightning switches Ctrl-C off once it was pressed.
            self._put_back.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        if self._trainer.state.fn == "fit":
            self._put_back.enter_context(listening(signal.SIGTERM, then=_let_workers_end))

    def teardown(self) -> None:
        """Put back what was there."""
        put_back, self._put_back = self._put_back, None
        if put_back is not None:
            put_back.close()


def ended_with_workers(error: RuntimeError) -> bool:
    """Whether an error only says that what has asked this process to stop has ended those that load its data."""
    if "DataLoader worker" not in str(error):
        return False
    # They may have got the signal a moment earlier.
    deadline = time.monotonic() + _SECONDS_TO_HEAR
    while asked() is Stop.NO and "killed by signal" in str(error) and time.monotonic() < deadline:
        time.sleep(0.05)
    return asked() is not Stop.NO


def let_end_by_itself() -> None:
    """Pass SIGTERM over from now on: this process is about to end with a code of its own."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _let_workers_end() -> None:
    """The batch that this process works on can still be finished; torch would raise an error in the middle of it."""
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
