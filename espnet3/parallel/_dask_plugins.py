"""The environment of hand-written Dask code: built once in each worker process, handed to functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from espnet3.parallel.env_provider import checked_env
from espnet3.utils.errors import RunnerError


class DictReturnWorkerPlugin(WorkerPlugin):
    """Keeps in each worker what `setup_fn` returns, as `env`.

    Args:
        setup_fn: A function without arguments that returns a dict of names and objects. It is called in each worker
            process, also in those that join later.
    """

    name = "espnet3-env"

    def __init__(self, setup_fn: Callable[[], dict[str, Any]]) -> None:
        self.setup_fn = setup_fn
        self.env: dict[str, Any] | None = None

    def setup(self, worker: Worker) -> None:
        """Call `setup_fn`.

        Raises:
            RunnerError: It did not return a dict of names.
        """
        name = getattr(self.setup_fn, "__qualname__", type(self.setup_fn).__qualname__)
        self.env = checked_env(self.setup_fn(), f"the setup function {name}")


def worker_env(function: str) -> dict[str, Any]:
    """The environment of the worker that this is called in, for `function`.

    Raises:
        RunnerError: This is no worker, or it has no environment.
    """
    try:
        plugins = get_worker().plugins
    except ValueError:
        raise RunnerError(
            f"{function} takes its environment from a Dask worker, and was called outside of one: submit it to a client"
        ) from None
    for plugin in plugins.values():
        if isinstance(plugin, DictReturnWorkerPlugin) and plugin.env is not None:
            return plugin.env
    raise RunnerError(
        f"the Dask worker has no environment for {function}: open the client by get_client(config, setup_fn=…), or look "
        "into the worker's log for why the setup function failed"
    )
