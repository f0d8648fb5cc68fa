"""Other programs that a command starts on its terminal. Importing this costs next to nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Collection

_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def end_with_parent() -> None:
    """Asks Linux to end this process when `esp3c` is killed, so that no run goes on that nobody sees."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def stream(command: list[str], what: str = "run.py", passed_on: Collection[int] = ()) -> int:
    """Runs a command on this terminal and returns 0, 1, what it says itself of `passed_on`, or 130 for an interrupt.

    Args:
        command: The words of the command.
        what: What it is called where it is ended by a signal.
        passed_on: Exit codes of the command that are handed on as they are.
    """
    process = subprocess.Popen(command, preexec_fn=end_with_parent if sys.platform == "linux" else None)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # The terminal sent the signal to the command as well: it is given the time to leave things clean.
        try:
            process.wait(timeout=30)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        return 130
    if code in {130, -signal.SIGINT}:
        return 130
    # Where nobody reads on (`esp3c logs | head`), there is nothing to say.
    if code < 0 and code != -signal.SIGPIPE:
        name = signal.Signals(-code).name
        # A process that was ended from outside goes on when it is started again; one that crashed crashes again.
        advice = (
            "start it again to go on" if -code in _FROM_OUTSIDE else "a library crashed; the stage's log may say where"
        )
        print(f"esp3c: {what} was ended by {name}; {advice}", file=sys.stderr)
    return code if code == 0 or code in passed_on else 1
