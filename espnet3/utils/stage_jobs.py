"""Stages that are jobs of a cluster, and the run that they belong to.

A stage whose machine setting is `slurm` runs in one of two ways:

- as a job: `run.py --stages <stage>` is called there, in each process of the job. So do stages that do not go through
  items (`train`), and all others where the setting has one worker.
- here, with its items done by jobs: where the setting has more workers. The runner's shards go to an array of jobs
  (`esp3rt.slurm.execution`); what stands around the runner in the stage is done here.

Where a chain of stages is detached, each is a job that waits for the one before. A stage that is done "here" is then done by
a small job, which has the setting's partition, account and times, and no GPUs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, StageError
from espnet3.utils.machine_setting import settings_of
from espnet3.utils.run_utils import shares_items

if TYPE_CHECKING:
    import argparse

    from esp3rt.slurm.request import Shape
    from esp3rt.slurm.runs import LedRun
    from esp3rt.slurm.settings import Settings

# In a job: the stage that it is for; `all` in one that runs every stage that it is called for, as those of a sweep do.
STAGE = "ESP3RT_STAGE"


def in_job() -> bool:
    """Whether this process is part of a job."""
    return "ESP3RT_JOB" in os.environ


def on_cluster(setting: Any) -> bool:
    """Whether a machine setting asks for jobs."""
    return setting is not None and setting.get("env") == "slurm"


def is_one_job(system: Any, stage: str, setting: Any) -> bool:
    """Whether a stage with this setting is one job, rather than shards of an array."""
    return on_cluster(setting) and (not shares_items(_meant(system, stage)[0]) or settings_of(setting).workers == 1)


def _meant(system: Any, stage: str) -> tuple[str, Mapping[str, str]]:
    """The stage of the framework that a stage runs, and the configs that it gets instead of the usual ones."""
    own: Mapping[str, tuple[str, Mapping[str, str]]] = getattr(system, "STAGE_RUNS", {})
    return own.get(stage, (stage, {}))


@contextmanager
def leading(
    system: Any, settings: Mapping[str, Any], started_in: str, detached: bool = False
) -> Iterator[LedRun | None]:
    """Around stages: the run that they belong to, where one of them needs jobs.

    Args:
        system: The system.
        settings: The machine setting of each stage, in order.
        started_in: The folder in which this process was started.
        detached: Whether the stages are to go on without this process.

    Raises:
        StageError: Another process leads it, or SLURM does not answer.
    """
    needs_jobs = any(on_cluster(setting) for setting in settings.values())
    if os.environ.get(STAGE) or not (needs_jobs or _is_told()):
        yield None
        return
    from esp3rt.slurm.runs import RunBusy, lead_run

    command = [sys.executable, *_own_command(*settings)]
    lead = lead_run(os.getcwd(), list(settings), command, started_in, mark=_mark_of(system), detached=detached)
    try:
        with lead as run:
            if not detached and not in_job():
                with cluster_errors():
                    run.chain.take_back()
            yield run
            run.run.refresh()
            if all(stage.state == "done" for stage in run.run.stages.values()):
                run.over("done")
    except RunBusy as error:
        raise StageError(str(error)) from error


def _is_told() -> bool:
    """Whether this process was told which run to go on with: it may have no stage left that needs jobs."""
    if "ESP3RT_RUN" not in os.environ:
        return False
    from esp3rt.slurm.found import told_run

    return told_run(Path.cwd()) is not None


def run_as_job(run: LedRun, system: Any, stage: str, setting: Any, started_in: str) -> None:
    """Run a stage as a job, and wait for its end.

    Raises:
        StageError: The job cannot be sent, or has failed.
    """
    if not run.has_open_work(stage) and _is_trained(system, stage):
        return
    with cluster_errors():
        settings = settings_of(setting)
        run.command(
            settings, _command_in_job(settings, stage), started_in, _shape(system, stage, settings), {STAGE: stage}
        )


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn what SLURM refuses, and what became of jobs, into an error of the stage.

    Raises:
        StageError: In the place of the error.
    """
    from esp3rt.slurm.client import Refused, Unreachable
    from esp3rt.slurm.found import LeadLost
    from esp3rt.slurm.leader import WorkCancelled
    from esp3rt.slurm.settings import SettingError
    from esp3rt.work import WorkersDied

    try:
        yield
    except SettingError as error:
        raise ConfigError(str(error)) from error
    except Refused as error:
        raise StageError(f"SLURM does not take the job: {error}") from error
    except Unreachable as error:
        raise StageError(f"SLURM does not answer: {error}; nothing is lost, `esp3c resume` goes on") from error
    except LeadLost as error:
        raise StageError(str(error)) from error
    except WorkCancelled as error:
        raise StageError(f"{error}\nwhat is done is kept; `esp3c resume` goes on") from error
    except WorkersDied as error:
        raise StageError(f"{error}\nwhat is done is kept; run it again to go on") from error


def detach(run: LedRun, system: Any, settings: Mapping[str, Any], started_in: str) -> list[tuple[str, str]]:
    """Send stages as a chain of jobs, each after the one before.

    Args:
        run: The run that they belong to; stages that are done in it are left out.
        system: The system.
        settings: The machine setting of each stage, in order.
        started_in: The folder in which this process was started.

    Returns:
        For each job its stages and what SLURM calls it; nothing where such a chain is under way.

    Raises:
        StageError: SLURM does not take a job, and those before it were taken back; or it does not answer.
    """
    from esp3rt.slurm.client import Refused

    left = [stage for stage in settings if not run.is_done(stage)]
    sent: list[tuple[str, str]] = []
    with cluster_errors():
        if not left or run.chain.goes_on(left):
            return sent
        run.chain.take_back(detaches=True)
        try:
            for stages, setting in _groups(system, settings, left):
                alone = is_one_job(system, stages[0], settings[stages[0]])
                asked = settings_of(setting)
                shape = _shape(system, stages[0], asked) if alone else _one()
                variables = {STAGE: stages[0]} if alone else {}
                command = _command_in_job(asked, *stages)
                jobs = run.send_command(asked, command, started_in, shape, variables, stages=stages, leads=not alone)
                sent.append((", ".join(stages), " ".join(jobs)))
        except Refused:
            run.chain.take_back()
            raise
    return sent


def _groups(system: Any, settings: Mapping[str, Any], left: Sequence[str]) -> list[tuple[list[str], Any]]:
    """The stages that are left, those together that one job runs, and the setting of the job."""
    groups: list[tuple[list[str], Any]] = []
    known = next(setting for setting in settings.values() if on_cluster(setting))
    open_group = False
    for stage in left:
        setting = settings[stage]
        if is_one_job(system, stage, setting):
            groups.append(([stage], setting))
            known, open_group = setting, False
        elif open_group:
            groups[-1][0].append(stage)
        else:
            groups.append(([stage], setting if on_cluster(setting) else known))
            open_group = True
    return groups


def _one() -> Shape:
    from esp3rt.slurm.request import Shape

    return Shape()


def _is_trained(system: Any, stage: str) -> bool:
    """Whether a training is over already: to learn that nobody has to stand in a queue.

    Raises:
        ConfigError: The training that is there had another config.
        StageError: Another process is training there.
    """
    config = _training_config(system, stage)
    exp_dir = None if config is None else config.get("exp_dir")
    if config is None or exp_dir is None or not (Path(str(exp_dir)) / "last.ckpt").is_file():
        return False
    look = getattr(system, "_is_training_complete", None)
    return callable(look) and bool(look(config))


def _training_config(system: Any, stage: str) -> Any:
    """The config that a stage trains with; None where it does not train."""
    name, configs = _meant(system, stage)
    return getattr(system, configs.get("training_config", "training_config"), None) if name == "train" else None


def _shape(system: Any, stage: str, settings: Settings) -> Shape:
    """The processes of a stage's job: a training has those that its trainer wants, any other stage has one."""
    from esp3rt.slurm.request import Shape

    config = _training_config(system, stage)
    if config is None:
        return Shape()
    from espnet3.utils.slurm_shape import slurm_shape

    found = slurm_shape(config, dict(settings.options))
    return Shape(nodes=found["nodes"], tasks=found["ntasks_per_node"])


def _own_command(*stages: str) -> list[str]:
    """The words, behind Python, that call this program again for stages.

    Raises:
        StageError: This is no `run.py` that could be called again.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main is None:
        raise StageError(
            f"a stage that is a job needs a program that the job can call: start it as `python run.py --stages {' '.join(stages)}`"
        )
    words = _without(sys.argv[1:], {"--stages": True, "--on": True, "--detach": False})
    return [os.path.realpath(main), *words, "--stages", *stages]


def _command_in_job(settings: Settings, *stages: str) -> list[str]:
    # -u: what it prints is in the log when it is killed.
    return [settings.python or sys.executable, "-u", *_own_command(*stages)]


def _mark_of(system: Any) -> str:
    """What tells the configs of a system from others."""
    import hashlib

    from omegaconf import OmegaConf

    configs = [
        (name, config)
        for name, config in sorted(getattr(system, "__dict__", {}).items())
        if OmegaConf.is_config(config)
    ]
    text = "".join(f"{name}:\n{OmegaConf.to_yaml(config)}\n" for name, config in configs)
    return hashlib.sha256(text.encode()).hexdigest()


def _without(words: Sequence[str], flags: Mapping[str, bool]) -> list[str]:
    """A command line without some flags and, where these have any, their values."""
    kept, drops = [], False
    for word in words:
        name = word.partition("=")[0]
        if word.startswith("-"):
            drops = name in flags
            if drops and (not flags[name] or "=" in word):
                drops = False
                continue
        if not drops:
            kept.append(word)
    return kept


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say where stages run: `--on` and `--detach`."""
    parser.add_argument(
        "--on",
        choices=("here", "debug"),
        default=None,
        help="run all stages on this machine instead of on the cluster: with as many workers (here), or in this one "
        "process (debug)",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="send the stages to the cluster, each after the one before, and do not wait for them",
    )
