"""Points as processes of this machine, so many at once, each with a log of its own.

A process has a group of its own: Ctrl-C on the terminal reaches this process alone, which ends the others in order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from esp3rt.processes import gpu_count, gpu_of
from esp3rt.slurm.found import RUN
from esp3rt.worker_process import cause_of

_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_TO_END = 20.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SET_PARENT_DEATH_SIGNAL = 1
# Looked up before there are threads: between fork and exec nothing can be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A point that has begun: its number."""

    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A point that has ended: its number, the exit code of its command in words (empty: well), and its seconds."""

    number: int
    bad: str
    seconds: float


def done_here(
    commands: Sequence[Sequence[str]], logs: Sequence[Path], folder: Path, at_once: int
) -> Generator[Begun | Ended | None, None, None]:
    """Run commands, so many at once; yield what happens, and None between.

    Where the iterator is closed, or something is raised in it, the commands that run are ended.

    Args:
        commands: The commands.
        logs: For each the file to which it prints; what is there is kept.
        folder: Where to run them.
        at_once: How many at once.
    """
    waiting = list(range(len(commands)))[::-1]
    running: dict[int, tuple[int, subprocess.Popen[bytes], float]] = {}
    try:
        while waiting or running:
            for slot in sorted(set(range(at_once)) - running.keys()):
                if waiting:
                    number = waiting.pop()
                    process = _start(commands[number], logs[number], folder, _environment(slot, at_once))
                    running[slot] = number, process, time.monotonic()
                    yield Begun(number=number)
            for slot, (number, process, began) in list(running.items()):
                code = process.poll()
                if code is not None:
                    del running[slot]
                    _signal(process, signal.SIGKILL)
                    yield Ended(number=number, bad=cause_of(code) if code else "", seconds=time.monotonic() - began)
            yield None
            if running:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        _end([process for _, process, _ in running.values()])


def done_in_front(command: Sequence[str], folder: Path) -> int:
    """Run a command on this terminal; its exit code."""
    process = subprocess.Popen(command, cwd=folder, env=without_run())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has sent it to the command as well, which says what it leaves.
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
        except BaseException:
            process.terminate()
            raise


def without_run() -> dict[str, str]:
    """The environment of a command that belongs to no run of this process."""
    return {name: value for name, value in os.environ.items() if name != RUN}


def _start(command: Sequence[str], log: Path, folder: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**without_run(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=_end_with_parent if _LIBC is not None else None,
        )


def _end_with_parent() -> None:
    """Where this process is killed, its points must not go on unseen: the next one would find them in its way."""
    assert _LIBC is not None
    _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _environment(slot: int, at_once: int) -> dict[str, str]:
    """The part of this machine that one of several gets: cores, and GPUs in turn."""
    if at_once == 1:
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = str(max(1, cores // at_once))
    variables = {name: os.environ.get(name, share) for name in _THREADS}
    gpus = [gpu_of(number)["CUDA_VISIBLE_DEVICES"] for number in range(gpu_count())]
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[slot::at_once] or [gpus[slot % len(gpus)]])
    return variables


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal(process, signal.SIGINT)
    end = time.monotonic() + _SECONDS_TO_END
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a process and to what it has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
