"""A client of a Dask cluster, by a machine setting.

| `env` | the cluster |
|---|---|
| `local` | `n_workers` processes of this machine |
| `local_gpu` | the same, and each has a GPU of its own, in turn; dask_cuda's cluster where that is installed |
| `dask` | the one at `options.address` or in `options.scheduler_file`; with neither, as `local` |
| `slurm`, `pbs`, … | workers that are jobs of a queueing system, by dask_jobqueue's class with all `options` |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, did_you_mean, listed
from espnet3.utils.machine_setting import n_workers

if TYPE_CHECKING:
    from distributed import Client
    from distributed.deploy.cluster import Cluster
    from omegaconf import DictConfig

JOB_QUEUES = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
# Where no dashboard is asked for, there is none, nor a fixed port that a second cluster would find taken.
_NO_DASHBOARD = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
_ADDRESSES = ("address", "scheduler_file")


def client_of(setting: DictConfig | Mapping[str, Any] | None) -> Client:
    """A client of the cluster that a setting (`env`, `n_workers`, `options`) asks for; see the module's text.

    Raises:
        ConfigError: The setting does not fit, a package is missing, or nobody answers at the address.
    """
    env = (setting or {}).get("env") or "local"
    known = ("local", "local_gpu", "dask", *JOB_QUEUES)
    if env not in known:
        raise ConfigError(
            f"parallel.env: there is no {env!r}; there are {listed(known)}{did_you_mean(str(env), known)}"
        )
    options = _plain((setting or {}).get("options"))
    workers = n_workers(setting)
    _need("distributed", env)
    if env == "local_gpu":
        return gpu_client(workers, options)
    if env in JOB_QUEUES:
        return _job_queue(env, workers, options)
    given = [name for name in _ADDRESSES if env == "dask" and options.get(name) is not None]
    if len(given) == 2:
        raise ConfigError("parallel.options: a scheduler is named by `address` or by `scheduler_file`, not by both")
    if given:
        return _of_running(given[0], options)
    return _here(workers, {name: options[name] for name in options if name not in _ADDRESSES})


def gpu_client(workers: int, options: Mapping[str, Any]) -> Client:
    """A client of so many processes of this machine, each with a GPU of its own, in turn."""
    _need("distributed", "local_gpu")
    from distributed import LocalCluster

    with suppress(ImportError):
        from dask_cuda import LocalCUDACluster

        return _client(_built(lambda: LocalCUDACluster(n_workers=workers, **_with_defaults(options))))

    from esp3rt.processes import gpu_of

    class OneGPUEach(LocalCluster):
        """A local cluster whose workers differ in CUDA_VISIBLE_DEVICES."""

        def new_worker_spec(self) -> dict[int | str, dict[str, Any]]:
            ((name, spec),) = super().new_worker_spec().items()  # type: ignore[no-untyped-call]
            variables = {**spec["options"].get("env", {}), **gpu_of(int(name))}
            return {name: {**spec, "options": {**spec["options"], "env": variables}}}

    _check_options(options)
    if not options.get("processes", True):
        raise ConfigError("parallel.options.processes: threads of one process cannot have a GPU each; leave it out")
    # The share of memory that a local cluster gives its workers goes by those that it begins with: here, none.
    memory = {"memory_limit": 1 / workers} if workers > 1 else {}
    cluster = _built(lambda: OneGPUEach(n_workers=0, **{**memory, **_with_defaults(options)}))  # type: ignore[no-untyped-call]
    cluster.scale(workers)
    return _client(cluster)


def close(client: Client) -> None:
    """Close a client, and the cluster with it that was made for it."""
    cluster = client.cluster
    client.close()
    if cluster is not None:
        cluster.close()


def _here(workers: int, options: Mapping[str, Any]) -> Client:
    from distributed import LocalCluster

    _check_options(options)
    return _client(_built(lambda: LocalCluster(**{"n_workers": workers, **_with_defaults(options)})))


def _with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    dashboard = {} if "dashboard_address" in options or "scheduler_kwargs" in options else _NO_DASHBOARD
    return {"threads_per_worker": 1, **dashboard, **options}


def _of_running(key: str, options: dict[str, Any]) -> Client:
    from distributed import Client

    others = {name: options[name] for name in options if name not in _ADDRESSES}
    _refuse_unknown(others, [Client])
    where = options[key]
    try:
        return Client(where, **others) if key == "address" else Client(scheduler_file=str(where), **others)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"parallel.options.{key}: no Dask scheduler answers at {where} ({error}); start one (dask scheduler), or "
            f"correct the {key.replace('_', ' ')}"
        ) from error


def _job_queue(env: str, workers: int, options: Mapping[str, Any]) -> Client:
    _need("dask_jobqueue", env)
    import dask_jobqueue

    cluster_class = getattr(dask_jobqueue, JOB_QUEUES[env])
    _refuse_unknown(options, [*cluster_class.__mro__, *cluster_class.job_cls.__mro__])
    cluster = _built(lambda: cluster_class(**options))
    cluster.scale(workers)
    return _client(cluster)


def _built(build: Callable[[], Cluster]) -> Any:
    try:
        return build()
    except (TypeError, ValueError, OSError) as error:
        raise ConfigError(f"parallel.options: the Dask cluster cannot be started: {error}") from error


def _client(cluster: Any) -> Client:
    from distributed import Client

    try:
        return Client(cluster)
    except BaseException:
        cluster.close()
        raise


def _check_options(options: Mapping[str, Any]) -> None:
    from distributed import LocalCluster, Nanny, Worker

    _refuse_unknown(options, [LocalCluster, Nanny, Worker])


def _refuse_unknown(options: Mapping[str, Any], classes: list[type]) -> None:
    """Refuse options that none of the classes takes: most of them would pass a wrong one on until it is lost."""
    known = {
        parameter.name
        for each in classes
        for parameter in inspect.signature(each).parameters.values()
        if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    } - {"self"}
    for name in options:
        if name not in known:
            raise ConfigError(
                f"parallel.options.{name}: {classes[0].__name__} has no such option{did_you_mean(name, sorted(known))}"
            )


def _need(package: str, env: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ConfigError(
            f"parallel.env: {env!r} needs the package {package.replace('_', '-')}, which is not installed: "
            "pip install 'esp3c[dask]'"
        )


def _plain(options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(options, resolve=True) if OmegaConf.is_config(options) else options
    if not isinstance(plain, Mapping):
        raise ConfigError(f"parallel.options must be a mapping of names and values, not {plain!r}")
    return {str(name): value for name, value in plain.items()}
