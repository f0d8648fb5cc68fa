"""The shape of a training in a SLURM job: what its job asks for, and what it makes of the job that it runs in."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from toy_training import toy_config

from espnet3.components.trainers.environment import SlurmTasks, place_training
from espnet3.systems.base.training import train
from espnet3.utils.config_utils import load_default_config
from espnet3.utils.errors import ConfigError
from espnet3.utils.ranks import follows
from espnet3.utils.slurm_shape import Task, shape_in_job, slurm_shape, task_of

# As srun sets them for the third of four processes, on the second of two machines.
STEP = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NAME": "train",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "n[03-04]",
}


@pytest.fixture
def set_variables(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "MASTER_")) or name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK"):
            monkeypatch.delenv(name)

    def set_them(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_them


@pytest.mark.parametrize(
    ("trainer", "options", "shape"),
    [
        ({}, {}, (1, 1)),
        ({"devices": 2, "num_nodes": 3}, {}, (3, 2)),
        ({"devices": [0, 2]}, {"gpus_per_node": 2}, (1, 2)),
        ({"devices": "0,2"}, {"gpus_per_node": 2}, (1, 2)),
        ({"devices": "auto"}, {"gpus_per_node": "a100:4"}, (1, 4)),
        ({"devices": -1}, {"gpus_per_node": "a100"}, (1, 1)),
        ({"devices": "auto"}, {"gres": "ssd:1,gpu:v100:3"}, (1, 3)),
        ({"devices": "auto"}, {"gres": "gpu"}, (1, 1)),
        ({"devices": "auto"}, {}, (1, 1)),
        ({"devices": "auto", "accelerator": "cpu"}, {"gpus_per_node": 4}, (1, 1)),
        ({"devices": "auto"}, {"gpus_per_node": 4, "ntasks_per_node": 2}, (1, 2)),
        # A 1 is what the defaults of a training config say.
        ({"devices": 1, "num_nodes": 1}, {"nodes": 2, "ntasks_per_node": 4}, (2, 4)),
        ({"devices": "2", "num_nodes": "2"}, {"nodes": "2", "ntasks_per_node": "2"}, (2, 2)),
        ({"devices": 2}, {"additional_parameters": {"ntasks-per-node": 2, "nodes": 2}}, (2, 2)),
        ({"devices": 2, "accelerator": "cpu"}, {"gpus_per_node": 1}, (1, 2)),
    ],
)
def test_what_a_job_asks_for(trainer: dict[str, Any], options: dict[str, Any], shape: tuple[int, int]) -> None:
    """What one side leaves open is the other's."""
    config = OmegaConf.create({"trainer": trainer})

    assert slurm_shape(config, options) == {"nodes": shape[0], "ntasks_per_node": shape[1]}
    assert slurm_shape({"trainer": trainer}, OmegaConf.create(options)) == slurm_shape(config, options)


def test_defaults_ask_for_nothing() -> None:
    """They give way to the machine setting."""
    config = load_default_config("training.yaml", "espnet3.systems.base")
    config.num_device = 1

    assert slurm_shape(config, {"ntasks_per_node": 3}) == {"nodes": 1, "ntasks_per_node": 3}


@pytest.mark.parametrize(
    ("trainer", "options", "message"),
    [
        ({"num_nodes": 2}, {"nodes": 1}, "trainer.num_nodes is 2, but the machine setting's nodes is 1"),
        (
            {"devices": 2},
            {"ntasks_per_node": 4},
            "trainer.devices is 2, but the machine setting's ntasks_per_node is 4",
        ),
        ({"devices": 4}, {"gpus_per_node": 2}, "4 processes on each machine, but its job asks for 2 GPUs on each"),
        ({"devices": "auto"}, {"gpus_per_node": 2, "ntasks_per_node": 4}, "asks for 2 GPUs on each"),
        ({"devices": "many"}, {}, "trainer.devices must be a number, a list or \"auto\", not 'many'"),
        ({"devices": 0}, {}, "trainer.devices must be"),
        ({"num_nodes": 0}, {}, "trainer.num_nodes must be a positive whole number, not 0"),
        ({}, {"nodes": "2-4"}, "nodes must be a positive whole number, not '2-4'"),
        ({}, {"ntasks_per_node": True}, "ntasks_per_node must be a positive whole number"),
    ],
)
def test_contradictions(trainer: dict[str, Any], options: dict[str, Any], message: str) -> None:
    """They are found before anything waits in a queue."""
    with pytest.raises(ConfigError, match=message):
        slurm_shape({"trainer": trainer}, options)


def test_asking_imports_nothing_heavy() -> None:
    """Whoever sends a job is quick."""
    code = (
        "import sys, espnet3.utils.slurm_shape, espnet3.utils.again;"
        "print([name for name in ('torch', 'lightning', 'omegaconf', 'numpy') if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_process_of_a_step(set_variables: Any) -> None:
    """It knows its place, and that it is not the one to speak."""
    set_variables(STEP)

    assert task_of() == Task(rank=2, world=4, node=1, nodes=2, local=0, spread="2(x2)")
    assert (task_of() or pytest.fail()).per_node == 2
    assert follows()


@pytest.mark.parametrize(
    "changes",
    [
        {"SLURM_JOB_ID": None},
        # A batch script, or a shell in an allocation.
        {"SLURM_STEP_ID": None},
        {"SLURM_PROCID": None},
        {"SLURM_JOB_NAME": "interactive"},
        {"SLURM_JOB_NAME": "bash"},
        # What a process of a step has submitted inherits the variables of the step.
        {"SLURM_NTASKS": "1"},
        {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    ],
)
def test_a_process_that_is_alone(changes: dict[str, str | None], set_variables: Any) -> None:
    """Whatever the job it is in has asked for."""
    set_variables({name: value for name, value in {**STEP, **changes}.items() if value is not None})

    assert (task_of(), follows()) == (None, False)
    assert shape_in_job({"devices": 1}, task_of()) == {}


@pytest.mark.parametrize(
    ("trainer", "devices"),
    [
        ({}, 2),
        ({"devices": "auto"}, 2),
        ({"devices": -1}, 2),
        ({"devices": 1, "num_nodes": 1}, 2),
        ({"devices": 2, "num_nodes": 2}, 2),
        ({"devices": [3, 1]}, [3, 1]),
    ],
)
def test_the_shape_inside_a_job(trainer: dict[str, Any], devices: Any) -> None:
    """What is left open is what SLURM has started."""
    assert shape_in_job(trainer, task_of(STEP)) == {"devices": devices, "num_nodes": 2}


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"devices": 3}, "trainer.devices is 3, but SLURM has started 4 processes for it on 2 machines; set it to 2"),
        ({"devices": [0]}, r"trainer.devices is \[0\], but SLURM has started 4 processes"),
        (
            {"num_nodes": 4},
            "trainer.num_nodes is 4, but SLURM has started 4 processes for it on 2 machines; set it to 2",
        ),
    ],
)
def test_a_shape_that_is_not_the_jobs(trainer: dict[str, Any], message: str) -> None:
    """It is refused, where Lightning would wait for processes that nobody starts."""
    with pytest.raises(ConfigError, match=message):
        shape_in_job(trainer, task_of(STEP))


def test_processes_that_are_not_equally_many_everywhere() -> None:
    """No training can be spread like that."""
    uneven = {**STEP, "SLURM_NTASKS": "3", "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_TASKS_PER_NODE": "2,1"}

    with pytest.raises(ConfigError, match="3 processes over 2 machines as 2,1; a training needs equally many"):
        shape_in_job({}, task_of(uneven))


def test_several_machines_and_one_process(set_variables: Any) -> None:
    """In a job it would wait for others for ever; where somebody starts each by hand it is right."""
    set_variables({"SLURM_JOB_ID": "17"})
    with pytest.raises(ConfigError, match=r"trainer\.num_nodes is 2, but SLURM has started one process"):
        shape_in_job({"num_nodes": 2}, None)
    set_variables({"NODE_RANK": "1"})

    assert shape_in_job({"num_nodes": 2}, None) == {}


def test_what_lightning_is_told(set_variables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks and sizes are SLURM's."""
    set_variables({**STEP, "MASTER_ADDR": "10.0.0.3", "MASTER_PORT": "12345"})
    section: dict[str, Any] = {"devices": "auto", "accelerator": "cpu"}
    (tasks,) = place_training(section, [])

    assert section == {"devices": 2, "num_nodes": 2, "accelerator": "cpu"}
    assert (tasks.global_rank(), tasks.local_rank(), tasks.node_rank(), tasks.world_size()) == (2, 0, 1, 4)
    assert (tasks.main_address, tasks.main_port, tasks.creates_processes_externally) == ("10.0.0.3", 12345, True)


def test_processes_that_see_their_own_gpu_alone(set_variables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For Lightning each of them is a machine with one."""
    set_variables({**STEP, "SLURM_LOCALID": "1", "SLURM_PROCID": "3"})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    section: dict[str, Any] = {"accelerator": "gpu"}
    (tasks,) = place_training(section, [])

    assert section == {"devices": 1, "num_nodes": 4, "accelerator": "gpu"}
    assert (tasks.global_rank(), tasks.local_rank(), tasks.node_rank(), tasks.world_size()) == (3, 0, 3, 4)


def test_where_the_first_process_is(set_variables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads nowhere is an error, not a wait; a restarted job meets elsewhere than it did before."""
    asked: list[str] = []

    def resolve(name: str, port: Any) -> list[Any]:
        asked.append(name)
        if name != "n03":
            raise OSError("unknown")
        return []

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    set_variables(STEP)
    task = task_of()
    assert task is not None
    tasks = SlurmTasks(task)
    ports = {tasks.main_port}
    assert tasks.main_address == "n03"
    set_variables({"SLURM_STEP_NODELIST": "gpu-a,n03", "SLURM_RESTART_COUNT": "1"})
    ports.add(tasks.main_port)
    with pytest.raises(ConfigError, match=r"the machine 'gpu-a'.* cannot be found by its name .*set MASTER_ADDR"):
        _ = tasks.main_address

    assert (asked, len(ports)) == (["n03", "gpu-a"], 2)


def test_a_machine_that_has_srun_and_no_job(
    tmp_path: Path, set_variables: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is told to use it; nor in an allocation without srun, in which a training is alone."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    set_variables({})
    train(toy_config(tmp_path / "login", trainer__max_epochs=1))
    set_variables({"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "mine"})
    train(toy_config(tmp_path / "allocation", trainer__max_epochs=1))

    assert "srun" not in caplog.text
    assert (tmp_path / "login" / "last.ckpt").exists()
    assert (tmp_path / "allocation" / "last.ckpt").exists()
