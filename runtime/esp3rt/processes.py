"""Several worker processes on this machine.

Each is a fresh Python that shares nothing with the driver but a socket, so libraries with threads of their own are safe
in it, and a `run.py` without a guard around its main part does not run again. What a worker prints comes out in the
driver, each line with the worker's number before it.

A worker that dies (out of memory, a crash in C) is replaced, and its task is done again; the others do not notice. A
task whose workers died three times ends the run.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cloudpickle

from esp3rt.progress import console_line
from esp3rt.wire import unpacked, unpacked_error
from esp3rt.work import Job, Outcome, WorkersDied
from esp3rt.worker_process import WorkerProcess, cause_of

ATTEMPTS = 3
_LINES_KEPT = 20
_LONGEST_LINE = 1 << 16
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class LocalProcesses:
    """Tasks are done by worker processes of this machine; see the module's text.

    Args:
        workers: How many.
        environment: `environment(k)` gives environment variables of worker `k` (0, 1, …), such as the GPU that it has.
        attempts: How often a task is tried whose workers die.
        keep: Let workers wait for the next run, so that what they have imported is there already; `close` ends them.

    The cores that this process may use are shared out: a worker's OMP_NUM_THREADS (and its likes) is set to its
    share, unless it is set already.
    """

    in_process = False
    shows_progress = False
    patience = 0.0

    def __init__(
        self,
        workers: int,
        environment: Callable[[int], Mapping[str, str]] | None = None,
        attempts: int = ATTEMPTS,
        keep: bool = False,
    ) -> None:
        if workers < 1:
            raise ValueError(f"there must be at least one worker, not {workers}")
        self.workers = workers
        self._environment = environment or (lambda number: {})
        self._attempts = attempts
        self._keep = keep
        self._waiting: list[_Worker] = []

    def close(self) -> None:
        """End the workers that wait."""
        waiting, self._waiting = self._waiting, []
        _end(waiting)

    def run(self, job: Job, tasks: Sequence[int], moved: Callable[[int], None]) -> Iterator[Outcome]:
        """Do the tasks; see `Execution.run`."""
        if not tasks:
            return
        pool = _Pool(job, tasks, moved, self._attempts)
        try:
            for number in range(min(self.workers, len(tasks))):
                waiting = [worker for worker in self._waiting if worker.number == number]
                if waiting:
                    self._waiting.remove(waiting[0])
                    waiting[0].variables = self._variables(number)
                pool.start(waiting[0] if waiting else _Worker(number, self._variables(number)))
            yield from pool.outcomes()
            if self._keep:
                self._waiting.extend(pool.let_go())
        finally:
            pool.end()

    def _variables(self, number: int) -> dict[str, str]:
        share = str(max(1, _cores() // self.workers))
        return {**os.environ, **{name: os.environ.get(name, share) for name in _THREADS}, **self._environment(number)}


class _Worker(WorkerProcess):
    """A worker process, what it prints, and the task that it has."""

    def __init__(self, number: int, variables: dict[str, str]) -> None:
        self.number = number
        self.task: int | None = None
        self.ready = False
        self.moved = 0
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._half_line = b""
        super().__init__(variables, subprocess.PIPE)
        assert self.process.stdout is not None
        self.output = self.process.stdout

    def say(self) -> bool:
        """Print what the worker has printed; False when it has closed its output."""
        data = os.read(self.output.fileno(), 1 << 16)
        *lines, rest = (self._half_line + data).split(b"\n")
        # Of a line that is written over itself, a progress bar, the last state counts.
        self._half_line = rest.rpartition(b"\r")[2] if not rest.endswith(b"\r") else rest
        if self._half_line and (not data or len(self._half_line) > _LONGEST_LINE):
            lines.append(self._half_line)
            self._half_line = b""
        for line in lines:
            text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
            self.lines.append(text)
            console_line(f"worker {self.number}: {text}")
        return bool(data)

    def rest(self) -> None:
        """Have it forget the job and wait for another."""
        self.ready, self.task = False, None
        self.lines.clear()
        self.tell("rest")

    def say_the_rest(self) -> None:
        """Print what it has printed, without waiting for more: a process that it started may live on."""
        os.set_blocking(self.output.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while self.say():
                pass

    def bury(self) -> None:
        """Wait for its end, or force it, and print the last of it."""
        super().bury()
        self.say_the_rest()
        self.output.close()


class _Pool:
    """The workers of one run, and the tasks that wait."""

    def __init__(self, job: Job, tasks: Sequence[int], moved: Callable[[int], None], attempts: int) -> None:
        self._name_of = job.name_of
        self._job = cloudpickle.dumps(job)
        self._waiting = deque(tasks)
        self._left = len(tasks)
        self._moved = moved
        self._attempts = attempts
        self._deaths: dict[int | None, int] = {}
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    def start(self, worker: _Worker) -> None:
        """Give a worker the job."""
        self._workers.append(worker)
        self._selector.register(worker.connection, selectors.EVENT_READ, (worker, self._hear))
        self._selector.register(worker.output, selectors.EVENT_READ, (worker, self._print))
        if worker.life is not None:
            self._selector.register(worker.life, selectors.EVENT_READ, (worker, self._lost))
        worker.begin(self._job, {"sys_path": sys.path, "argv": sys.argv, "folder": os.getcwd()})

    def outcomes(self) -> Iterator[Outcome]:
        """Yield each task that has ended, until all have."""
        while self._left:
            for key, _ in self._selector.select():
                worker, react = key.data
                if worker not in self._workers:
                    # What came before in the same round was its end.
                    continue
                for outcome in react(worker):
                    self._left -= 1
                    yield outcome

    def let_go(self) -> list[_Worker]:
        """The workers, freed of the job; they are no longer this run's to end."""
        freed = [worker for worker in self._workers if worker.ready]
        for worker in freed:
            self._forget(worker)
            worker.rest()
        self._workers = [worker for worker in self._workers if worker not in freed]
        return freed

    def end(self) -> None:
        """End all workers."""
        _end(self._workers)
        self._selector.close()

    def _forget(self, worker: _Worker) -> None:
        for source in (worker.connection, worker.output, worker.life):
            if source is not None and source in self._selector.get_map():
                self._selector.unregister(source)

    def _print(self, worker: _Worker) -> list[Outcome]:
        if not worker.say():
            self._selector.unregister(worker.output)
        return []

    def _lost(self, worker: _Worker) -> list[Outcome]:
        """Hear what a worker has sent before its end, and replace it."""
        ended: list[Outcome] = []
        worker.connection.setblocking(False)
        with contextlib.suppress(BlockingIOError, EOFError):
            while True:
                ended += self._react(worker, worker.reader.available())
        self._replace(worker)
        return ended

    def _hear(self, worker: _Worker) -> list[Outcome]:
        try:
            messages = worker.reader.available()
        except EOFError:
            self._replace(worker)
            return []
        return self._react(worker, messages)

    def _react(self, worker: _Worker, messages: list[Any]) -> list[Outcome]:
        ended = []
        for kind, content in messages:
            if kind == "moved":
                worker.moved += content
                self._moved(content)
            elif kind == "failed":
                raise unpacked_error(*content)
            else:
                worker.ready = True
                if kind == "done":
                    task, result = content
                    ended.append(Outcome(task, unpacked(result, f"the result of {self._name_of(task)}")))
                self._give(worker)
        return ended

    def _give(self, worker: _Worker) -> None:
        worker.moved = 0
        worker.task = self._waiting.popleft() if self._waiting else None
        if worker.task is not None:
            worker.tell("task", worker.task)

    def _replace(self, worker: _Worker) -> None:
        """Take a dead worker away, give its task back, and start another in its place."""
        self._forget(worker)
        worker.connection.close()
        worker.bury()
        self._workers.remove(worker)
        self._moved(-worker.moved)
        if worker.ready and worker.task is None:
            # It had nothing to do any more.
            return
        what = "before its first task" if worker.task is None else f"while it worked on {self._name_of(worker.task)}"
        cause = cause_of(worker.process.returncode)
        deaths = self._deaths[worker.task] = self._deaths.get(worker.task, 0) + 1
        if deaths >= self._attempts:
            last = "".join(f"\n  {line}" for line in worker.lines)
            raise WorkersDied(
                f"{deaths} worker processes died {what}; the last was {cause}"
                + (f". The last lines that it printed:{last}" if last else "")
            )
        console_line(f"worker {worker.number} died {what} ({cause}); another takes its place")
        if worker.task is not None:
            self._waiting.appendleft(worker.task)
        self.start(_Worker(worker.number, worker.variables))


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.end()
    for worker in workers:
        worker.bury()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_of(number: int) -> dict[str, str]:
    """The variables that give worker `number` one GPU of those that this process may use, in turn.

    The GPUs are those of CUDA_VISIBLE_DEVICES, else those that nvidia's driver lists; none gives no variables.
    """
    visible = _visible_gpus()
    return {"CUDA_VISIBLE_DEVICES": visible[number % len(visible)]} if visible else {}


def gpu_count() -> int:
    """How many GPUs this process may use; see `gpu_of`."""
    return len(_visible_gpus())


def _visible_gpus() -> list[str]:
    import glob

    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    found = [path for path in glob.glob("/dev/nvidia*") if path.removeprefix("/dev/nvidia").isdecimal()]
    return [str(number) for number in range(len(found))]
