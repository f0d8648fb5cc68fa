"""Where the shards of a runner are done: from the machine setting in force to an `Execution`.

| `env` | where |
|---|---|
| none, `local` with one worker | this process |
| `local` with `n_workers` above 1 | so many processes of this machine |
| `local_gpu` | the same, and each has a GPU of its own, in turn |
| `slurm` with one worker | this process: the stage itself is a job (`espnet3.utils.stage_jobs`) |
| `slurm` with more | the jobs of an array |
| `dask`, and the clusters of dask_jobqueue | the workers of a Dask cluster |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from esp3rt.work import Execution, InProcess
from espnet3.utils.errors import ConfigError, did_you_mean, listed
from espnet3.utils.machine_setting import get_parallel_config, made_for_setting, n_workers, settings_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

LOCAL = ("local", "local_gpu")
SLURM = "slurm"
DASK = ("dask", "htcondor", "lsf", "moab", "oar", "pbs", "sge")
# With so many, a run that is killed loses little; where there are fewer items in one than this, there is little to lose.
# Up to ten, their names sort as text as they do as numbers.
_SHARDS = 10
_ITEMS_A_SHARD = 8
_SHARDS_A_WORKER = 4


def execution_in_force() -> Execution:
    """The execution that the setting in force asks for (`set_parallel`).

    Raises:
        ConfigError: `env` or `n_workers` does not fit.
    """
    return made_for_setting(lambda keep: execution_of(get_parallel_config(), keep))


def execution_of(setting: DictConfig | Mapping[str, Any] | None, keep: bool = False) -> Execution:
    """The execution that a setting (`env`, `n_workers`, `options`) asks for.

    Args:
        setting: The setting; None is this process.
        keep: Keep its processes from one run to the next, until its `close`.

    Raises:
        ConfigError: `env` or `n_workers` does not fit.
    """
    env = (setting or {}).get("env") or "local"
    workers = n_workers(setting)
    if env == "local" and workers == 1:
        return InProcess()
    if env in LOCAL:
        from esp3rt.processes import LocalProcesses, gpu_of

        attempts = _attempts_for(((setting or {}).get("options") or {}).get("max_bad_items") or 0)
        return LocalProcesses(workers, gpu_of if env == "local_gpu" else None, attempts, keep)
    if env in DASK:
        from espnet3.parallel.dask_execution import DaskWorkers

        assert setting is not None
        return DaskWorkers(setting, workers, keep)
    if env == SLURM:
        from esp3rt.slurm.execution import SlurmJobs

        assert setting is not None
        settings = settings_of(setting)
        return InProcess() if settings.workers == 1 else SlurmJobs(settings)
    known = (*LOCAL, SLURM, *DASK)
    raise ConfigError(f"parallel.env: there is no {env!r}; there are {listed(known)}{did_you_mean(str(env), known)}")


def bad_items_allowed() -> int:
    """How many items may be left out, by the `max_bad_items` of the setting in force.

    Raises:
        ConfigError: It is no whole number, or negative.
    """
    setting = get_parallel_config()
    options = (setting.get("options") if setting is not None else None) or {}
    allowed = options.get("max_bad_items") or 0
    if not isinstance(allowed, int) or isinstance(allowed, bool) or allowed < 0:
        raise ConfigError(f"parallel.options.max_bad_items must be 0 or more, not {allowed!r}")
    return allowed


def _attempts_for(allowed: int) -> int:
    """How often a shard is tried that may have so many items at each of which two processes are lost."""
    from esp3rt.processes import ATTEMPTS

    return ATTEMPTS + 2 * allowed


def shards_wanted(execution: Execution, n_batches: int) -> int:
    """How many shards the items are cut into: `n_shards` of the setting in force, else a few for each worker.

    Args:
        execution: Where they will be done.
        n_batches: How many items, or batches of items, there are.

    Raises:
        ConfigError: `n_shards` is no positive whole number.
    """
    setting = get_parallel_config()
    wanted = None if setting is None else setting.get("n_shards")
    if wanted is None:
        few = max(1, min(_SHARDS, n_batches // _ITEMS_A_SHARD))
        return few if execution.workers == 1 else max(few, _SHARDS_A_WORKER * execution.workers)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise ConfigError(f"parallel.n_shards must be a positive whole number, not {wanted!r}")
    return wanted
