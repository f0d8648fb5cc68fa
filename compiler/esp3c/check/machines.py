"""What a recipe asks of machines, as far as it is written: where a stage runs, and how many processes train together.

Nothing here guesses. A number that stands in a program, in the environment or behind `"auto"` is not known, and the
rules are silent about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.ir import (
    Config,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    PythonNode,
    Recipe,
    Scalar,
    Stage,
    Use,
    at,
    strip,
)
from esp3c.record import record
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.source import Span

MOST_LINKS = 20
"""Through how many references a value is followed."""


def followed(root: MapNode, node: Node | None) -> Node | None:
    """The value behind names and references inside one config; a reference that leads elsewhere stays one."""
    for _ in range(MOST_LINKS):
        node = strip(node) if node is not None else None
        if not isinstance(node, LinkNode) or node.scaffold:
            break
        node = at(root, node.place)
    return node


@record
class Amount:
    """A whole number, and where it stands: nowhere, if it is a default."""

    value: int
    span: Span | None = None


def amount(root: MapNode, node: Node | None) -> Amount | None:
    """The whole number that a value is, at the place where it is used; None where that is not known."""
    value = followed(root, node)
    if node is None or not isinstance(value, Scalar) or type(value.value) is not int or value.dimension is not None:
        return None
    return Amount(value.value, node.span)


def built_in(stage: Stage) -> str | None:
    """The stage of the system that a line runs, under its own name or through `runs`."""
    if isinstance(stage.runs, Use):
        return stage.runs.name
    return None if isinstance(stage.runs, PythonNode) or stage.workload is not None else stage.name


# -- where a stage runs -----------------------------------------------------------------------------------------------


@record
class Machine:
    """Where a stage runs: the backend, its settings (None: in a form that is not known), and where the stage says so."""

    backend: str
    settings: MapNode | None
    used: Span
    declared: Span

    def amount(self, name: str) -> Amount | None:
        return amount(self.settings, self.settings.get(name)) if self.settings is not None else None

    def text(self, name: str) -> tuple[str, Span] | None:
        node = self.settings.get(name) if self.settings is not None else None
        value = strip(node) if node is not None else None
        if node is not None and isinstance(value, Scalar) and isinstance(value.value, str):
            return value.value, node.span
        return None

    def has(self, *names: str) -> bool:
        return self.settings is not None and any(self.settings.get(name) is not None for name in names)


def machine_of(recipe: Recipe, stage: Stage) -> Machine | None:
    """Where a stage runs by its own line, or by the `parallel` of its config; None where neither says anything."""
    where = stage.on.name if stage.on is not None else ""
    return recipe.once(("machine", stage.span.start, where, stage.needs[:1]), lambda: _machine_of(recipe, stage))


def _machine_of(recipe: Recipe, stage: Stage) -> Machine | None:
    if stage.on is not None:
        declared = recipe.parallels.get(stage.on.name)
        if declared is None or not isinstance(declared.value, ParallelNode):
            return None
        value = declared.value
        return Machine(value.backend, value.settings, stage.on.span, declared.name_span)
    config = recipe.configs.get(stage.needs[0]) if stage.needs else None
    node = config.root.get("parallel") if config is not None else None
    setting = strip(node) if node is not None else None
    if isinstance(setting, ParallelNode) and node is not None:
        declared = recipe.parallels.get(setting.name)
        return Machine(
            setting.backend, setting.settings, node.span, declared.name_span if declared is not None else node.span
        )
    if isinstance(setting, MapNode):
        env = strip(setting.get("env") or setting)
        if isinstance(env, Scalar) and isinstance(env.value, str):
            return Machine(env.value, None, setting.span, setting.span)
    return None


def machine_in_force(recipe: Recipe, stage: Stage) -> Machine | None:
    """Where a run takes a stage; None where it stays in the process of the run, whatever is written.

    A setting has to stand in a config of the stage, and a run looks at `parallel` for the stages of ESPnet3 alone.
    """
    if not stage.needs or (stage.on is None and stage.name not in KNOWN_STAGES):
        return None
    return machine_of(recipe, stage)


_GPUS = re.compile(r"(?:gpu:)?(?:[A-Za-z][\w.\-]*:)?(\d+)|(?:gpu:)?[A-Za-z][\w.\-]*")


def gpus(text: str) -> int | None:
    """How many GPUs SLURM reads from `2`, `a100:2`, `gpu:a100:2` or a list of these; None where it is no such text."""
    total = 0
    for part in text.split(","):
        match = _GPUS.fullmatch(part.strip())
        if match is None:
            return None
        total += int(match.group(1) or 1)
    return total


def gpus_a_node(machine: Machine) -> Amount | None:
    """How many GPUs a machine of a SLURM job has; None where that is not known, 0 where none were asked for."""
    if machine.backend != "slurm" or machine.settings is None:
        return None
    written = machine.settings.get("gpus_per_node")
    if written is not None:
        text = machine.text("gpus_per_node")
        counted = gpus(text[0]) if text is not None else None
        return Amount(counted, written.span) if counted is not None else machine.amount("gpus_per_node")
    # GPUs can be asked for in other ways.
    if may_have_others(machine) or machine.has(
        "gpus_per_task", "gres", "constraint", "srun_args", "cpus_per_gpu", "mem_per_gpu"
    ):
        return None
    return Amount(0)


def may_have_others(machine: Machine) -> bool:
    """Whether a job has GPUs that no setting of its own counts: by `extra`, or because the whole machine is its."""
    node = machine.settings.get("extra") if machine.settings is not None else None
    extra = strip(node) if node is not None else None
    if extra is not None and not isinstance(extra, MapNode):
        return True
    names = [each.name for each in extra.entries] if extra is not None else []
    return machine.has("exclusive") or any(each.startswith(("gpu", "tres")) for each in names)


def gpu_count(number: int) -> str:
    return f"{number} GPU" if number == 1 else f"{number} GPUs"


def place_of(of: Amount | None, otherwise: Span) -> Span:
    """Where an amount stands, or another place for a default."""
    return of.span if of is not None and of.span is not None else otherwise


# -- how many processes train together --------------------------------------------------------------------------------


@record
class Training:
    """What a training config says of devices. None: not known. `accelerator` is lower case, `auto` by default.

    `takes_all`: `devices` asks for all that there are.
    """

    config: Config
    devices: Amount | None
    num_nodes: Amount | None
    accelerator: str | None
    accelerator_span: Span | None
    takes_all: bool = False

    @property
    def world_size(self) -> int | None:
        if self.devices is None or self.num_nodes is None:
            return None
        return self.devices.value * self.num_nodes.value

    @property
    def may_use_gpus(self) -> bool:
        return self.accelerator in {"auto", "gpu", "cuda"}

    @property
    def wants_gpus(self) -> bool:
        return self.accelerator in {"gpu", "cuda"}


def training_of(config: Config) -> Training:
    """The devices of a training config, with ESPnet3's defaults: those of `num_device` and `num_nodes`, or 1."""
    root = config.root
    trainer = followed(root, root.get("trainer"))
    known = trainer is None or isinstance(trainer, MapNode)
    section = trainer if isinstance(trainer, MapNode) else MapNode((), config.name_span)
    devices = _count(root, section, "devices", "num_device") if known else None
    num_nodes = _count(root, section, "num_nodes", "num_nodes") if known else None
    accelerator: str | None = "auto" if known else None
    written = section.get("accelerator")
    if written is not None:
        value = followed(root, written)
        accelerator = value.value.lower() if isinstance(value, Scalar) and isinstance(value.value, str) else None
    asked = followed(root, section.get("devices") or root.get("num_device"))
    takes_all = known and isinstance(asked, Scalar) and asked.value in ("auto", -1, "-1")
    where = written.span if written is not None else None
    return Training(config, devices, num_nodes, accelerator, where, takes_all)


def _count(root: MapNode, trainer: MapNode, name: str, common: str) -> Amount | None:
    for node in (trainer.get(name), root.get(common)):
        if node is not None:
            found = amount(root, node) or _listed(root, node)
            return found if found is not None and found.value > 0 else None
    return Amount(1)


def _listed(root: MapNode, node: Node) -> Amount | None:
    """How many devices a list of them has, or a count that is written as text."""
    value = followed(root, node)
    if isinstance(value, ListNode):
        numbers = [amount(root, each) for each in value.items]
        known = {each.value for each in numbers if each is not None}
        return Amount(len(numbers), node.span) if len(known) == len(numbers) else None
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        return None
    parts = [part.strip() for part in value.value.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        return None
    return Amount(len(set(parts)) if "," in value.value else int(parts[0]), node.span)


def trainings(recipe: Recipe) -> Iterator[Training]:
    """Every config of a training."""
    for config in recipe.configs.values():
        if config.kind == "training":
            yield training_of(config)


def training_stages(recipe: Recipe) -> list[tuple[Stage, Training, Machine]]:
    """Every stage line that trains on a machine of which something is written."""
    return recipe.once("training stages", lambda: list(_training_stages(recipe)))


def _training_stages(recipe: Recipe) -> Iterator[tuple[Stage, Training, Machine]]:
    for stage in recipe.stages:
        config = recipe.configs.get(stage.needs[0]) if stage.needs else None
        machine = machine_of(recipe, stage)
        if built_in(stage) == "train" and config is not None and config.kind == "training" and machine is not None:
            yield stage, training_of(config), machine


def job_shape(recipe: Recipe, stage: Stage, machine: Machine) -> tuple[Amount | None, Amount | None]:
    """The machines of a stage's SLURM job, and its processes on each; None where that is not known.

    They are those of the setting, and what it does not say is that of the training. A stage that does not train is one
    process, whatever the setting says for the others.
    """
    config = recipe.configs.get(stage.needs[0]) if stage.needs else None
    if built_in(stage) != "train" or config is None or config.kind != "training":
        return Amount(1), Amount(1)
    training = training_of(config)
    nodes = machine.amount("nodes") if machine.has("nodes") else training.num_nodes
    asked = machine.has("ntasks_per_node")
    return nodes, machine.amount("ntasks_per_node") if asked else _processes(training, machine)


def _processes(training: Training, machine: Machine) -> Amount | None:
    """The processes of a training on each machine of its job, where the job's setting does not say it."""
    if not training.takes_all:
        return training.devices
    if training.accelerator == "cpu":
        return Amount(1)
    gpus = gpus_listed(machine)
    return None if gpus is None or training.accelerator is None else Amount(max(1, gpus.value), gpus.span)


def gpus_listed(machine: Machine) -> Amount | None:
    """The GPUs that a setting names for each machine of a job, by `gpus_per_node` or `gres`; None where it is not known."""
    if machine.has("gpus_per_node"):
        return gpus_a_node(machine)
    if not machine.has("gres"):
        return Amount(0)
    text = machine.text("gres")
    parts = [part.strip() for part in text[0].split(",")] if text is not None else []
    named = ",".join(part for part in parts if part.partition(":")[0] == "gpu")
    if text is None or not named:
        return None if text is None else Amount(0, text[1])
    counted = gpus(named)
    return Amount(counted, text[1]) if counted is not None else None


def device_kinds(recipe: Recipe) -> Iterator[tuple[Stage, Machine, str, Span]]:
    """Stages that say on which kind of device they work: `trainer.accelerator`, and `device` of an inference."""
    for stage, training, machine in training_stages(recipe):
        if training.accelerator is not None and training.accelerator_span is not None:
            yield stage, machine, training.accelerator, training.accelerator_span
    for stage in recipe.stages:
        config = recipe.configs.get(stage.needs[0]) if stage.needs else None
        here = machine_of(recipe, stage)
        written = config.root.get("device") if config is not None and config.kind == "inference" else None
        if config is None or here is None or written is None:
            continue
        value = followed(config.root, written)
        if isinstance(value, Scalar) and isinstance(value.value, str):
            yield stage, here, value.value.lower().partition(":")[0], written.span
