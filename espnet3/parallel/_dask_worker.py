"""What is done in a worker process of a Dask cluster; the other side of `dask_execution`.

A cluster may live longer than a run, and serve several at once. So a run's things (its sys.path and folder, the modules
of its recipe, what its configs may name) are put in force when one of its tasks begins, taken back when the run is over
or a task of another run begins, and one task at a time is worked on in a process.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import Worker, WorkerPlugin, get_worker

from esp3rt.wire import packed_error
from esp3rt.work import Job, WorkError
from espnet3.utils.targets import allowed_elsewhere

TOPIC = "espnet3-moved"
SECONDS_BETWEEN_REPORTS = 0.2


class GivenUp(Exception):
    """Nobody wants the task any more."""


class RunPlugin(WorkerPlugin):
    """Carries the job of one run to each worker process, also to those that join later, and keeps what it builds there.

    Args:
        job: The `Job`, by cloudpickle. It is unpacked with its first task, when the modules that it names can be found.
        sys_path, argv, folder: Those of the driver.
    """

    def __init__(self, job: bytes, sys_path: list[str], argv: list[str], folder: str) -> None:
        self.sys_path = sys_path
        self.argv = argv
        self.folder = folder
        self.over = False
        self.job: Job | None = None
        self._packed = job
        self._built: list[Any] = []

    def teardown(self, worker: Worker) -> None:
        """The run is over: a task that is being worked on finds out by itself, and the process is tidied after it."""
        self.over = True
        if _at_work.acquire(blocking=False):
            try:
                _leave(self)
            finally:
                _at_work.release()

    def give_up(self) -> None:
        """Let go of what was built."""
        self._built.clear()
        _leave(self)

    def ready(self) -> tuple[Job, Any]:
        """The job and what its tasks need, built on the first call."""
        if self.job is None:
            self.job = pickle.loads(self._packed)
        if self.job.prepare is not None:
            self.job.prepare()
        if not self._built:
            self._built.append(self.job.setup())
        return self.job, self._built[0]


def do_task(run: str, task: int) -> tuple[str, Any, int]:
    """Do one task of a run.

    Args:
        run: The name of the run's plugin.
        task: Its number.

    Returns:
        "done" and the result, by cloudpickle; "failed" and a `packed_error`; or "given up". And how many were counted.
    """
    worker = get_worker()
    plugin = worker.plugins.get(run)
    moved = _Moved(worker, run, task, plugin)
    with _at_work:
        try:
            moved.report()
            assert isinstance(plugin, RunPlugin)
            _enter(plugin, worker.address)
            job, built = plugin.ready()
            result = job.work(built, task, moved)
            return "done", cloudpickle.dumps(result), moved.total
        except GivenUp:
            if isinstance(plugin, RunPlugin):
                # Where the driver was killed, nobody will say that the run is over.
                plugin.give_up()
            return "given up", None, 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver raises it
            return "failed", packed_error(error), moved.total
        finally:
            if isinstance(plugin, RunPlugin) and plugin.over:
                _leave(plugin)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()


class _Moved:
    """Counts, tells the driver a few times a second, and stops the task where it has been cancelled."""

    def __init__(self, worker: Worker, run: str, task: int, plugin: Any) -> None:
        self.total = 0
        self._worker = worker
        self._key = worker.get_current_task()
        self._run = run
        self._task = task
        self._plugin = plugin
        self._last = time.monotonic()

    def __call__(self, n: int) -> None:
        self.total += n
        if time.monotonic() - self._last >= SECONDS_BETWEEN_REPORTS:
            self.report()

    def report(self) -> None:
        # Dask does not interrupt a task that is cancelled, be it by its driver or because the driver is gone.
        state = self._worker.state.tasks.get(self._key)
        if self._plugin is None or self._plugin.over or state is None or state.state == "cancelled":
            raise GivenUp
        self._worker.log_event(TOPIC, {"run": self._run, "task": self._task, "total": self.total})
        self._last = time.monotonic()


class _Before:
    """How the process was before a run came into it."""

    def __init__(self, plugin: RunPlugin) -> None:
        self.plugin = plugin
        self._sys_path = list(sys.path)
        self._argv = list(sys.argv)
        self._folder = os.getcwd()
        self._allow = allowed_elsewhere()
        self._packages = {_package(name) for name in sys.modules}

    def restore(self) -> None:
        # The next run may have another `src`, or this one's, edited.
        own = [
            Path(self.plugin.folder),
            *(Path(entry) for entry in self.plugin.sys_path if entry not in self._sys_path),
        ]
        for name, module in list(sys.modules.items()):
            if _package(name) not in self._packages and _lies_under(getattr(module, "__file__", None), own):
                del sys.modules[name]
        sys.path[:] = self._sys_path
        sys.argv[:] = self._argv
        self._allow()
        os.chdir(self._folder)


_at_work = threading.Lock()
_before: _Before | None = None


def _enter(plugin: RunPlugin, address: str) -> None:
    global _before
    if _before is not None and _before.plugin is plugin:
        return
    if _before is not None:
        _leave(_before.plugin)
    before = _Before(plugin)
    try:
        os.chdir(plugin.folder)
    except OSError as error:
        raise WorkError(
            f"the worker {address} cannot enter the folder {plugin.folder} ({error.strerror}): the machines of a Dask "
            "cluster need the file system of the one where the run is started"
        ) from error
    sys.path[:] = [*plugin.sys_path, *(entry for entry in sys.path if entry not in plugin.sys_path)]
    sys.argv[:] = plugin.argv
    importlib.invalidate_caches()
    _before = before


def _leave(plugin: RunPlugin) -> None:
    global _before
    if _before is not None and _before.plugin is plugin:
        before, _before = _before, None
        before.restore()


def _package(module: str) -> str:
    return module.partition(".")[0]


def _lies_under(file: str | None, folders: Iterable[Path]) -> bool:
    if file is None or Path(file).is_relative_to(sys.prefix):
        return False
    return any(Path(file).is_relative_to(folder) for folder in folders)
