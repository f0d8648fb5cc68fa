"""Stages on the command line and one after the other.

Importing this module is cheap: a `run.py --help` needs nothing else.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from esp3rt.progress import console_line, duration
from espnet3.utils.again import AGAIN
from espnet3.utils.errors import (
    MissingConfigError,
    StageError,
    UserError,
    did_you_mean,
    listed,
)
from espnet3.utils.ranks import assigned_stage, follows, go_where_it_was_started, stage_of_ranks
from espnet3.utils.run_utils import check_parallel, parallel_for_stage
from espnet3.utils.stage_jobs import (
    STAGE,
    add_place_arguments,
    cluster_errors,
    detach,
    in_job,
    is_one_job,
    leading,
    on_cluster,
    run_as_job,
)
from espnet3.utils.task_utils import check_espnet

if TYPE_CHECKING:
    from esp3rt.slurm.runs import LedRun

__all__ = [
    "STAGE_CONFIGS",
    "MissingConfigError",
    "StageError",
    "add_place_arguments",
    "parse_cli_and_stage_args",
    "report_user_errors",
    "require_configs",
    "resolve_stages",
    "run_stages",
]


# The configs that the stages of the framework read, as attributes of the system.
STAGE_CONFIGS: Mapping[str, tuple[str, ...]] = {
    "create_dataset": ("training_config",),
    "train_tokenizer": ("training_config",),
    "collect_stats": ("training_config",),
    "train": ("training_config",),
    "infer": ("inference_config",),
    "measure": ("metrics_config",),
    "pack_model": ("training_config", "publication_config"),
    "upload_model": ("publication_config",),
    "pack_demo": ("demo_config",),
    "upload_demo": ("demo_config",),
}

# They read data and text alone: what their config says of the model is not needed yet.
_BEFORE_MODELS = frozenset({"create_dataset", "train_tokenizer"})


def resolve_stages(requested: Sequence[str], stages: Sequence[str]) -> list[str]:
    """The stages asked for, each once, in the order of the pipeline.

    Args:
        requested: Names of stages; "all" stands for every one.
        stages: The pipeline.

    Raises:
        StageError: A name is no stage; the message names the nearest.
    """
    for name in requested:
        if name != "all" and name not in stages:
            near = did_you_mean(name, stages)
            raise StageError(f"there is no stage {name!r}; there are {listed(stages)}{near}")
    if "all" in requested:
        return list(stages)
    return [stage for stage in stages if stage in requested]


def parse_cli_and_stage_args(
    parser: argparse.ArgumentParser, stages: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line.

    An argument that the parser does not know ends the program with status 2 and names the nearest flag.
    Without `--stages`, all stages are meant.

    Returns:
        The arguments, and the stages to run in the order of the pipeline.
    """
    go_where_it_was_started()
    args, unknown = parser.parse_known_args()
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        told = [f"{text}{did_you_mean(text.partition('=')[0], known)}" for text in unknown]
        parser.error(f"unrecognized arguments: {', '.join(told)}")
    assigned = assigned_stage()
    if assigned is not None:
        args.stages = [assigned]
    requested = getattr(args, "stages", None)
    names = [requested] if isinstance(requested, str) else list(requested or ["all"])
    try:
        return args, resolve_stages(names, stages)
    except StageError as error:
        parser.error(str(error))


def require_configs(
    stages_to_run: Iterable[str],
    required_configs: Mapping[str, Any],
    flags: Mapping[str, str | Sequence[str]] | None = None,
) -> None:
    """See that every stage to run has been given its configs.

    Args:
        stages_to_run: The stages.
        required_configs: For a stage the config that it needs, or a tuple of them; None is one that was not
            given.
        flags: For a stage the flag of each of these configs, in the same order ("--export_config"). The
            stages of the framework need no entry.

    Raises:
        MissingConfigError: Configs are missing; the message names each stage and the flags that it lacks.
    """
    lines = []
    for stage in stages_to_run:
        if stage not in required_configs:
            continue
        configs = _as_tuple(required_configs[stage])
        usual = tuple(f"--{key}" for key in STAGE_CONFIGS.get(stage, ()))
        names = _as_tuple(flags[stage]) if flags and stage in flags else usual
        if len(names) != len(configs):
            raise ValueError(f"stage {stage!r} requires {len(configs)} configs; known are the flags {names}")
        missing = [name for name, config in zip(names, configs, strict=True) if config is None]
        if missing:
            examples = " ".join(f"{flag} {_example(flag)}" for flag in missing)
            lines.append(f"stage `{stage}` needs {' and '.join(missing)} (for example {examples})")
    if lines:
        raise MissingConfigError("\n".join(lines))


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


# Where the command was given: a run.py changes into the recipe's folder.
_STARTED_IN = _folder()
# What a shell gives for a process that SIGPIPE ended.
_CODE_OF_SIGPIPE = 141
# What a shell gives for a process that SIGINT or SIGTERM ended, and what a stage ends with that is to be started again.
_INTERRUPTS = (130, 143, AGAIN)


@contextmanager
def report_user_errors(status: int = 2) -> Iterator[None]:
    """Turn an error that the user's command line, configs or files have caused into its message and an exit status.

    What else goes wrong is seen whole, with its traceback. The traceback of a stage's error is in the stage's log in
    any case.

    Args:
        status: The exit status: 2 before the stages, 1 for a stage that failed.
    """
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        from espnet3.utils.error_report import told

        _quit(told(error, sys.stderr, _STARTED_IN), status)
    except BrokenPipeError:
        if not _stdout_is_gone():
            raise
        # Nobody reads on (`run.py … | head`): nothing is left to say, and Python must not say it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_CODE_OF_SIGPIPE) from None


def check_stages(system: Any, stages_to_run: Iterable[str]) -> dict[str, list[str]]:
    """See, before the first stage begins, that each one can be run here.

    Returns:
        For each stage what the user should know about how it will run.

    Raises:
        StageError: The system has no such stage, its method cannot be called without arguments, or a stage is to run
            where this version cannot send it.
    """
    return {stage: _checked(system, stage) for stage in stages_to_run}


def run_stages(
    system: Any,
    stages_to_run: Iterable[str],
    args: argparse.Namespace | None = None,
    log: logging.Logger | None = None,
) -> None:
    """Call the stages of `system`, one after the other, and stop at the first that fails.

    The console gets a line when a stage begins and one when it ends. Logs and warnings, of libraries too,
    go to the stage's own file, `<stage>.log` in the folder that the system names for it.

    With `args.dry_run` the plan is printed, one line a stage, and nothing is run. With `args.write_requirements` the
    installed packages are written beside the log of each stage, as `<stage>.requirements.txt`.

    Args:
        system: An object with a method for each stage, without arguments.
        stages_to_run: Names of stages.
        args: The command line.
        log: Takes the lines about the run itself; "espnet3" by default.

    Raises:
        StageError: The system has no such stage, or a stage is to run where this version cannot send it.
            Raised before the first stage begins.
        SystemExit: With status 130, after an interrupt from the keyboard.
        Exception: Whatever a stage raises, as it is, with a note that names the stage and its log.
    """
    stages = list(stages_to_run)
    remarks = check_stages(system, stages)
    # In a job, the flags of whoever has sent it are not meant.
    place = "job" if os.environ.get(STAGE) else None if in_job() else getattr(args, "on", None)
    if getattr(args, "dry_run", False):
        _print_plan(system, stages, remarks)
        return
    from espnet3.utils.machine_setting import meant, run_instead

    if follows():
        # What is to be said and logged, the process that was started first says and logs.
        with run_instead(place):
            for stage in stages:
                getattr(system, stage)()
        return
    log = log or logging.getLogger("espnet3")
    with run_instead(place):
        settings = {stage: meant(setting_for(system, stage)) for stage in stages}
        detached = getattr(args, "detach", False) and not in_job()
        here = _stages_before_jobs(settings) if detached else stages
        with leading(system, settings, _STARTED_IN, detached) as run:
            for number, stage in enumerate(here, 1):
                console_line(f"[{number}/{len(stages)}] {stage}{', here and now' if detached else ''}")
                if run is not None and run.is_done(stage):
                    console_line(f"{stage}: was done before, in run {run.paths.name}")
                    continue
                for remark in remarks[stage]:
                    console_line(f"warning: {remark}")
                _run_stage(system, stage, args, log, run, settings[stage])
            if detached and run is not None:
                _send(run, system, {stage: settings[stage] for stage in stages[len(here) :]}, remarks)


def _stages_before_jobs(settings: Mapping[str, Any]) -> list[str]:
    """The stages before the first that needs jobs.

    Raises:
        StageError: None needs jobs.
    """
    stages = list(settings)
    first = next((number for number, stage in enumerate(stages) if on_cluster(settings[stage])), None)
    if first is None:
        raise StageError(
            f"--detach: {listed(stages)} run{'s' if len(stages) == 1 else ''} on this machine; give a stage a `parallel` with "
            "env: slurm, or leave --detach out"
        )
    return stages[:first]


def _send(run: LedRun, system: Any, settings: Mapping[str, Any], remarks: Mapping[str, Sequence[str]]) -> None:
    """Send what is not done yet of stages as a chain of jobs."""
    for stage in settings:
        if run.is_done(stage):
            console_line(f"{stage}: was done before, in run {run.paths.name}")
        for remark in remarks[stage]:
            console_line(f"warning: {remark}")
    for names, job in detach(run, system, settings, _STARTED_IN):
        console_line(f"sent: {names} (job {job})")
    console_line(f"run {run.paths.name} goes on by itself; `esp3c status` shows it, `esp3c cancel` ends it")


def _run_stage(
    system: Any, stage: str, args: argparse.Namespace | None, log: logging.Logger, run: LedRun | None, setting: Any
) -> None:
    from espnet3.utils.logging_utils import log_stage, log_stage_metadata, stage_log_file, write_requirements
    from espnet3.utils.machine_setting import parallel_in_force

    path = _log_path(system, stage)
    its_log = "" if path is None else f"; its log: {path}"
    start = time.monotonic()
    with stage_log_file(path):
        try:
            with log_stage(stage):
                log_stage_metadata(log, system, args)
                if path is not None and getattr(args, "write_requirements", False):
                    write_requirements(path.with_suffix(".requirements.txt"))
                with _part_of(run, stage, setting), parallel_in_force(_setting_of(system, stage)):
                    if run is not None and is_one_job(system, stage, setting):
                        run_as_job(run, system, stage, setting, _STARTED_IN)
                    else:
                        with stage_of_ranks(stage, _STARTED_IN), _told_as_stage_error(run):
                            getattr(system, stage)()
        except KeyboardInterrupt:
            log.warning("stage %s was interrupted", stage)
            spent = duration(time.monotonic() - start)
            _quit(f"stage {stage!r} was interrupted after {spent}; {_how_to_go_on(run)}{its_log}", 130)
        except SystemExit as error:
            if error.code not in (None, 0):
                spent = duration(time.monotonic() - start)
                what = "was interrupted" if error.code in _INTERRUPTS else "ended the program"
                again = "; run it again to go on" if error.code in _INTERRUPTS else ""
                print(f"stage {stage!r} {what} after {spent}{again}{its_log}", file=sys.stderr)
            raise
        except Exception as error:
            from espnet3.utils.error_report import color_report, keep_report, report_on

            report = report_on(error, _configs_of(system), _STARTED_IN)
            if report is not None:
                keep_report(error, report)
            log.exception("stage %s failed", stage)
            color_report(error, sys.stderr)
            error.add_note(f"stage {stage!r} failed after {duration(time.monotonic() - start)}{its_log}")
            raise
    console_line(f"{stage}: done in {duration(time.monotonic() - start)}")


def _part_of(run: LedRun | None, stage: str, setting: Any) -> AbstractContextManager[None]:
    if run is None:
        return nullcontext()
    return run.stage_of(stage, "slurm" if on_cluster(setting) else "this machine")


def _told_as_stage_error(run: LedRun | None) -> AbstractContextManager[None]:
    return nullcontext() if run is None else cluster_errors()


def _how_to_go_on(run: LedRun | None) -> str:
    if run is None or not any(not work.over for each in run.run.stages.values() for work in each.works):
        return "run it again to go on"
    return "its jobs run on: `esp3c status` shows them, `esp3c resume` waits for them, `esp3c cancel` ends them"


def _checked(system: Any, stage: str) -> list[str]:
    """What the user should know before `stage` runs."""
    method = getattr(system, stage, None)
    if not callable(method):
        near = did_you_mean(stage, [name for name in dir(system) if not name.startswith("_")])
        raise StageError(f"{type(system).__qualname__} has no method {stage}(), so there is no such stage{near}")
    _refuse_parameters(method, f"{type(system).__qualname__}.{stage}()", stage)
    remarks = []
    for name, config in _configs_of(system).items():
        if config is None or not hasattr(config, "get"):
            continue
        if name in STAGE_CONFIGS.get(stage, ()) and stage not in _BEFORE_MODELS:
            check_espnet(config)
        by_stage = config.get("stage_parallel")
        named = by_stage is not None and by_stage.get(stage) is not None
        if named or name in STAGE_CONFIGS.get(stage, ()):
            remark = check_parallel(stage, parallel_for_stage(config, stage))
            if remark is not None and remark not in remarks:
                remarks.append(remark)
    return remarks


def _refuse_parameters(method: Any, label: str, stage: str) -> None:
    import inspect

    try:
        parameters = inspect.signature(method).parameters.values()
    except ValueError:
        # What is written in C may have no signature to read.
        return
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if needed:
        raise StageError(
            f"stage {stage!r} is called without arguments, but {label} needs {listed(needed)}: "
            "let it read its settings from one of the system's configs"
        )


def setting_for(system: Any, stage: str) -> Any:
    """The machine setting that a stage runs with, whoever puts it in force; or None."""
    found = _setting_of(system, stage)
    if found is not None:
        return found
    for name in STAGE_CONFIGS.get(stage, ()):
        setting = parallel_for_stage(getattr(system, name, None), stage)
        if setting is not None:
            return setting
    return None


def _setting_of(system: Any, stage: str) -> Any:
    """The machine setting that the configs have for `stage`: by its name, else for all that a config is for; or None.

    A stage of the recipe's own may read any config; that of the training comes first.
    """
    configs = [config for config in _configs_of(system).values() if config is not None and hasattr(config, "get")]
    for config in configs:
        by_stage = config.get("stage_parallel")
        if by_stage is not None and by_stage.get(stage) is not None:
            return by_stage.get(stage)
    if stage in STAGE_CONFIGS:
        # It asks its own configs.
        return None
    return next((setting for config in configs if (setting := config.get("parallel")) is not None), None)


def _configs_of(system: Any) -> dict[str, Any]:
    return {name: value for name, value in getattr(system, "__dict__", {}).items() if name.endswith("_config")}


def _stdout_is_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    import select

    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _print_plan(system: Any, stages: Sequence[str], remarks: Mapping[str, Sequence[str]]) -> None:
    width = max(map(len, stages), default=0)
    name = type(system).__qualname__
    for number, stage in enumerate(stages, 1):
        path = _log_path(system, stage)
        parts = [f"{number}. {stage.ljust(width)}  {name}.{stage}()"]
        if path is not None:
            parts.append(f"log: {path}")
        parts.extend(remark.partition(": ")[2] for remark in remarks[stage])
        console_line("  ".join(parts))


def _log_path(system: Any, stage: str) -> Path | None:
    find = getattr(system, "stage_log_dir", None)
    folder = find(stage) if callable(find) else getattr(system, "stage_log_dirs", {}).get(stage)
    return None if folder is None else Path(folder) / f"{stage}.log"


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _example(flag: str) -> str:
    return f"conf/{flag.lstrip('-').removesuffix('_config')}.yaml"


def _quit(message: str, status: int) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(status)
