"""A machine setting for SLURM, read and looked over.

The options have the names that submitit's SLURM executor has. Two are this package's own: `attempts` and `max_bad_items`.
The words of dask_jobqueue, in which many configs of ESPnet3 are written, are understood as well:

| dask_jobqueue | here |
|---|---|
| `queue` | `partition` |
| `project` | `account` |
| `cores` | `cpus_per_task` |
| `memory` | `mem` |
| `walltime` | `time` |
| `job_script_prologue`, `job_script_epilogue` | `setup`, `teardown` |
| `job_extra_directives` | the option of that name, or `additional_parameters` |
| `processes` | tasks of one array job; more workers |

In `additional_parameters` stand options of sbatch that have no name here; one that has is taken for it. What values may be
made of says `esp3rt.slurm.values`.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esp3rt.slurm.values import CHARACTERS, EXTRA_NAME, RESERVED, why_no_argument, why_no_line, why_no_value

ATTEMPTS = 3
_OWN = ("attempts", "max_bad_items", "python")
# What submitit's `_make_sbatch_string` takes; a test holds the two against each other.
SUBMITIT = (
    "account", "additional_parameters", "array_parallelism", "comment", "constraint", "cpus_per_gpu", "cpus_per_task",
    "dependency", "exclude", "exclusive", "gpus_per_node", "gpus_per_task", "gres", "job_name", "mail_type", "mail_user",
    "mem", "mem_per_cpu", "mem_per_gpu", "nodelist", "nodes", "ntasks_per_node", "num_gpus", "partition", "qos", "setup",
    "signal_delay_s", "srun_args", "stderr_to_stdout", "teardown", "time", "use_srun", "wckey",
)  # fmt: skip
_COUNTS = ("cpus_per_gpu", "cpus_per_task", "nodes", "ntasks_per_node", "array_parallelism", "attempts", "time")
_FROM_ZERO = ("max_bad_items", "signal_delay_s", "gpus_per_node", "gpus_per_task", "num_gpus")
_FLAGS = ("use_srun", "stderr_to_stdout", "exclusive")
_NUMBERS_TOO = ("mem", "mem_per_cpu", "mem_per_gpu")
# Of `SUBMITIT`, what is no option of sbatch.
_NOT_SBATCHS = (
    "additional_parameters", "array_parallelism", "num_gpus", "setup", "signal_delay_s", "srun_args", "stderr_to_stdout",
    "teardown", "use_srun",
)  # fmt: skip
_LATEST_WARNING = 65_535
_SHARED_WITH = ("user", "mcs", "topo")
_DASK_LINES = {"job_script_prologue": "setup", "job_script_epilogue": "teardown"}
_DASK = {"queue": "partition", "project": "account", "cores": "cpus_per_task", "memory": "mem", "walltime": "time"}
# Of dask_jobqueue, and without a meaning where no Dask cluster is started.
_DASK_ONLY = (
    "death_timeout", "interface", "job_cpu", "job_directives_skip", "job_mem", "local_directory", "log_directory", "nanny",
    "protocol", "scheduler_options", "shared_temp_directory", "shebang", "worker_command", "worker_extra_args",
    "config_name", "security", "name", "host", "asynchronous", "loop", "silence_logs",
)  # fmt: skip


class SettingError(ValueError):
    """A machine setting does not fit; the message names the option."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """A machine setting for SLURM.

    Attributes:
        workers: How many jobs share the items of a stage.
        options: What submitit is given, by its names.
        python: The Python of the jobs; None is that of this process.
        attempts: How often a shard, or a job that is lost, is tried.
        max_bad_items: How many items may be left out because they fail, or kill their process.
        remarks: What was read but has no meaning here.
    """

    workers: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None
    attempts: int = ATTEMPTS
    max_bad_items: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def minutes(self) -> int:
        """The time limit of a job; without one, submitit asks for this."""
        return int(self.options.get("time", 5))

    @property
    def signal_delay(self) -> float:
        """How many seconds before its end a job is told of it."""
        return float(self.options.get("signal_delay_s", 90))


def read_settings(setting: Mapping[str, Any]) -> Settings:
    """Read the machine setting `{env, n_workers, options}`, as plain values.

    Raises:
        SettingError: An option does not exist, or its value is none.
    """
    workers = setting.get("n_workers")
    if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
        raise SettingError(f"parallel.n_workers must be a positive whole number, not {workers!r}")
    given = dict(setting.get("options") or {})
    remarks = [
        f"{name} has no meaning for jobs that are no Dask workers" for name in sorted(given.keys() & {*_DASK_ONLY})
    ]
    options = _in_submitits_words({name: value for name, value in given.items() if name not in _DASK_ONLY})
    processes = options.pop("processes", 1)
    for name in options:
        if name not in (*SUBMITIT, *_OWN):
            raise SettingError(
                f"parallel.options.{name}: there is no such option; there are {', '.join((*SUBMITIT, *_OWN))}"
            )
    options = {name: _checked(name, value) for name, value in options.items() if value is not None}
    if options.get("exclusive") is False:
        del options["exclusive"]
    if options.get("use_srun") is False and options.get("teardown"):
        raise SettingError(
            "parallel.options.teardown: without srun (use_srun: false) the job's process takes the place of its shell, so that "
            "SLURM's signals reach it, and no line after it is run; leave one of the two out"
        )
    own = {name: options.pop(name) for name in _OWN if name in options}
    return Settings(workers=(workers or 1) * processes, options=options, remarks=tuple(remarks), **own)


def _in_submitits_words(given: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in _DASK:
            if _DASK[name] in given:
                raise SettingError(f"parallel.options.{name} and .{_DASK[name]} say the same; leave one out")
            options[_DASK[name]] = _dask_value(name, value)
        elif name in _DASK_LINES:
            options[_DASK_LINES[name]] = [*(given.get(_DASK_LINES[name]) or ()), *_lines(name, value)]
        elif name not in ("job_extra_directives", "additional_parameters", *_DASK_LINES.values()):
            options[name] = value
    for name in _DASK_LINES.values():
        if name in given:
            options.setdefault(name, given[name])
    extra = _extra(given.get("additional_parameters"))
    for line in _lines("job_extra_directives", given.get("job_extra_directives")):
        option, value = _directive(line)
        extra.setdefault(option, value)
    for option, value in extra.items():
        name = option.replace("-", "_")
        if name in SUBMITIT and name not in _NOT_SBATCHS:
            # They go first, as they do for submitit.
            options[name] = value
        else:
            options.setdefault("additional_parameters", {})[option] = value
    return _shared_out(options)


def _shared_out(options: dict[str, Any]) -> dict[str, Any]:
    """dask_jobqueue shares the cores and the memory of a job among its processes; here each worker has a job."""
    processes = options.get("processes", 1)
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise SettingError(f"parallel.options.processes must be a positive whole number, not {processes!r}")
    if processes > 1:
        if isinstance(options.get("cpus_per_task"), int):
            options["cpus_per_task"] = max(1, options["cpus_per_task"] // processes)
        if isinstance(options.get("mem"), str):
            options["mem"] = f"{max(1, math.ceil(_mebibytes(options['mem']) / processes))}M"
    return options


def _lines(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise SettingError(f"parallel.options.{name} must be a list of texts, not {value!r}")
    return list(value)


def _extra(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise SettingError(f"parallel.options.additional_parameters must be names with values, not {value!r}")
    return {str(option).replace("_", "-"): each for option, each in (value or {}).items() if each is not None}


def _dask_value(name: str, value: Any) -> Any:
    if name == "walltime":
        return _minutes(name, value)
    if name == "memory" and isinstance(value, str):
        return f"{math.ceil(_mebibytes(value))}M"
    return value


def _directive(line: Any) -> tuple[str, Any]:
    """`--gres=gpu:1`, `--gres gpu:1`, `--exclusive`, also with `#SBATCH` before it."""
    text = str(line).strip().removeprefix("#SBATCH").strip()
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingError(f"parallel.options.job_extra_directives: {text!r} cannot be read ({error})") from error
    if not words or not words[0].startswith("--") or len(words) > 2:
        raise SettingError(
            f"parallel.options.job_extra_directives: {text!r} is no option of sbatch; write it as --name=value"
        )
    option, equals, value = words[0].removeprefix("--").partition("=")
    if equals:
        return option, _number(value)
    return option, _number(words[1]) if len(words) == 2 else True


def _number(text: str) -> Any:
    return int(text) if text.isdecimal() else text


def _minutes(name: str, value: Any) -> int:
    """A time limit as SLURM writes it: minutes, `min:s`, `h:min:s`, `days-h[:min[:s]]`."""
    text = str(value).strip()
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        raise SettingError(f"parallel.options.{name}: {text!r} is no time; write 04:00:00")
    days, *parts = (int(part) if part is not None else None for part in found.groups())
    numbers = [part for part in parts if part is not None]
    if days is None and len(numbers) < 3:
        numbers = [0, *numbers]
    hours, minutes, seconds = (*numbers, 0, 0)[:3]
    return max(1, math.ceil(((days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds) / 60))


def _mebibytes(text: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?b)?\s*", text.lower())
    if found is None:
        raise SettingError(f"parallel.options.memory: {text!r} is no size; write 16GB")
    factor = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
    binary = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
    unit = found[2]
    # Dask counts GB in powers of ten, and GiB, or G alone, as SLURM does.
    size = float(found[1]) * (factor[unit] if found[3] == "b" else binary[unit])
    return size / 2**20


def _checked(name: str, value: Any) -> Any:
    where = f"parallel.options.{name}"
    if name == "time" and isinstance(value, str):
        return _minutes(name, value)
    if name in ("setup", "teardown", "srun_args"):
        lines = _lines(name, value)
        for line in lines:
            if not isinstance(line, str):
                raise SettingError(f"{where} must be a list of texts, not {value!r}")
            _refuse(where, why_no_argument(line) if name == "srun_args" else why_no_line(line))
        return lines
    if name == "additional_parameters":
        for option, each in value.items():
            _check_extra(where, option, each)
        return value
    if isinstance(value, str) and name in CHARACTERS:
        _refuse(where, why_no_value(name, value))
        if name == "exclusive" and value not in _SHARED_WITH:
            raise SettingError(f"{where} must be true, false or one of {', '.join(_SHARED_WITH)}, not {value!r}")
        return value
    if name in _FLAGS and isinstance(value, bool):
        return value
    number = isinstance(value, int) and not isinstance(value, bool)
    if name in _COUNTS and not (number and value >= 1):
        raise SettingError(f"{where} must be a positive whole number, not {value!r}")
    if name in _FROM_ZERO and not (number and 0 <= value <= _LATEST_WARNING):
        raise SettingError(f"{where} must be a whole number from 0, not {value!r}")
    if name in (*_COUNTS, *_FROM_ZERO) or (name in _NUMBERS_TOO and number and value >= 0):
        return value
    raise SettingError(f"{where} cannot be {value!r}")


def _check_extra(where: str, option: str, value: Any) -> None:
    if not re.fullmatch(EXTRA_NAME, option):
        raise SettingError(f"{where}: {option!r} is no option of sbatch; write it without its dashes")
    if option in RESERVED:
        raise SettingError(f"{where}: {option} cannot be set there: {RESERVED[option]}")
    if value is True:
        return
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingError(f"{where}.{option} cannot be {value!r}; leave it out where it is not to be set")
    _refuse(f"{where}.{option}", why_no_value("extra", str(value)))


def _refuse(where: str, why: str) -> None:
    if why:
        raise SettingError(f"{where} {why}")
