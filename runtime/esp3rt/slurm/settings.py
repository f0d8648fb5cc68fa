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
| `job_script_prologue` | `setup` |
| `job_extra_directives` | the option of that name, or `additional_parameters` |
| `processes` | tasks of one array job; more workers |

Values reach the job script as they are, so none may hold anything that a shell or sbatch would take for more than a value.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
_LISTS = ("setup", "teardown", "srun_args")
_SHELL = ("setup", "teardown")
# What a value of an option may be made of. `#SBATCH` lines are no shell, but end where a line ends; srun's arguments are
# quoted. So this is about what is certainly no value.
_PLAIN = re.compile(r"[\w.,:=+@%/\[\]()&|*~^!<>{} -]*")
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
# Names that nodes, partitions, accounts have; what is handed over as one word.
_WORD = re.compile(r"[\w.,:=+@%/\[\]()&|*~^!<>{}-]*")
_MAY_HAVE_BLANKS = ("comment",)
_DASK = {"queue": "partition", "project": "account", "cores": "cpus_per_task", "memory": "mem", "walltime": "time"}
# Of dask_jobqueue, and without a meaning where no Dask cluster is started.
_DASK_ONLY = (
    "death_timeout", "interface", "job_cpu", "job_directives_skip", "job_mem", "local_directory", "log_directory", "nanny",
    "protocol", "scheduler_options", "shared_temp_directory", "shebang", "worker_command", "worker_extra_args",
    "job_script_epilogue", "config_name", "security", "name", "host", "asynchronous", "loop", "silence_logs",
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
    def signal_delay(self) -> float:
        """How many seconds before its end a job is told of it."""
        return float(self.options.get("signal_delay_s", 90))


def read_settings(setting: Mapping[str, Any]) -> Settings:
    """Read the machine setting `{env, n_workers, options}`, as plain values.

    Raises:
        SettingError: An option does not exist, or its value is none.
    """
    given = dict(setting.get("options") or {})
    remarks = [f"{name} has no meaning for jobs that are no Dask workers" for name in sorted(given.keys() & {*_DASK_ONLY})]
    options = _in_submitits_words({name: value for name, value in given.items() if name not in _DASK_ONLY})
    workers = int(setting.get("n_workers") or 1) * options.pop("processes", 1)
    for name in options:
        if name not in (*SUBMITIT, *_OWN):
            raise SettingError(f"parallel.options.{name}: there is no such option; there are {', '.join((*SUBMITIT, *_OWN))}")
    options = {name: _checked(name, value) for name, value in options.items() if value is not None}
    own = {name: options.pop(name) for name in _OWN if name in options}
    if not isinstance(own.get("max_bad_items", 0), int) or own.get("max_bad_items", 0) < 0:
        raise SettingError(f"parallel.options.max_bad_items must be 0 or more, not {own['max_bad_items']!r}")
    return Settings(workers=workers, options=options, remarks=tuple(remarks), **own)


def _in_submitits_words(given: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in _DASK:
            if _DASK[name] in given:
                raise SettingError(f"parallel.options.{name} and .{_DASK[name]} say the same; leave one out")
            options[_DASK[name]] = _dask_value(name, value)
        elif name == "job_script_prologue":
            options["setup"] = [*given.get("setup", ()), *value]
        elif name not in ("job_extra_directives", "setup"):
            options[name] = value
    if "setup" in given and "setup" not in options:
        options["setup"] = given["setup"]
    for line in given.get("job_extra_directives") or ():
        option, value = _directive(line)
        if option.replace("-", "_") in SUBMITIT:
            options.setdefault(option.replace("-", "_"), value)
        else:
            options["additional_parameters"] = {**options.get("additional_parameters", {}), option: value}
    processes = options.get("processes", 1)
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise SettingError(f"parallel.options.processes must be a positive whole number, not {processes!r}")
    if processes > 1:
        # dask_jobqueue shares the cores and the memory of a job among its processes; here each worker has a job.
        if isinstance(options.get("cpus_per_task"), int):
            options["cpus_per_task"] = max(1, options["cpus_per_task"] // processes)
        if isinstance(options.get("mem"), str):
            options["mem"] = f"{max(1, math.ceil(_mebibytes(options['mem']) / processes))}M"
    return options


def _dask_value(name: str, value: Any) -> Any:
    if name == "walltime":
        return _minutes(value)
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


def _minutes(value: Any) -> int:
    """A time limit as SLURM writes it: minutes, `min:s`, `h:min:s`, `days-h[:min[:s]]`."""
    text = str(value).strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    days, dash, rest = text.rpartition("-")
    try:
        parts = [int(part) for part in rest.split(":")]
        if dash:
            hours, minutes, seconds = (*parts, 0, 0)[:3]
            total = int(days) * 86400 + hours * 3600 + minutes * 60 + seconds
        elif len(parts) == 3:
            total = parts[0] * 3600 + parts[1] * 60 + parts[2]
        else:
            total = parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)
    except ValueError as error:
        raise SettingError(f"parallel.options.walltime: {text!r} is no time; write 04:00:00") from error
    return max(1, math.ceil(total / 60))



def _mebibytes(text: str) -> float:
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?)(i?b)?\s*", text.lower())
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
    if name in _COUNTS:
        if name == "time" and isinstance(value, str):
            return _minutes(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SettingError(f"{where} must be a positive whole number, not {value!r}")
    elif name in _LISTS:
        if isinstance(value, str) or not all(isinstance(line, str) for line in value):
            raise SettingError(f"{where} must be a list of texts, not {value!r}")
        for line in value:
            _refuse_controls(where, line)
            if name not in _SHELL:
                _refuse_more(where, line, blanks=True)
        return list(value)
    elif name == "additional_parameters":
        if not isinstance(value, Mapping):
            raise SettingError(f"{where} must be names with values, not {value!r}")
        for option, each in value.items():
            if not _OPTION.fullmatch(str(option).replace("_", "-")):
                raise SettingError(f"{where}: {option!r} is no option of sbatch")
            _refuse_more(f"{where}.{option}", str(each), blanks=True)
        return {str(option): each for option, each in value.items()}
    elif isinstance(value, str):
        _refuse_more(where, value, blanks=name in _MAY_HAVE_BLANKS)
    elif not isinstance(value, bool | int | float):
        raise SettingError(f"{where} cannot be {value!r}")
    return value


def _refuse_controls(where: str, text: str) -> None:
    if any(ord(character) < 32 or character == "\x7f" for character in text):
        raise SettingError(f"{where} holds a line break or another control character: {text!r}")


def _refuse_more(where: str, text: str, blanks: bool) -> None:
    _refuse_controls(where, text)
    if not (_PLAIN if blanks else _WORD).fullmatch(text):
        raise SettingError(f"{where} holds what is no part of a value there: {text!r}")
