"""How many machines a training takes in a SLURM job, and how many processes on each.

A training has one process for each device: those of `trainer.devices` on each of `trainer.num_nodes` machines. Its job asks
for the same as `nodes` and `ntasks_per_node`. Where one side leaves a number out, it takes the other's; so does a 1 of the
trainer, which the defaults of every training config say.

Nothing heavy is imported here: whoever sends a job asks, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from espnet3.utils.errors import ConfigError

_ALL = -1
# What SLURM and trainers take for an allocation in which somebody types commands.
_BY_HAND = ("bash", "interactive")


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """This process, among those that `srun` has started for one training.

    Attributes:
        rank: Its number among all.
        world: How many there are.
        node: The number of its machine.
        nodes: On how many machines they run.
        local: Its number on its machine.
        spread: How many run on each machine, as SLURM says it: `2(x3)`.
    """

    rank: int
    world: int
    node: int
    nodes: int
    local: int
    spread: str

    @property
    def per_node(self) -> int:
        """How many run on each machine.

        Raises:
            ConfigError: They are not equally many on each.
        """
        if self.world % self.nodes or re.search(r",", self.spread):
            raise ConfigError(
                f"SLURM has spread {self.world} processes over {self.nodes} machines as {self.spread}; a training needs "
                "equally many on each: ask for them with --nodes and --ntasks-per-node"
            )
        return self.world // self.nodes


def slurm_shape(training_config: Mapping[str, Any] | None, options: Mapping[str, Any] | None) -> dict[str, int]:
    """The `nodes` and `ntasks_per_node` that the job of a training asks for.

    Args:
        training_config: The training config, of which `trainer` is read.
        options: The options of the machine setting, by submitit's names; its `additional_parameters` go first, as they do
            there.

    Raises:
        ConfigError: The training and the options contradict each other, or a number is none.
    """
    trainer = (training_config or {}).get("trainer") or {}
    asked = _options(options or {})
    nodes = _agreed(
        _count(asked.get("nodes"), "nodes"),
        "nodes",
        _count(trainer.get("num_nodes"), "trainer.num_nodes"),
        "trainer.num_nodes",
    )
    devices = _devices(trainer.get("devices"))
    on_cpu = trainer.get("accelerator") == "cpu"
    gpus = _gpus(asked)
    tasks = _count(asked.get("ntasks_per_node"), "ntasks_per_node")
    if devices == _ALL:
        devices = None if on_cpu else gpus
        if tasks is None:
            tasks = devices or 1
    else:
        tasks = _agreed(tasks, "ntasks_per_node", devices, "trainer.devices")
    if gpus is not None and tasks > max(gpus, 1) and not on_cpu:
        raise ConfigError(
            f"the training has {tasks} processes on each machine, but its job asks for {gpus} GPUs on each; ask for "
            f"gpus_per_node: {tasks}, or set trainer.devices to {max(gpus, 1)}",
            key="trainer.devices",
        )
    return {"nodes": nodes, "ntasks_per_node": tasks}


def task_of(environment: Mapping[str, str] = os.environ) -> Task | None:
    """This process among those of its SLURM step; None where it is the only one, or was not started by `srun`.

    A shell in an allocation, a batch script, a task of an array that does shards: in all of them a training is alone.
    """
    if "SLURM_JOB_ID" not in environment or environment.get("SLURM_JOB_NAME") in _BY_HAND:
        return None
    try:
        rank = int(environment["SLURM_PROCID"])
        world = int(environment["SLURM_STEP_NUM_TASKS"])
        nodes = int(environment.get("SLURM_STEP_NUM_NODES") or environment["SLURM_NNODES"])
        task = Task(
            rank=rank,
            world=world,
            node=int(environment["SLURM_NODEID"]),
            nodes=nodes,
            local=int(environment["SLURM_LOCALID"]),
            spread=environment.get("SLURM_STEP_TASKS_PER_NODE") or str(world // nodes),
        )
    except (KeyError, ValueError, ZeroDivisionError):
        return None
    # The variables of a step stay in the environment of what it submits, which has its own number of tasks.
    if "SLURM_STEP_ID" not in environment or environment.get("SLURM_NTASKS", str(world)) != str(world):
        return None
    return task if world > 1 else None


def shape_in_job(trainer: Mapping[str, Any], task: Task | None) -> dict[str, Any]:
    """The `devices` and `num_nodes` that a training takes in the job that it runs in; nothing where it is free to choose.

    Args:
        trainer: The `trainer` section of the training config.
        task: This process among those of the job's step.

    Raises:
        ConfigError: They contradict what SLURM has started.
    """
    wished = _count(trainer.get("num_nodes"), "trainer.num_nodes")
    devices = _devices(trainer.get("devices"))
    if task is None:
        # Whoever starts the processes of other machines by hand tells each which one it is.
        by_hand = "NODE_RANK" in os.environ or "GROUP_RANK" in os.environ
        if wished not in (None, 1) and "SLURM_JOB_ID" in os.environ and not by_hand:
            _refuse("trainer.num_nodes", wished, "SLURM has started one process for this training", "1")
        return {}
    started = f"SLURM has started {task.world} processes for it on {task.nodes} machine{'s' if task.nodes > 1 else ''}"
    if wished not in (None, 1, task.nodes):
        _refuse("trainer.num_nodes", wished, started, str(task.nodes))
    if devices not in (None, _ALL, task.per_node) and not (devices == 1 and not _is_list(trainer.get("devices"))):
        _refuse("trainer.devices", trainer.get("devices"), started, str(task.per_node))
    kept = trainer.get("devices") if _is_list(trainer.get("devices")) else task.per_node
    return {"devices": kept, "num_nodes": task.nodes}


def _refuse(key: str, value: Any, started: str, right: str) -> NoReturn:
    raise ConfigError(
        f"{key} is {value}, but {started}; set it to {right}, or ask for another shape of the job (nodes and ntasks_per_node)",
        key=key,
    )


def _agreed(given: int | None, option: str, wished: int | None, key: str) -> int:
    """What the job's option says and the trainer does not deny."""
    if given is None:
        return wished or 1
    if wished not in (None, 1, given):
        raise ConfigError(
            f"{key} is {wished}, but the machine setting's {option} is {given}; make them the same, or leave {option} out",
            key=key,
        )
    return given


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    forced = options.get("additional_parameters") or {}
    return {**options, **{str(name).replace("-", "_"): value for name, value in forced.items()}}


def _count(value: Any, where: str) -> int | None:
    if value is None:
        return None
    number = _whole(value)
    if number is None or number < 1:
        raise ConfigError(f"{where} must be a positive whole number, not {value!r}", key=where)
    return number


def _devices(value: Any) -> int | None:
    """How many devices a trainer's `devices` means; `_ALL` for all that there are."""
    if value is None:
        return None
    if _is_list(value):
        return len(_listed(value))
    if value in ("auto", -1, "-1"):
        return _ALL
    number = _whole(value)
    if number is None or number < 1:
        raise ConfigError(f'trainer.devices must be a number, a list or "auto", not {value!r}', key="trainer.devices")
    return number


def _is_list(value: Any) -> bool:
    return "," in value if isinstance(value, str) else isinstance(value, Sequence)


def _listed(value: Any) -> list[Any]:
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else list(value)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return int(value) if re.fullmatch(r"\s*\d+\s*", str(value)) else None


def _gpus(options: Mapping[str, Any]) -> int | None:
    """How many GPUs a job asks for on each machine: of `4`, `a100:4`, `a100`, and in `gres` `gpu:a100:4`."""
    value = options.get("gpus_per_node", options.get("num_gpus"))
    if value is None:
        parts = [part.strip() for part in str(options.get("gres") or "").split(",")]
        value = next((part[3:].lstrip(":") or 1 for part in parts if re.match(r"gpu(:|$)", part)), None)
    if value is None:
        return None
    counts = [_whole(part.rpartition(":")[2]) for part in str(value).split(",")]
    return sum(1 if count is None else count for count in counts)
