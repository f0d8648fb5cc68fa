"""Holds a tree of processes together: what it starts and all that comes of it, and nothing outlives its owner.

The kernel gives it for children all that detaches itself below it (PR_SET_CHILD_SUBREAPER), so daemons, and the jobs of
daemons, are known without asking anybody. Its owner holds the other end of its standard input and writes orders, a line
of JSON each: `{"start": [program, …], "log": path, "env": {…}}`, `{"kill": pid}`, `{"kill": null}` for the whole tree.
Each is answered by a line: the pid, or null. When the input ends, because the owner says so or is dead, the tree is killed and
the folders that are named on the command line are removed.
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
from typing import Any

import psutil

_PR_SET_CHILD_SUBREAPER = 36


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
    if order["kill"] is None:
        _kill_tree()
    else:
        _kill(order["kill"])
    return None


def _start(command: list[str], log: str, env: dict[str, str]) -> int:
    with open(log, "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env).pid


def _kill(pid: int) -> None:
    if any(child.pid == pid for child in psutil.Process().children()):
        os.kill(pid, signal.SIGKILL)
        while any(child.pid == pid for child in psutil.Process().children()):
            _reap()
            time.sleep(0.005)


def _kill_tree() -> None:
    """Again and again: whose parent was killed is a child of this process by then."""
    while tree := psutil.Process().children(recursive=True):
        for process in tree:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
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
