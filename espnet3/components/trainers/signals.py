"""Lightning's place for handlers of signals, with other handlers.

Its own handler of SIGTERM talks to the other processes of the training at once, in the middle of whatever this process and
they are doing, and they need not have got the signal.
"""

import signal
import threading
from contextlib import ExitStack
from typing import Any

from espnet3.utils.again import listening


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
            self._put_back.enter_context(listening(signal.SIGTERM))

    def teardown(self) -> None:
        """Put back what was there."""
        put_back, self._put_back = self._put_back, None
        if put_back is not None:
            put_back.close()
