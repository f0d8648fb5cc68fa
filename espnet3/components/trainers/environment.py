"""Which processes train together: those that SLURM has started, or those that Lightning starts itself.

Inside a SLURM job Lightning would requeue the job at signals of its own choice, take a shell in an allocation for a task,
and wait for ever for a machine whose name does not resolve.
"""

import os
import re
import socket
import zlib
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from espnet3.utils.errors import ConfigError
from espnet3.utils.slurm_shape import Task, shape_in_job, task_of


class SlurmTasks(ClusterEnvironment):
    """The processes that `srun` has started.

    They meet at MASTER_ADDR and MASTER_PORT, which whoever started them sets to what works.

    Args:
        task: This process.
        own_devices: SLURM lets each process see its own devices alone. To Lightning each is then a machine with one.
    """

    def __init__(self, task: Task, own_devices: bool = False) -> None:
        super().__init__()
        self._task = task
        self._own_devices = own_devices

    @property
    def creates_processes_externally(self) -> bool:
        """They are there."""
        return True

    @property
    def main_address(self) -> str:
        """Where the first process is reached.

        Raises:
            ConfigError: It is not said, and the machine's name does not resolve here.
        """
        if os.environ.get("MASTER_ADDR"):
            return os.environ["MASTER_ADDR"]
        if self._task.nodes == 1:
            return "127.0.0.1"
        name = _first_name(os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST") or "")
        try:
            socket.getaddrinfo(name, None)
        except OSError as error:
            raise ConfigError(
                f"the machine {name!r}, where the first process of this job runs, cannot be found by its name "
                f"({error}); set MASTER_ADDR to an address of it that the others can reach"
            ) from error
        return name

    @property
    def main_port(self) -> int:
        """Another one for each job, step and restart, so that none meets what an earlier one has left."""
        if os.environ.get("MASTER_PORT"):
            return int(os.environ["MASTER_PORT"])
        names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
        return 15000 + zlib.crc32(" ".join(os.environ.get(name, "0") for name in names).encode()) % 15000

    @staticmethod
    def detect() -> bool:
        """Whether this process is one of several."""
        return task_of() is not None

    def world_size(self) -> int:
        """How many there are."""
        return self._task.world

    def set_world_size(self, size: int) -> None:
        """Nothing: SLURM has decided it."""

    def global_rank(self) -> int:
        """The number of this one."""
        return self._task.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing: SLURM has decided it."""

    def local_rank(self) -> int:
        """Which of the devices that it sees is this process's."""
        return 0 if self._own_devices else self._task.local

    def node_rank(self) -> int:
        """The number of its machine."""
        return self._task.rank if self._own_devices else self._task.node


def place_training(section: dict[str, Any], plugins: list[Any]) -> list[ClusterEnvironment]:
    """Say who trains together, and put the `devices` and `num_nodes` that follow into the `trainer` section.

    Returns:
        A plugin for Lightning; none where the config has one.

    Raises:
        ConfigError: The section contradicts what SLURM has started.
    """
    if any(hasattr(plugin, "creates_processes_externally") for plugin in plugins):
        return []
    # Torchrun may be what SLURM has started on each machine.
    if TorchElasticEnvironment.detect():
        return [TorchElasticEnvironment()]
    task = task_of()
    section.update(shape_in_job(section, task))
    if task is not None:
        own_devices = _sees_too_few(section.get("accelerator"), task.per_node)
        if own_devices:
            section.update(devices=1, num_nodes=task.world)
        return [SlurmTasks(task, own_devices)]
    if "SLURM_JOB_ID" not in os.environ:
        for kind in (LSFEnvironment, MPIEnvironment):
            if kind.detect():
                return [kind()]
    return [LightningEnvironment()]


def _sees_too_few(accelerator: Any, wanted: int) -> bool:
    on_gpu = accelerator in (None, "auto", "gpu", "cuda") and torch.cuda.is_available()
    return bool(on_gpu and torch.cuda.device_count() < wanted)


def _first_name(nodes: str) -> str:
    """The first of SLURM's list of machines: of `n[03-05,7],m1` it is n03."""
    found = re.match(r"([^\[,]*)(?:\[([^\],-]+)[^\]]*\]([^\[,]*))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes
