"""Where the stages of a recipe run, and what they ask SLURM for."""

from __future__ import annotations

from esp3c.check.machines import Amount, Machine, gpus, gpus_listed, job_shape, machine_in_force, may_have_others
from esp3c.cli.places import DEBUG, HERE
from esp3c.graph.flow import built_in
from esp3c.graph.machines import machine_text
from esp3c.ir import Recipe, Scalar, Stage, strip
from esp3c.record import changed, record
from esp3c.schema.backends import ON_THIS_MACHINE, OVER_DASK, TIME

LOCAL = "local"


@record
class Request:
    """What one stage asks SLURM for: `jobs` side by side, each with `nodes` machines. None: not known from the recipe."""

    jobs: int | None
    nodes: int | None
    gpus_per_node: int | None
    seconds: float | None
    at_once: int | None

    @property
    def gpu_hours(self) -> float | None:
        """The GPU-hours that all jobs can use up before their time limit."""
        if self.gpus_per_node == 0:
            return 0.0
        if self.jobs is None or self.nodes is None or self.gpus_per_node is None or self.seconds is None:
            return None
        return self.jobs * self.nodes * self.gpus_per_node * self.seconds / 3600

    @property
    def text(self) -> str:
        """`an array of 8 jobs, each 1 machine with 1 GPU for at most 4 h`."""
        jobs = _counted(self.jobs, "job", "jobs")
        if self.jobs is not None and self.jobs > 1:
            some = f", {self.at_once} at once" if self.at_once is not None and self.at_once < self.jobs else ""
            jobs = f"an array of {jobs}{some}, each"
        else:
            jobs += " with"
        gpus = "no GPU" if self.gpus_per_node == 0 else _counted(self.gpus_per_node, "GPU", "GPUs")
        each = " each" if self.nodes is not None and self.nodes > 1 else ""
        time = "an unknown time" if self.seconds is None else f"at most {hours(self.seconds)}"
        return f"{jobs} {_counted(self.nodes, 'machine', 'machines')} and {gpus}{each}, {time}"


@record
class Where:
    """Where a stage runs: `short` in a word or two, `text` with all settings (empty for this machine without any).

    `shares`: its items can be shared by workers there. `remark`: what a run does not do of the setting.
    """

    machine: str
    backend: str
    short: str
    text: str = ""
    request: Request | None = None
    shares: bool = False
    remark: str = ""


THIS_MACHINE = Where("", LOCAL, "this machine")
THIS_PROCESS = Where("", LOCAL, "this process")


def where(recipe: Recipe, stage: Stage, place: str | None = None) -> Where:
    """Where a stage runs by its line, or by the `parallel` of its config if it is a stage of the system.

    `place` is what the command line says of it: `here` or `debug`.
    """
    if place == DEBUG:
        return THIS_PROCESS
    machine = machine_in_force(recipe, stage)
    name = stage.on.name if stage.on is not None else ""
    if machine is None:
        unwritten = bool(name) and not stage.needs
        remark = f"`on {name}` has no effect: the stage has no config in which it could be written" if unwritten else ""
        return changed(THIS_MACHINE, remark=remark)
    settings = machine_text(machine.backend, machine.settings) if machine.settings is not None else machine.backend
    text = f"{name}: {settings}" if name else f"parallel of {stage.needs[0]}: {settings}"
    short = f"{name} ({machine.backend})" if name else machine.backend
    if machine.backend in OVER_DASK and _alone(stage):
        remark = f"`{machine.backend}` has no effect: it does not go through items that workers could share"
        return changed(THIS_MACHINE, remark=remark)
    if place == HERE and machine.backend not in ON_THIS_MACHINE:
        remark = "" if _alone(stage) else f"with as many processes as `{name or machine.backend}` has workers"
        return changed(THIS_MACHINE, remark=remark)
    shares = not _alone(stage)
    request = _request(recipe, stage, machine, shares) if machine.backend == "slurm" else None
    return Where(name, machine.backend, short, text, request, shares)


def _alone(stage: Stage) -> bool:
    """Whether the items of a stage are not shared out, however many workers its setting has."""
    known = built_in(stage)
    return known is not None and not known.shares_items and not known.makes_data


def _request(recipe: Recipe, stage: Stage, machine: Machine, shares: bool) -> Request | None:
    if machine.settings is None:
        return None
    nodes, tasks = job_shape(recipe, stage, machine)
    time = machine.settings.get("time")
    limit = strip(time) if time is not None else Scalar(TIME, machine.used)
    seconds = limit.value if isinstance(limit, Scalar) else None
    return Request(
        jobs=_amount(machine, "n_workers", 1) if shares else 1,
        nodes=nodes.value if nodes is not None else None,
        gpus_per_node=_gpus(machine, tasks),
        seconds=float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None,
        at_once=_amount(machine, "array_parallelism", None),
    )


def _gpus(machine: Machine, tasks: Amount | None) -> int | None:
    """The GPUs of a job on each of its machines, in whichever way they are asked for."""
    if may_have_others(machine):
        return None
    found = gpus_listed(machine)
    if not machine.has("gpus_per_task"):
        return found.value if found is not None else None
    if machine.has("gpus_per_node", "gres"):
        return None
    text = machine.text("gpus_per_task")
    a_task = gpus(text[0]) if text is not None else _amount(machine, "gpus_per_task", None)
    return a_task * tasks.value if a_task is not None and tasks is not None else None


def _amount(machine: Machine, name: str, default: int | None) -> int | None:
    if not machine.has(name):
        return default
    found = machine.amount(name)
    return found.value if found is not None else None


def hours(seconds: float) -> str:
    """`4 h`, `1.5 h`, `20 min`."""
    return f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"


def _counted(number: int | None, one: str, many: str) -> str:
    return f"an unknown number of {many}" if number is None else f"{number} {one if number == 1 else many}"
