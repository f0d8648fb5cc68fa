"""Where the stages of a recipe run, what they ask SLURM for, and what this version does not do of it."""

from __future__ import annotations

from esp3c.check.machines import Machine, gpus_a_node, machine_of
from esp3c.graph.flow import built_in
from esp3c.graph.machines import machine_text
from esp3c.ir import Recipe, Scalar, Stage, strip
from esp3c.record import record
from esp3c.schema.backends import ON_THIS_MACHINE, OVER_DASK
from esp3c.schema.stages import KNOWN_STAGES

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
        time = "no time limit of its own" if self.seconds is None else f"at most {hours(self.seconds)}"
        return f"{jobs} {_counted(self.nodes, 'machine', 'machines')} and {gpus}{each}, {time}"


@record
class Where:
    """Where a stage runs: `short` in a word or two, `text` with all settings (empty for this machine without any).

    `elsewhere`: on a machine to which this version cannot send a stage. `remark`: what a run does not do of the setting.
    """

    machine: str
    backend: str
    short: str
    text: str = ""
    request: Request | None = None
    elsewhere: bool = False
    remark: str = ""


THIS_MACHINE = Where("", LOCAL, "this machine")


def where(recipe: Recipe, stage: Stage) -> Where:
    """Where a stage runs by its line, or by the `parallel` of its config if it is a stage of the system."""
    if stage.on is None and stage.name not in KNOWN_STAGES:
        # A run looks at `parallel` for the stages that it knows.
        return THIS_MACHINE
    machine = machine_of(recipe, stage)
    if machine is None:
        return THIS_MACHINE
    name = stage.on.name if stage.on is not None else ""
    if name and not stage.needs:
        remark = f"`on {name}` has no effect: the stage has no config in which it could be written"
        return Where("", LOCAL, THIS_MACHINE.short, remark=remark)
    settings = machine_text(machine.backend, machine.settings) if machine.settings is not None else machine.backend
    text = f"{name}: {settings}" if name else f"parallel of {stage.needs[0]}: {settings}"
    short = f"{name} ({machine.backend})" if name else machine.backend
    if machine.backend in OVER_DASK:
        if _alone(stage):
            remark = f"`{machine.backend}` has no effect: it does not go through items that workers could share"
            return Where("", LOCAL, THIS_MACHINE.short, remark=remark)
        return Where(name, machine.backend, short, text)
    if machine.backend not in ON_THIS_MACHINE:
        request = _request(stage, machine) if machine.backend == "slurm" else None
        return Where(name, machine.backend, short, text, request, elsewhere=True)
    return Where(name, machine.backend, short, text)


def _alone(stage: Stage) -> bool:
    """Whether the items of a stage are not shared out, however many workers its setting has."""
    known = built_in(stage)
    return known is not None and not known.shares_items and not known.makes_data


def _request(stage: Stage, machine: Machine) -> Request | None:
    if machine.settings is None:
        return None
    gpus = gpus_a_node(machine)
    time = machine.settings.get("time")
    limit = strip(time) if time is not None else None
    seconds = limit.value if isinstance(limit, Scalar) else None
    return Request(
        jobs=1 if _alone(stage) else _amount(machine, "n_workers", 1),
        nodes=_amount(machine, "nodes", 1),
        gpus_per_node=gpus.value if gpus is not None else None,
        seconds=float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None,
        at_once=_amount(machine, "array_parallelism", None),
    )


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
