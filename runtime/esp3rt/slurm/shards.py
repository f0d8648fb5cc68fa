"""A job that does shards: it claims one after the other, has a worker process do it, and writes down what came of it.

The worker process is that of `esp3rt.worker`. Where it dies, another takes its place and goes on with other shards: whether
the one that it died of is tried again, and where, is the leader's to say.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from esp3rt.files import write_bytes
from esp3rt.slurm.claims import Claims
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.placed import JOB, Process, Signals, say_hello
from esp3rt.slurm.staying import next_work
from esp3rt.worker_process import WorkerProcess, cause_of

# How many items are done is said so often at first by few jobs, less often by many, or after some hours: all of it is kept.
_SHORTEST_REPORT, _LONGEST_REPORT = 1.0, 30.0
_JOBS_A_SECOND, _SHARE_OF_TIME = 20, 1 / 240
# SLURM signals all processes of a job at nearly the same time.
_SECONDS_TO_HEAR = 0.2
# The leader decides soon whether, and where, a shard is tried again at which a worker has died.
_SECONDS_TO_DECIDE, _SECONDS_BETWEEN_CLAIMS = 5.0, 0.2
_ENDED_BY_SLURM = 128 + signal.SIGTERM
_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
_LONGEST_IN_JOURNAL = 4096
_DEATHS_IN_SETUP = 3
_TOO_LATE = (
    "not begun before its job was told to end: where the set-up takes longer than jobs have, give them more `time`"
)


def serve(paths: WorkPaths, number: int, me: Process, journal: Journal, about: dict[str, Any]) -> int:
    """Do shards until there are none to claim, or SLURM wants the job to end.

    Args:
        paths: The files of the work.
        number: Which call of sbatch has sent the job.
        me: This process.
        journal: Where to say what happens.
        about: The content of work.json.

    Returns:
        The exit code.
    """
    sent = json.loads((paths.send / f"{number}.json").read_text(encoding="utf-8"))
    place = (sent["first"] + me.index) / max(1, sent["of"])
    signals = Signals(signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGUSR1)
    worker: WorkerProcess | None = None
    was_ready = False
    try:
        while True:
            if not paths.job.exists():
                # The stage is done, and what is not needed any more was removed.
                journal.write("left", code=0)
                return 0
            tasks = about["tasks"]
            claims = Claims(paths, tasks, me.worker, me.node, int(place * len(tasks)))
            server = _Server(paths, journal, about, claims, signals, worker, was_ready)
            try:
                code = server.run()
            finally:
                worker = server.close()
            was_ready = server.was_ready
            if code != _ENDED_BY_SLURM:
                # Else it may be started again.
                journal.write("left", code=code)
            following = next_work(paths, about.get("stay", 0.0), signals) if claims.over and code == 0 else None
            if following is None or server.is_stopping:
                return code
            # What it prints it prints where it began.
            with suppress(FileExistsError):
                following.log_of(me.worker).symlink_to(os.path.realpath(paths.log_of(me.worker)))
            paths, about, place = following, following.about(), me.index / about["workers"]
            os.environ[JOB] = str(paths.folder)
            journal = Journal(paths.journal, me.worker)
            say_hello(journal, me)
    finally:
        if worker is not None:
            worker.end()
            worker.bury()


class _Server:
    def __init__(
        self,
        paths: WorkPaths,
        journal: Journal,
        about: dict[str, Any],
        claims: Claims,
        signals: Signals,
        worker: WorkerProcess | None,
        was_ready: bool,
    ) -> None:
        self._paths = paths
        self._journal = journal
        self._about = about
        self._claims = claims
        self._job = paths.job.read_bytes()
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals, selectors.EVENT_READ)
        self._worker: WorkerProcess | None = None
        self._rested = worker
        self._ready = False
        # In this job, if for another work.
        self.was_ready = was_ready
        self._task: tuple[int, int] | None = None
        self._moved = 0
        self._began = self._told = time.monotonic()
        self.is_stopping = False
        self._deaths_in_setup = 0
        self._stay = float(about.get("stay", 0.0))
        self._leave_at = 0.0
        self._code: int | None = None

    def run(self) -> int:
        """Do shards; the exit code."""
        self._leave_at = time.monotonic() + self._stay
        # Before a worker is started, which takes seconds where it imports much: is there anything to do?
        self._go_on()
        while self._code is None:
            wait = None if not self._moved else max(0.0, self._report_at - time.monotonic())
            if self._task is None:
                wait = _SECONDS_BETWEEN_CLAIMS
            ready = {key.fileobj for key, _ in self._selector.select(wait)}
            if self._signals in ready:
                self._on_signals(self._signals.heard())
            worker = self._worker
            if worker is not None and self._code is None and worker.connection in ready:
                self._hear(worker)
            if worker is not None and worker is self._worker and self._code is None and worker.life in ready:
                self._lost(worker)
            if self._moved and time.monotonic() >= self._report_at:
                self._report()
            if self._task is None and self._code is None:
                self._go_on()
        return self._code

    def close(self) -> WorkerProcess | None:
        """Let go of everything; what is given back is a worker process that waits for another job."""
        self._selector.close()
        worker = self._worker or self._rested
        if worker is None or (self._code == 0 and (self._ready or worker is self._rested)):
            return worker
        worker.end()
        worker.bury()
        return None

    def _start(self) -> None:
        worker = self._rested
        self._rested = None
        if worker is None:
            # What SLURM tells a job of its end, it tells every process of it: neither the worker nor what an item may start
            # shall end of that.
            with _unheard(*_WARNINGS):
                worker = WorkerProcess(dict(os.environ))
        else:
            worker.tell("rest")
        self._worker, self._ready = worker, False
        self._selector.register(worker.connection, selectors.EVENT_READ)
        if worker.life is not None:
            self._selector.register(worker.life, selectors.EVENT_READ)
        worker.begin(self._job, self._about["place"])

    def _hear(self, worker: WorkerProcess) -> None:
        try:
            messages = worker.reader.available()
        except EOFError:
            self._lost(worker)
            return
        self._react(messages)

    def _react(self, messages: list[Any]) -> None:
        for kind, content in messages:
            if kind == "moved":
                self._moved += content
            elif kind == "ready":
                self._ready = self.was_ready = True
                self._journal.write("ready")
                self._give()
            elif kind == "done":
                self._report()
                self._keep(*content)
                self._claim()
                self._give()
            elif kind == "failed":
                if self._is_ended_by_slurm():
                    return
                data, text = content
                task, attempt = self._task if self._ready and self._task is not None else (None, None)
                error = None if data is None else base64.b64encode(data).decode()
                self._journal.write("failed", sure=True, task=task, attempt=attempt, error=error, text=text)
                print(text, flush=True)
                self._code = 1

    def _give(self) -> None:
        if self._task is None:
            # Another job may be lost, and its shard be open again; or there is more to come.
            self._leave_at = time.monotonic() + self._stay
            return
        assert self._worker is not None
        self._worker.tell("task", self._task[0])

    def _claim(self) -> None:
        self._task = None if self.is_stopping else self._claims.next()
        if self._task is not None:
            # Also where the worker is not ready yet: who looks on must know that nobody else is needed for it.
            self._journal.write("began", task=self._task[0], attempt=self._task[1])

    def _keep(self, task: int, result: bytes) -> None:
        assert self._task is not None
        attempt = self._task[1]
        about: dict[str, Any] = {"sha256": hashlib.sha256(result).hexdigest(), "token": self._about["token"]}
        if len(result) <= _LONGEST_IN_JOURNAL:
            about["result"] = base64.b64encode(result).decode()
        else:
            write_bytes(self._paths.result(task, attempt), result)
        self._journal.write("ended", sure=True, task=task, attempt=attempt, **about)

    @property
    def _report_at(self) -> float:
        return self._told + seconds_between_reports(self._about.get("workers", 1), self._told - self._began)

    def _report(self) -> None:
        if self._moved:
            self._journal.write("moved", n=self._moved)
        self._moved, self._told = 0, time.monotonic()

    def _on_signals(self, numbers: list[int]) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._journal.write("stopping", why="SLURM ends the job")
            self._code = _ENDED_BY_SLURM
        elif signal.SIGUSR2 in numbers and not self.is_stopping:
            # What is left is for a job that has the time.
            self.is_stopping = True
            self._journal.write("stopping", why="the time limit is near, or another job needs the place")
            if not self._ready and self._task is not None:
                task, attempt = self._task
                # One that was ready before had what time was left; else it will be no sooner the next time.
                why = "not begun in time" if self.was_ready else _TOO_LATE
                self._journal.write("died", sure=True, task=task, attempt=attempt, why=why, free=self.was_ready)
                self._code = 0

    def _is_ended_by_slurm(self) -> bool:
        """Whether it is SLURM that has ended the worker, or what an item had started: with the job, that is."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._signals, selectors.EVENT_READ)
            if selector.select(_SECONDS_TO_HEAR):
                self._on_signals(self._signals.heard())
        return self._code == _ENDED_BY_SLURM

    def _lost(self, worker: WorkerProcess) -> None:
        worker.connection.setblocking(False)
        try:
            while True:
                self._react(worker.reader.available())
        except (BlockingIOError, EOFError, OSError):
            pass
        if self._code is not None or self._is_ended_by_slurm():
            return
        self._selector.unregister(worker.connection)
        if worker.life is not None:
            self._selector.unregister(worker.life)
        worker.connection.close()
        worker.bury()
        self._worker = None
        why = _cause(worker)
        print(f"the worker process was lost: {why}", flush=True)
        self._report()
        self._deaths_in_setup += not self._ready
        if self._ready or self._deaths_in_setup >= _DEATHS_IN_SETUP:
            assert self._task is not None
            task, attempt = self._task
            before = "" if self._ready else " before it could begin"
            self._journal.write("died", sure=True, task=task, attempt=attempt, why=why + before)
            if not self._ready:
                self._code = 1
                return
            self._leave_at = time.monotonic() + max(_SECONDS_TO_DECIDE, self._stay)
            self._task = None
        self._go_on()

    def _go_on(self) -> None:
        """See whether there is something to do, and to do it with; if not, and not soon, end."""
        if self._task is None:
            self._claim()
        if self._task is not None:
            if self._worker is None:
                self._start()
            elif self._ready:
                self._give()
        elif self.is_stopping or self._claims.over or time.monotonic() >= self._leave_at:
            self._code = 0


def seconds_between_reports(jobs: int, seconds: float) -> float:
    """How often one of so many jobs, at work for so many seconds, says how many items are done."""
    return max(_SHORTEST_REPORT, jobs / _JOBS_A_SECOND, min(_LONGEST_REPORT, seconds * _SHARE_OF_TIME))


@contextmanager
def _unheard(*numbers: signal.Signals) -> Iterator[None]:
    """What is started meanwhile never hears these signals; this process hears them afterwards."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    # Shells take the mask away from what they start, but leave alone what is ignored.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _cause(worker: WorkerProcess) -> str:
    try:
        return cause_of(worker.process.wait(5))
    except subprocess.TimeoutExpired:
        return "it does not answer"


def is_same(data: bytes, sha256: str) -> bool:
    """Whether a result is the one that the journal speaks of."""
    return hashlib.sha256(data).hexdigest() == sha256


def result_of(paths: WorkPaths, event: dict[str, Any]) -> bytes | None:
    """The packed result that an `ended` event speaks of; None where it is not, or not any more, what it was."""
    if "result" in event:
        data = base64.b64decode(event["result"])
    else:
        path: Path = paths.result(event["task"], event["attempt"])
        try:
            data = path.read_bytes()
        except OSError:
            return None
    return data if is_same(data, event["sha256"]) else None
