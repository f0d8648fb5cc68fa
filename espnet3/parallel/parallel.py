"""The machine setting that is in force in this process, and Dask clusters for hand-written code.

A client is closed with its cluster by `get_client`; who calls `build_client` closes both `client.cluster` and `client`.
Importing this module imports nothing of Dask: `DictReturnWorkerPlugin` comes when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from espnet3.utils.machine_setting import get_parallel_config, parallel_in_force, set_parallel

if TYPE_CHECKING:
    from distributed import Client
    from omegaconf import DictConfig

    from espnet3.parallel._dask_plugins import DictReturnWorkerPlugin as DictReturnWorkerPlugin

__all__ = [
    "DictReturnWorkerPlugin",
    "build_client",
    "build_local_gpu_cluster",
    "get_client",
    "get_parallel_config",
    "parallel_in_force",
    "set_parallel",
    "wrap_func_with_worker_env",
]


def build_client(config: DictConfig | Mapping[str, Any] | None = None) -> Client:
    """A client of the Dask cluster that a setting asks for, by default the one in force.

    `env` is `local` or `local_gpu` (processes of this machine), `dask` (`options.address` or `options.scheduler_file`),
    or a queueing system of dask_jobqueue (`slurm`, `pbs`, `sge`, `lsf`, `htcondor`, `oar`, `moab`), whose cluster class
    gets all `options`. `n_workers` is how many workers a cluster gets that is made here.

    Raises:
        ConfigError: The setting does not fit, a package is missing, or nobody answers at the address.
    """
    from espnet3.parallel._dask_clusters import client_of

    return client_of(get_parallel_config() if config is None else config)


def build_local_gpu_cluster(n_workers: int, options: dict[str, Any]) -> Client:
    """A client of `n_workers` processes of this machine, each with a GPU of its own, in turn.

    Raises:
        ConfigError: An option does not fit, or a package is missing.
    """
    from espnet3.parallel._dask_clusters import gpu_client

    return gpu_client(n_workers, options)


@contextmanager
def get_client(
    config: DictConfig | Mapping[str, Any] | None = None, setup_fn: Callable[[], dict[str, Any]] | None = None
) -> Generator[Client, None, None]:
    """A client as `build_client` makes it, closed at the end with the cluster that was made for it.

    Args:
        config: The machine setting.
        setup_fn: Builds the environment of each worker, which `wrap_func_with_worker_env` hands to functions.
    """
    from espnet3.parallel._dask_clusters import close

    client = build_client(config)
    try:
        if setup_fn is None:
            yield client
            return
        from espnet3.parallel._dask_plugins import DictReturnWorkerPlugin as Plugin

        try:
            client.register_plugin(Plugin(setup_fn))
            yield client
        finally:
            client.unregister_worker_plugin(Plugin.name)
    finally:
        close(client)


def wrap_func_with_worker_env(func: Callable[..., Any]) -> Callable[..., Any]:
    """`func` with what it takes from the environment of the worker that calls it, by the names of its parameters.

    The wrapped function raises RunnerError where a parameter without a default has neither an argument nor an entry in
    the environment, and where an argument has the name of an entry.
    """

    @wraps(func)
    def with_env(*args: Any, **kwargs: Any) -> Any:
        from espnet3.parallel._dask_plugins import worker_env
        from espnet3.parallel._injection import injected
        from espnet3.utils.errors import RunnerError, listed

        label = getattr(func, "__qualname__", type(func).__qualname__)
        env = worker_env(label)
        twice = sorted(set(env) & set(kwargs))
        if twice:
            raise RunnerError(f"{label} is called with {listed(twice)}, which the worker's environment has as well")
        return func(*args, **{**injected(func, len(args), {**env, **kwargs}, label), **kwargs})

    return with_env


def __getattr__(name: str) -> Any:
    # Its base class is Dask's.
    if name == "DictReturnWorkerPlugin":
        from espnet3.parallel import _dask_plugins

        return _dask_plugins.DictReturnWorkerPlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
