"""What is asked of SLURM: made of a machine setting and of what is to be done, and nothing else.

A request is data. `plan` prints it, tests look at it, it is kept beside the logs, and `submit` sends it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from esp3rt.slurm.settings import SettingError, Settings

SHARDS, COMMANDS = "shards", "commands"
# SLURM's own, where a site does not say anything else; one number in `0-N` must be below it.
MAX_ARRAY_SIZE = 1001
# With it, a job whose first process has failed does not wait for the others until its time is over.
_TOGETHER = "--kill-on-bad-exit=1"
_OF_GPUS = (
    "gpus",
    "gpus-per-socket",
    "gpu-bind",
    "gpu-freq",
    "ntasks-per-gpu",
    "tres-per-task",
    "tres-bind",
    "gres-flags",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call of sbatch.

    Attributes:
        name: The job's name; nobody else's has it.
        jobs: How many jobs; an array where they are more than one, or where `array` says so.
        parameters: What submitit makes the text of, by its names.
        python: The Python of the jobs.
        arguments: What follows `python -m esp3rt.slurm`.
        array: Whether it is an array in any case.
    """

    name: str
    jobs: int
    parameters: Mapping[str, Any]
    python: str
    arguments: tuple[str, ...]
    array: bool = False

    @property
    def is_array(self) -> bool:
        """Whether the jobs are tasks of an array."""
        return self.array or self.jobs > 1

    @property
    def command(self) -> str:
        """What each process of a job runs."""
        # -P: no module of the recipe stands before Python's own while the job begins.
        return shlex.join([self.python, "-u", "-P", "-m", "esp3rt.slurm", *self.arguments])

    def text(self, logs: Path) -> str:
        """The job script.

        Args:
            logs: The folder for what the jobs print.
        """
        from submitit.slurm.slurm import _make_sbatch_string

        given = dict(self.parameters)
        if self.is_array:
            given["map_count"] = self.jobs
        # Without srun nobody hands SLURM's signals on to what the shell runs, so the process takes the shell's place.
        command = self.command if given.get("use_srun", True) else f"exec {self.command}"
        # In the name of a file, `%` stands for what SLURM puts there.
        return _make_sbatch_string(command=command, folder=str(logs).replace("%", "%%"), **given)

    def as_json(self) -> dict[str, Any]:
        """The request as it is kept."""
        return {
            "name": self.name,
            "jobs": self.jobs,
            "array": self.is_array,
            "parameters": dict(self.parameters),
            "command": self.command,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The processes of one job.

    Attributes:
        nodes: Machines.
        tasks: Processes a machine.
    """

    nodes: int = 1
    tasks: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be sent.

    Attributes:
        kind: `SHARDS` or `COMMANDS`.
        name: The job's name, as a person wants to read it in the queue.
        jobs: How many jobs.
        shape: The processes of each.
        folder: The folder of the recipe, where they are to start.
        arguments: What follows `python -m esp3rt.slurm`.
        exclude: Nodes that they shall not run on.
        after: Jobs that must have ended well before.
        gpus: Whether the GPUs of the setting are asked for.
    """

    kind: str
    name: str
    jobs: int
    shape: Shape = field(default_factory=Shape)
    folder: str = ""
    arguments: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    gpus: bool = True


def requests(settings: Settings, wanted: Wanted, largest: int | None = None) -> list[Request]:
    """The calls of sbatch that send what is wanted: one, or as many as the site's limit for arrays makes necessary.

    Args:
        settings: The machine setting.
        wanted: What is to be sent.
        largest: The site's MaxArraySize; SLURM's default where it is not known.

    Raises:
        SettingError: The setting does not fit what is wanted, or SLURM cannot be given the folder's name.
    """
    limit = max(1, (MAX_ARRAY_SIZE if largest is None else largest) - 1) if wanted.jobs > 1 else 1
    sizes = [min(limit, wanted.jobs - start) for start in range(0, wanted.jobs, limit)]
    name = settings.options.get("job_name") or wanted.name
    parallel = settings.options.get("array_parallelism")
    request = Request(
        name=name,
        jobs=sizes[0],
        parameters={**_parameters(settings, wanted), "job_name": name},
        python=settings.python or sys.executable,
        arguments=wanted.arguments,
        # Where one is all that an array could have, the site may take no arrays.
        array=len(sizes) > 1 and limit > 1,
    )
    made = []
    for size in sizes:
        given = dict(request.parameters)
        if parallel is not None and len(sizes) > 1:
            # At most so many at once: shared out, since SLURM counts for each array.
            given["array_parallelism"] = max(1, parallel * size // wanted.jobs)
        elif parallel is None:
            given["array_parallelism"] = size
        made.append(replace(request, jobs=size, parameters=given))
    return made


def _parameters(settings: Settings, wanted: Wanted) -> dict[str, Any]:
    options = dict(settings.options)
    extra = {**options.get("additional_parameters", {})}
    with_srun = options.get("use_srun", True)
    if not with_srun and wanted.shape != Shape():
        raise SettingError(
            f"parallel.options.use_srun: without srun a job has one process, and {wanted.name} needs "
            f"{wanted.shape.nodes * wanted.shape.tasks}; leave use_srun out"
        )
    options["nodes"], options["ntasks_per_node"] = wanted.shape.nodes, wanted.shape.tasks
    if not wanted.gpus:
        _leave_gpus_out(options, extra)
    elif "cpus_per_gpu" in options and "gpus_per_task" not in options and wanted.shape == Shape():
        # sbatch wants GPUs counted for the process, where cores are counted for the GPU.
        options["gpus_per_task"] = options.pop("gpus_per_node", 1)
    if not {"no-requeue", "no_requeue"} & extra.keys():
        extra["requeue"] = True
    # SLURM warns what srun has started; without srun, its batch shell has to be named.
    extra["signal"] = f"{'' if with_srun else 'B:'}USR2@{settings.signal_delay:.0f}"
    if wanted.folder:
        extra.setdefault("chdir", _checked_folder(wanted.folder))
    options["additional_parameters"] = extra
    if wanted.exclude:
        options["exclude"] = ",".join(part for part in (options.get("exclude"), *wanted.exclude) if part)
    if wanted.after:
        before = [f"afterok:{':'.join(wanted.after)}", *([options["dependency"]] if options.get("dependency") else [])]
        options["dependency"] = ",".join(before)
        extra.setdefault("kill-on-invalid-dep", "yes")
    if with_srun and wanted.shape != Shape():
        options["srun_args"] = [*options.get("srun_args", ()), _TOGETHER]
    options.setdefault("stderr_to_stdout", True)
    return options


def _leave_gpus_out(options: dict[str, Any], extra: dict[str, Any]) -> None:
    """A job that only looks after others needs no GPU, and no machine for itself."""
    for name in ("gpus_per_node", "gpus_per_task", "cpus_per_gpu", "mem_per_gpu", "num_gpus", "exclusive"):
        options.pop(name, None)
    for name in _OF_GPUS:
        extra.pop(name, None)
    others = [part for part in str(options.pop("gres", "")).split(",") if part and part.partition(":")[0] != "gpu"]
    if others:
        options["gres"] = ",".join(others)


def _checked_folder(folder: str) -> str:
    """The recipe's folder, which stands in the job script and in the names of logs.

    Raises:
        SettingError: SLURM cannot be given its name.
    """
    if "\\" in folder or not folder.isprintable():
        raise SettingError(
            f"SLURM cannot write logs below a folder whose name holds a backslash or a control character: {folder!r}; move "
            "the recipe to another"
        )
    return folder


def processes(request: Request) -> Sequence[int]:
    """The numbers of the processes of one of its jobs."""
    return range(int(request.parameters["nodes"]) * int(request.parameters["ntasks_per_node"]))
