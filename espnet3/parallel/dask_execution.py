"""Tasks on the workers of a Dask cluster.

The driver sends one task for each worker that it may use, and the next one when one has ended. What a worker builds for
a run is kept in it by a plugin (`_dask_worker`), so a worker that joins later, or comes in the place of one that died,
has it too. Dask gives the task of a worker that died to another, as often as the scheduler's setting
`distributed.scheduler.allowed-failures` lets it.

What goes over the network is bytes of cloudpickle, between processes of one run; nothing of it is kept.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import sys
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from esp3rt.progress import console_line
from esp3rt.wire import unpacked_error
from esp3rt.work import Job, Outcome, TaskFailed, WorkError, WorkersDied
from espnet3.parallel import _dask_clusters

if TYPE_CHECKING:
    from distributed import Client, Future
    from omegaconf import DictConfig

_SECONDS_BETWEEN_LOOKS = 5.0


class DaskWorkers:
    """Tasks are done by workers of a Dask cluster; see the module's text.

    Args:
        setting: `env` and `options`, which say which cluster (`parallel.build_client`).
        workers: How many tasks are done at once.
        keep: Stay with the cluster, and its workers, from one run to the next; `close` lets go of it.
    """

    in_process = False
    shows_progress = False
    patience = 0.0

    def __init__(self, setting: DictConfig | Mapping[str, Any], workers: int, keep: bool = False) -> None:
        self.workers = workers
        self._setting = setting
        self._keep = keep
        self._client: Client | None = None

    def close(self) -> None:
        """Close the client, and the cluster with it that was made for it."""
        client, self._client = self._client, None
        if client is not None:
            _dask_clusters.close(client)

    def run(self, job: Job, tasks: Sequence[int], moved: Callable[[int], None]) -> Iterator[Outcome]:
        """Do the tasks; see `Execution.run`.

        Raises:
            ConfigError: The setting does not fit, or there is no cluster.
            WorkError: The connection to the cluster was lost.
        """
        if not tasks:
            return
        kept, self._client = self._client, None
        client = kept or _dask_clusters.client_of(self._setting)
        all_done = False
        try:
            run = _Run(client, job, moved)
            try:
                run.begin()
                yield from run.outcomes(tasks, self.workers)
                all_done = True
            finally:
                run.end()
        finally:
            self._client = client
            if not (all_done and self._keep):
                self.close()


class _Run:
    """The tasks of one run that are with the cluster, and what is heard of them."""

    def __init__(self, client: Client, job: Job, moved: Callable[[int], None]) -> None:
        self._client = client
        self._job = job
        self._moved = moved
        self._name = f"espnet3-run-{uuid.uuid4().hex}"
        self._futures: dict[int, Future[Any]] = {}
        self._counted: dict[int, int] = {}
        # Dask speaks from threads of its own; all of it comes through here.
        self._heard: queue.SimpleQueue[tuple[str, int, int]] = queue.SimpleQueue()
        self._has_waited = False

    def begin(self) -> None:
        """Give the workers the job."""
        import cloudpickle

        from espnet3.parallel._dask_worker import TOPIC, RunPlugin

        plugin = RunPlugin(cloudpickle.dumps(self._job), list(sys.path), list(sys.argv), os.getcwd())
        self._client.subscribe_topic(TOPIC, self._hear)
        try:
            self._client.register_plugin(plugin, name=self._name)
        except ImportError as error:
            raise WorkError(
                f"the workers of the Dask cluster cannot begin ({error}): install there what is installed here"
            ) from error

    def outcomes(self, tasks: Sequence[int], at_once: int) -> Iterator[Outcome]:
        """Yield each task that has ended, until all have."""
        waiting = deque(tasks)
        while waiting or self._futures:
            while waiting and len(self._futures) < at_once:
                self._submit(waiting.popleft())
            kind, task, total = self._next()
            if task not in self._futures:
                continue
            if kind == "moved":
                self._count(task, total)
            else:
                future = self._futures.pop(task)
                yield Outcome(task, self._result(task, future))

    def end(self) -> None:
        """Cancel what is not done, and let the workers forget the run."""
        from espnet3.parallel._dask_worker import TOPIC

        if self._client.status != "running":
            return
        # A worker that is going or has just come does not have the plugin (KeyError), nor does the scheduler where it
        # was not given it (ValueError).
        with contextlib.suppress(OSError, TimeoutError, KeyError, ValueError):
            self._client.unsubscribe_topic(TOPIC)
            # The workers see it where they count what they have done.
            self._client.cancel(list(self._futures.values()), force=True)
            self._client.unregister_worker_plugin(self._name)

    def _submit(self, task: int) -> None:
        from espnet3.parallel._dask_worker import do_task

        key = f"{self._job.name_of(task).replace(' ', '_')}-{self._name}-{task}"
        future = self._client.submit(do_task, self._name, task, key=key, pure=False)
        self._futures[task] = future
        future.add_done_callback(lambda _: self._heard.put(("ended", task, 0)))

    def _hear(self, event: tuple[float, Any]) -> None:
        _, message = event
        if message["run"] == self._name:
            self._heard.put(("moved", message["task"], message["total"]))

    def _next(self) -> tuple[str, int, int]:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._heard.get(timeout=_SECONDS_BETWEEN_LOOKS)
            if self._client.status in ("closing", "closed"):
                raise self._lost()
            if not self._has_waited and not self._client.nthreads():
                console_line("the Dask cluster has no workers at this moment; waits for them")
                self._has_waited = True

    def _count(self, task: int, total: int) -> None:
        """Less than before: the worker died, and another has begun again."""
        self._moved(total - self._counted.get(task, 0))
        self._counted[task] = total

    def _result(self, task: int, future: Future[Any]) -> Any:
        from distributed.scheduler import KilledWorker

        name = self._job.name_of(task)
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                raise WorkersDied(
                    f"{error.allowed_failures + 1} Dask workers died while they worked on {name}; the last was "
                    f"{error.last_worker.address}. Their logs say why; often, memory has run out"
                ) from None
            raise TaskFailed(f"Dask could not do {name}: {type(error).__name__}: {error}") from error
        if future.status != "finished":
            raise self._lost()
        what, content, total = future.result()
        if what == "failed":
            raise unpacked_error(*content)
        if what != "done":
            raise WorkError(f"{name} was cancelled in the Dask cluster, and not by this run")
        self._count(task, total)
        return pickle.loads(content)

    def _lost(self) -> WorkError:
        return WorkError(
            "the connection to the Dask cluster's scheduler was lost, or it has forgotten the run; what is done is kept "
            "where it is written to files: start the run again"
        )
