"""Which stages are jobs, which jobs a chain has, and what is called in them; nothing is sent."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from omegaconf import OmegaConf

from esp3rt.slurm.request import Shape
from espnet3.systems.base.system import BaseSystem
from espnet3.utils import stage_jobs
from espnet3.utils.errors import ConfigError, StageError
from espnet3.utils.machine_setting import settings_of


class Curriculum(BaseSystem):
    STAGE_RUNS = {"train_easy": ("train", {"training_config": "training_easy_config"})}  # noqa: RUF012


def slurm(workers: int = 1, **options: Any) -> Any:
    return OmegaConf.create({"env": "slurm", "n_workers": workers, "options": options})


LOCAL = OmegaConf.create({"env": "local", "n_workers": 4})


@pytest.mark.parametrize(
    ("stage", "setting", "expected"),
    [
        ("train", slurm(1), True),
        ("train", slurm(8), True),
        ("train_easy", slurm(8), True),
        ("infer", slurm(1), True),
        ("infer", slurm(8), False),
        ("score", slurm(8), False),
        ("measure", slurm(8), True),
        ("train", LOCAL, False),
        ("train", None, False),
    ],
)
def test_which_stages_are_one_job(stage: str, setting: Any, expected: bool) -> None:
    """Those whose items nobody can share, also where they go by a name of the recipe's own, and those with one worker."""
    assert stage_jobs.is_one_job(Curriculum(), stage, setting) is expected


def test_the_shape_of_a_job_is_that_of_its_training() -> None:
    """Of the config that the stage trains with; any other stage has one process."""
    system = Curriculum(
        training_config=OmegaConf.create({"exp_dir": "exp", "trainer": {"devices": 2, "num_nodes": 3}}),
        training_easy_config=OmegaConf.create({"exp_dir": "exp/easy", "trainer": {"devices": 4}}),
    )
    settings = settings_of(slurm())
    shapes = {stage: stage_jobs._shape(system, stage, settings) for stage in ("train", "train_easy", "measure")}

    assert shapes == {"train": Shape(nodes=3, tasks=2), "train_easy": Shape(nodes=1, tasks=4), "measure": Shape()}
    with pytest.raises(ConfigError, match=r"trainer.devices is 2, but the machine setting's ntasks_per_node is 3"):
        stage_jobs._shape(system, "train", settings_of(slurm(ntasks_per_node=3)))


def test_the_jobs_of_a_chain() -> None:
    """A job for each stage that is one; those between share one, which has the setting of the stage before, or their own."""
    cpu, gpu, many = slurm(partition="cpu"), slurm(partition="gpu"), slurm(4, partition="many")
    settings = {"a": cpu, "b": LOCAL, "c": None, "train": gpu, "infer": many, "d": LOCAL, "measure": cpu}
    system = Curriculum()

    assert stage_jobs._groups(system, settings, list(settings)) == [
        (["a"], cpu),
        (["b", "c"], cpu),
        (["train"], gpu),
        (["infer", "d"], many),
        (["measure"], cpu),
    ]
    assert stage_jobs._groups(system, settings, ["d"]) == [(["d"], cpu)]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--stages", "a", "b", "--on", "here"], []),
        (["--stages=a", "--detach", "--training_config", "conf/a b.yaml"], ["--training_config", "conf/a b.yaml"]),
        (["--detach", "x"], ["x"]),
        (["--word", "--stages", "a", "-v", "1"], ["--word", "-v", "1"]),
    ],
)
def test_a_job_is_called_like_its_driver(monkeypatch: pytest.MonkeyPatch, words: list[str], kept: list[str]) -> None:
    """But for the flags that say which stages, and where."""
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", "/data/run.py", raising=False)

    assert stage_jobs._own_command("train") == ["/data/run.py", *kept, "--stages", "train"]
    assert stage_jobs._command_in_job(settings_of(slurm(python="/py")), "a", "b") == [
        *["/py", "-u", "/data/run.py", *kept],
        *["--stages", "a", "b"],
    ]


def test_a_program_that_cannot_be_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook, say: the message says what to start instead."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(StageError, match=r"start it as `python run.py --stages train`"):
        stage_jobs._own_command("train")


def test_configs_are_told_apart() -> None:
    """By all that they say; the same ones have the same mark."""

    def mark(**training: Any) -> str:
        return stage_jobs._mark_of(Curriculum(training_config=OmegaConf.create({"exp_dir": "exp", **training})))

    assert mark(lr=1) == mark(lr=1)
    assert mark(lr=1) != mark(lr=2)
    assert mark(lr="${oc.env:HOME}") == mark(lr="${oc.env:HOME}")
