"""Holds a tree of processes together: what it starts and all that comes of it, and nothing outlives its owner.

The kernel gives it for children all that detaches itself below it (PR_SET_CHILD_SUBREAPER), so daemons, and the jobs of
daemons, are known without asking anybody. Its owner holds the other end of its standard input and writes orders, a line
of JSON each: `{"start": [program, …], "log": path, "env": {…}}`, `{"end": pid, "signal": number}`, and `{"kill_but": [pid, …]}`
for the whole tree. Each is answered by a line: the pid, or null. When the input ends, because the owner says so or is dead, the
tree is killed and the folders that are named on the command line are removed.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

_PR_SET_CHILD_SUBREAPER = 36


class Keeper:
    """The owner's end: a process that holds what is started through it, and ends with this one."""

    def __init__(self, *folders: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # What interrupts the owner must not stop it before it has stopped the others.
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout

    def start(self, command: Sequence[str], log: Path, env: dict[str, str]) -> int:
        pid = self._order({"start": list(command), "log": str(log), "env": env})
        assert pid is not None
        return pid

    def end(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one that it started; over when that is gone."""
        self._order({"end": pid, "signal": number})

    def kill_all(self, but: Sequence[int] = ()) -> None:
        """Kill all that it holds; over when they are gone."""
        self._order({"kill_but": list(but)})

    def let_go(self) -> None:
        """It kills what it holds, and ends."""
        self._orders.close()

    def close(self) -> None:
        """The same; over when it has ended."""
        self.let_go()
        self._process.wait()
        self._answers.close()

    def _order(self, order: dict[str, object]) -> int | None:
        print(json.dumps(order), file=self._orders, flush=True)
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"the keeper has ended over {order}; what it said stands above")
        answer: int | None = json.loads(line)
        return answer


def main(folders: list[str]) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel gives no process the children of its descendants")
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    try:
        for line in sys.stdin:
            print(json.dumps(_obey(json.loads(line))), flush=True)
    finally:
        _kill_tree()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _obey(order: dict[str, Any]) -> int | None:
    if "start" in order:
        return _start(order["start"], order["log"], order["env"])
    if "end" in order:
        _end(order["end"], order["signal"])
    else:
        _kill_tree(order["kill_but"])
    return None


def _start(command: list[str], log: str, env: dict[str, str]) -> int:
    with open(log, "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env).pid


def _end(pid: int, number: int) -> None:
    if _is_child(pid):
        os.kill(pid, number)
    while _is_child(pid):
        _reap()
        time.sleep(0.005)


def _is_child(pid: int) -> bool:
    return any(child.pid == pid for child in psutil.Process().children())


def _kill_tree(but: Sequence[int] = ()) -> None:
    """Again and again: whose parent was killed is a child of this process by then."""
    while tree := [process for process in psutil.Process().children(recursive=True) if process.pid not in but]:
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _reap()
        time.sleep(0.005)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
