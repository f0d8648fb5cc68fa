"""A recipe's SLURM jobs against the limits of the site that they are to run on.

The limits are asked where stages are about to run, never by `check`: a recipe is right or wrong without a cluster. So
these are no rules of `RULES`; `over_limits` asks them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeAlias

from esp3c.check.machines import Amount, Machine, gpu_count, gpus_a_node, job_shape, machine_in_force
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import Recipe, Scalar, Stage, strip
from esp3c.record import record
from esp3c.source import Span
from esp3c.suggest import did_you_mean


@record
class Node:
    """A machine of the site: CPU cores, memory in bytes, GPUs."""

    name: str
    cpus: int
    mem: int
    gpus: int


@record
class Partition:
    """A partition. `max_time` is in seconds and `max_mem` in bytes, each a machine; None where there is no limit."""

    name: str
    default: bool
    up: bool
    nodes: tuple[Node, ...]
    max_time: float | None = None
    max_nodes: int | None = None
    max_cpus: int | None = None
    max_mem: int | None = None


@record
class SiteLimits:
    """What a site allows."""

    cluster: str
    partitions: tuple[Partition, ...]

    def partition(self, name: str | None) -> Partition | None:
        """The partition of this name, or the default one."""
        return next((each for each in self.partitions if (each.default if name is None else each.name == name)), None)


@record
class Job:
    """A stage that becomes a SLURM job, and the partitions that it may run in, as far as the site has them.

    `nodes` and `tasks` are the machines of a job and its processes on each, None where that is not known.
    """

    stage: Stage
    machine: Machine
    limits: SiteLimits
    partitions: tuple[Partition, ...]
    nodes: Amount | None
    tasks: Amount | None

    @property
    def where(self) -> str:
        names = " and ".join(f"`{each.name}`" for each in self.partitions)
        return names if len(self.partitions) > 1 else f"the partition {names}"

    def label(self) -> tuple[Label, ...]:
        return (Label(self.machine.used, f"where `{self.stage.name}` runs"),)


_Limit: TypeAlias = Callable[[Job], Iterator[Diagnostic]]


def over_limits(recipe: Recipe, limits: SiteLimits, stages: Collection[str] | None = None) -> Iterator[Diagnostic]:
    """What the site would refuse, or let wait for ever, of the stages named; of all stages, where none are named."""
    for stage in recipe.stages:
        machine = machine_in_force(recipe, stage)
        if machine is None or machine.backend != "slurm" or (stages is not None and stage.name not in stages):
            continue
        asked = machine.text("partition")
        names = [name.strip() for name in asked[0].split(",")] if asked is not None else [None]
        unknown_name = machine.has("partition") and asked is None
        found = [] if unknown_name else [limits.partition(name) for name in names]
        there = tuple(each for each in found if each is not None)
        job = Job(stage, machine, limits, there, *job_shape(recipe, stage, machine))
        for limit in LIMITS:
            yield from limit(job)


def runs_on_slurm(recipe: Recipe, stages: Collection[str] | None = None) -> bool:
    """Whether one of the stages named, or of all, is sent to SLURM: only then are the site's limits of interest."""
    for stage in recipe.stages:
        machine = machine_in_force(recipe, stage) if stages is None or stage.name in stages else None
        if machine is not None and machine.backend == "slurm":
            return True
    return False


@explained("ESP0820", "the site has no such partition")
def no_partition(job: Job) -> Iterator[Diagnostic]:
    """A job asks for a partition that the site does not have, or that takes no jobs.

        parallel gpu = slurm(partition = "gpus")

    `sinfo` lists the partitions of the site. Asked where stages are about to run, by `esp3c plan` and `esp3c run`.
    """
    asked = job.machine.text("partition")
    if asked is None:
        return
    for name in (each.strip() for each in asked[0].split(",")):
        partition = job.limits.partition(name)
        names = [each.name for each in job.limits.partitions]
        if partition is not None and partition.up:
            continue
        if partition is None:
            message = f"the site `{job.limits.cluster}` has no partition `{name}`"
            label = did_you_mean(name, names) or "it has " + ", ".join(names)
        else:
            message, label = f"the partition `{name}` takes no jobs now", "it is drained or inactive"
        yield Diagnostic(code_of(no_partition), message, Label(asked[1], label), job.label())


@explained("ESP0821", "more time than the partition gives")
def over_time(job: Job) -> Iterator[Diagnostic]:
    """A job asks for more time than its partition allows.

        parallel gpu = slurm(partition = "gpu", time = 7d)

    SLURM refuses it, or takes it and lets it wait for ever, as sites are set up. Ask for less: a training that comes to
    the end of its time saves a checkpoint, is queued again and goes on, and shards that are done are kept.
    """
    node = job.machine.settings.get("time") if job.machine.settings is not None else None
    value = strip(node) if node is not None else None
    longest = _most(each.max_time for each in job.partitions)
    if node is None or longest is None or not isinstance(value, Scalar) or isinstance(value.value, bool | str | None):
        return
    if value.value > longest:
        message = f"`{job.stage.name}` asks for {_time(value.value)}, and {job.where} gives {_time(longest)}"
        yield Diagnostic(code_of(over_time), message, Label(node.span, f"at most {_time(longest)}"), job.label())


@explained("ESP0822", "more machines than the partition has")
def over_nodes(job: Job) -> Iterator[Diagnostic]:
    """A job asks for more machines than its partition has, or gives to one job.

        parallel gpu = slurm(partition = "gpu", nodes = 16)

    SLURM would let it wait for ever. Asked where stages are about to run, by `esp3c plan` and `esp3c run`.
    """
    nodes = job.nodes
    most = _most(min(len(each.nodes), each.max_nodes or len(each.nodes)) for each in job.partitions)
    if nodes is not None and most is not None and nodes.value > most:
        message = f"`{job.stage.name}` asks for {nodes.value} machines, and {job.where} gives {most}"
        yield Diagnostic(code_of(over_nodes), message, Label(_at(nodes, job), f"at most {most}"), job.label())


@explained("ESP0823", "more than a machine of the partition has")
def over_machine(job: Job) -> Iterator[Diagnostic]:
    """A job asks for more cores, memory or GPUs than any machine of its partition has.

        parallel gpu = slurm(partition = "gpu", gpus_per_node = 8, mem = 2TB)

    SLURM refuses it, or lets it wait for ever. What a machine has stands in `scontrol show node`.
    """
    if not job.partitions or not any(each.nodes for each in job.partitions):
        return
    cores = job.machine.amount("cpus_per_task")
    if cores is not None and job.tasks is not None:
        number = cores.value * job.tasks.value
        most = max(
            _least(each.max_cpus, max(node.cpus for node in each.nodes)) for each in job.partitions if each.nodes
        )
        if number > most:
            yield _over(job, f"{number} cores", f"{most}", cores)
    mem = _bytes(job)
    if mem is not None:
        most = max(_least(each.max_mem, max(node.mem for node in each.nodes)) for each in job.partitions if each.nodes)
        if mem.value > most:
            yield _over(job, _size(mem.value), _size(most), mem)
    asked = gpus_a_node(job.machine)
    if asked is not None:
        most = max(max(node.gpus for node in each.nodes) for each in job.partitions if each.nodes)
        if asked.value > most:
            yield _over(job, gpu_count(asked.value), f"{most}", asked)


def _over(job: Job, asked: str, most: str, amount: Amount) -> Diagnostic:
    message = f"`{job.stage.name}` asks for {asked} on a machine, and those of {job.where} have {most}"
    return Diagnostic(code_of(over_machine), message, Label(_at(amount, job), f"at most {most}"), job.label())


LIMITS: tuple[_Limit, ...] = (no_partition, over_time, over_nodes, over_machine)


def _at(amount: Amount, job: Job) -> Span:
    return amount.span if amount.span is not None else job.machine.used


def _most(limits: Iterable[float | None]) -> float | None:
    """The widest of the limits of several partitions; None where one of them has none, or there are no partitions."""
    found = list(limits)
    known = [each for each in found if each is not None]
    return max(known) if known and len(known) == len(found) else None


def _least(limit: int | None, otherwise: int) -> int:
    return otherwise if limit is None else min(limit, otherwise)


def _bytes(job: Job) -> Amount | None:
    node = job.machine.settings.get("mem") if job.machine.settings is not None else None
    value = strip(node) if node is not None else None
    if node is None or not isinstance(value, Scalar) or isinstance(value.value, bool | str | None):
        return None
    return Amount(int(value.value), node.span)


def _time(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:g} s"


def _size(number: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number} bytes"
