"""On which machine a stage runs, and what it asks SLURM for, as far as the recipe says."""

from __future__ import annotations

import re

from esp3c.graph.flow import built_in
from esp3c.ir import MapNode, Node, ParallelNode, PythonNode, Recipe, Scalar, Stage, strip
from esp3c.record import record
from esp3c.schema.stages import KNOWN_STAGES

LOCAL = "local"
_LONGEST_VALUE = 60


@record
class Machine:
    """A machine setting. `name` is empty for one that was not declared, `config` for one that the stage line names."""

    name: str
    backend: str
    settings: MapNode
    config: str = ""

    @property
    def text(self) -> str:
        """`slurm(partition = "gpu", time = 4h)`, as it stands in the recipe."""
        return machine_text(self.backend, self.settings)


@record
class Request:
    """What one stage asks SLURM for. Numbers that the recipe does not say are None; `jobs` run side by side as an array."""

    jobs: int | None
    nodes: int | None
    gpus_per_node: int | None
    seconds: float | None

    @property
    def gpu_hours(self) -> float | None:
        """The GPU-hours that all jobs can use up before their time limit."""
        if self.jobs is None or self.nodes is None or self.gpus_per_node is None or self.seconds is None:
            return None
        return self.jobs * self.nodes * self.gpus_per_node * self.seconds / 3600


def machine_of(recipe: Recipe, stage: Stage) -> Machine | None:
    """The machine setting that a run looks at for a stage: that of its line, or else `parallel` of the system's config."""
    if stage.on is not None and stage.needs:
        declared = recipe.parallels.get(stage.on.name)
        value = declared.value if declared is not None else None
        if isinstance(value, ParallelNode):
            return Machine(stage.on.name, value.backend, value.settings)
        return None
    known = KNOWN_STAGES.get(stage.name)
    for name in known.requires if known is not None else ():
        config = recipe.configs.get(name)
        node = strip(config.root.get("parallel") or config.root) if config is not None else None
        if isinstance(node, ParallelNode):
            return Machine(node.name, node.backend, node.settings, name)
        if isinstance(node, MapNode) and config is not None and node is not config.root:
            env = node.get("env")
            value = strip(env) if env is not None else None
            backend = value.value if isinstance(value, Scalar) and isinstance(value.value, str) else LOCAL
            return Machine("", backend, _without_env(node), name)
    return None


def _without_env(node: MapNode) -> MapNode:
    options = node.get("options")
    inner = strip(options) if options is not None else None
    kept = tuple(entry for entry in node.entries if entry.name not in {"env", "options"})
    return MapNode((*kept, *(inner.entries if isinstance(inner, MapNode) else ())), node.span)


def machine_text(backend: str, settings: MapNode) -> str:
    """A machine setting on one line."""
    return f"{backend}({', '.join(f'{entry.name} = {value_text(entry.value)}' for entry in settings.entries)})"


def value_text(node: Node) -> str:
    """A value as it stands in the recipe, on one line and not too long."""
    value = strip(node)
    if isinstance(value, PythonNode):
        return value.target.path
    text = " ".join(value.span.text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def workers(machine: Machine) -> int | None:
    """How many workers share the items; None where the recipe leaves it to a run."""
    return _whole(machine.settings, "n_workers", 1)


def request(stage: Stage, machine: Machine) -> Request:
    """What a stage asks SLURM for."""
    settings = machine.settings
    known = built_in(stage)
    # A training or a scoring is one job however many workers the setting has.
    alone = known is not None and not known.shares_items and not known.makes_data
    time = settings.get("time")
    seconds = strip(time) if time is not None else None
    limit = seconds.value if isinstance(seconds, Scalar) else None
    return Request(
        jobs=1 if alone else workers(machine),
        nodes=_whole(settings, "nodes", 1),
        gpus_per_node=_gpus(settings),
        seconds=float(limit) if isinstance(limit, int | float) and not isinstance(limit, bool) else None,
    )


def _gpus(settings: MapNode) -> int | None:
    if settings.get("gpus_per_node") is not None:
        return _count(settings.get("gpus_per_node"))
    if settings.get("gpus_per_task") is not None:
        each, tasks = _count(settings.get("gpus_per_task")), _whole(settings, "ntasks_per_node", 1)
        return None if each is None or tasks is None else each * tasks
    # `gres` may ask for GPUs in words of the site's own.
    return None if any(settings.get(key) is not None for key in ("gres", "extra", "srun_args")) else 0


def _count(node: Node | None) -> int | None:
    """`2`, `"2"` or `"a100:2"`."""
    value = strip(node) if node is not None else None
    if not isinstance(value, Scalar) or isinstance(value.value, bool):
        return None
    if isinstance(value.value, int):
        return value.value
    match = re.fullmatch(r"(?:[^:]+:)?(\d{1,9})", value.value) if isinstance(value.value, str) else None
    return int(match.group(1)) if match else None


def _whole(settings: MapNode, key: str, default: int) -> int | None:
    node = settings.get(key)
    if node is None:
        return default
    value = strip(node)
    if isinstance(value, Scalar) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return value.value
    return None
