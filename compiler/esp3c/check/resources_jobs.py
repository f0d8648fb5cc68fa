"""Resources: what a job asks of its queueing system, looked at by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check import sbatch
from esp3c.check.blocks import all_values, walk_blocks
from esp3c.check.machines import Machine, job_shape, machine_in_force
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Entry, MapNode, Node, ParallelNode, Recipe, Scalar, Stage, strip
from esp3c.schema.aliases import meant_by
from esp3c.schema.backends import JOB_QUEUES, SLURM
from esp3c.world import World

_JOBS = (SLURM, *JOB_QUEUES.values())
"""The blocks of what is asked of a queueing system."""


@explained("ESP0809", "an amount without a unit, or too small to be meant", Severity.WARNING)
def tiny_amount(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A job asks for a time, a memory or a disk in which nothing can run.

        parallel gpu = slurm(mem = 64, time = 240)
        parallel many = pbs(cores = 4, memory = 16, walltime = 120)

    A plain number counts bytes and seconds here, as everywhere in a recipe; sbatch's own numbers count megabytes and
    minutes. Write the unit: `mem = 64GB, time = 4h`.
    """
    for node, block in walk_blocks(recipe):
        for finding in sbatch.tiny_amounts(node, block) if any(block is each for each in _JOBS) else ():
            yield finding.said(code_of(tiny_amount))


@explained("ESP0810", "text that does not stay in its place on sbatch's line")
def sbatch_text(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A setting of a SLURM job holds characters that could become more than its value.

        parallel gpu = slurm(partition = "gpu; rm -rf ~", comment = "x\\n#SBATCH --exclusive", srun_args = ["bash"])

    The value of a setting is written on a line of the batch script, or of the shell that starts the job, and has to be
    that value and nothing else. So a line break or another character that controls is refused everywhere, and each
    setting is made of the characters that it needs: `constraint` may hold `&|()[]*!`, `comment` letters of all scripts
    and blanks, `partition` neither. Quotes, `$`, backquotes, `\\` and `;` are in none of them. Names in `extra` are long
    options of sbatch, items of `srun_args` are options with their values, since a word alone would be the program to run.

    Shell commands have a place: `setup` and `teardown` are lines of shell, one a text. A `#SBATCH` line among them would
    be read as an option.
    """
    for root, entry in _settings(recipe):
        for finding in sbatch.not_of_the_value(recipe, root, entry):
            yield finding.said(code_of(sbatch_text))


def _settings(recipe: Recipe) -> Iterator[tuple[MapNode | None, Entry]]:
    """All settings of SLURM jobs, wherever they stand, behind the root of their config."""
    for declared in recipe.parallels.values():
        for entry in _entries(declared.value):
            yield None, entry
    for config in recipe.configs.values():
        for node in all_values(config.root):
            if not isinstance(node, ParallelNode) or not node.name:
                for entry in _entries(node):
                    yield config.root, entry


def _entries(node: Node) -> tuple[Entry, ...]:
    """The settings of a value that is a machine setting for SLURM, also in the form of ESPnet3's YAML."""
    if isinstance(node, ParallelNode):
        return node.settings.entries if node.backend == "slurm" else ()
    if not isinstance(node, MapNode):
        return ()
    env, options = (strip(each) if each is not None else None for each in map(node.get, ("env", "options")))
    slurm = isinstance(env, Scalar) and env.value == "slurm"
    return options.entries if slurm and isinstance(options, MapNode) else ()


@explained("ESP0815", "GPUs are asked for twice", Severity.WARNING)
def gpus_twice(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A SLURM job asks for GPUs by `gpus_per_node` and by `gres`, in different numbers.

        parallel gpu = slurm(gpus_per_node = 2, gres = "gpu:1")

    SLURM takes one of the two, and it is not said which. Keep one.
    """
    for node, block in walk_blocks(recipe):
        for finding in sbatch.counted_twice(node) if block is SLURM else ():
            yield finding.said(code_of(gpus_twice))


@explained("ESP0817", "a job that is warned before it begins", Severity.WARNING)
def warned_too_soon(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A SLURM job is told to save what it has when it has only just begun.

        parallel gpu   = slurm(time = 4h, signal_delay_s = 5h)
        parallel short = slurm(time = 2min)

    `signal_delay_s` says how long before the end of its time a job is told that; it is 90 s where it is not set, and
    SLURM may be a minute early. A training then saves a checkpoint and is queued again, which leads nowhere if it has
    done nothing since the last one.
    """
    for node, block in walk_blocks(recipe):
        for finding in sbatch.warned_at_once(node) if block is SLURM else ():
            yield finding.said(code_of(warned_too_soon))


@explained("ESP0827", "an option of sbatch that does not stand in `extra`")
def not_for_extra(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`extra` holds an option that has a key of its own, or that a run sets itself.

        parallel gpu = slurm(extra = { "mail-user" = "me@lab.org", output = "train.log" })

    Each setting has one name, `mail_user` here, under which it is checked. Where logs are written, how many tasks an
    array has, what sbatch prints: a run relies on these, and finds its jobs and their results by them.
    """
    for node, block in walk_blocks(recipe):
        for finding in sbatch.not_for_extra(node) if block is SLURM else ():
            yield finding.said(code_of(not_for_extra))


@explained("ESP0828", "a job without a time limit of its own", Severity.WARNING)
def no_time(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage runs on SLURM, and its machine setting does not say for how long.

        parallel gpu = slurm(partition = "gpu", gpus_per_node = 1)
        stages { train on gpu }

    submitit asks for five minutes then. A training that needs more is stopped, queued and taken up again every five
    minutes. Say how long a job may take: `time = 4h`.
    """
    for used in _by_setting(_jobs(recipe)):
        stage, machine = used[0]
        written = machine.settings.entries if machine.settings is not None else ()
        # Under another word for it (`walltime`), it is that word which is wrong.
        if any(each.name == "time" or meant_by(each.name, ("time",)) for each in written):
            continue
        names = ", ".join(f"`{each.name}`" for each, _ in used)
        yield Diagnostic(
            code_of(no_time),
            f"jobs of {names} have no `time`, so they get five minutes",
            Label(machine.declared, "add `time`, such as `time = 4h`"),
            secondary=(Label(machine.used, f"where `{stage.name}` runs"),) if machine.used != machine.declared else (),
        )


@explained("ESP0829", "what a job does not do without srun")
def without_srun(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A job has several processes, or lines after its program, and `use_srun = false`.

        training { trainer { devices = 4 } }
        parallel gpu = slurm(gpus_per_node = 4, time = 4h, use_srun = false)
        stages { train on gpu }

    It is srun that starts a process for each device or machine; without it the job has one, which waits for the others.
    And without it the program takes the place of its shell, so that SLURM's signals reach it: no line of `teardown` is
    run.
    """
    for stage, machine in _jobs(recipe):
        node = machine.settings.get("use_srun") if machine.settings is not None else None
        value = strip(node) if node is not None else None
        if node is None or not isinstance(value, Scalar) or value.value is not False:
            continue
        because = (Label(machine.used, f"where `{stage.name}` runs"),)
        nodes, tasks = job_shape(recipe, stage, machine)
        number = nodes.value * tasks.value if nodes is not None and tasks is not None else 1
        if number > 1:
            message = f"the job of `{stage.name}` has {number} processes, and srun does not start them"
            yield Diagnostic(code_of(without_srun), message, Label(node.span, "leave this out"), because)
        if machine.has("teardown"):
            message = "lines of `teardown` are not run without srun"
            yield Diagnostic(code_of(without_srun), message, Label(node.span, "leave one of the two out"), because)


def _jobs(recipe: Recipe) -> Iterator[tuple[Stage, Machine]]:
    """Every stage that becomes a SLURM job, as far as its settings are known."""
    for stage in recipe.stages:
        machine = machine_in_force(recipe, stage)
        if machine is not None and machine.backend == "slurm" and machine.settings is not None:
            yield stage, machine


def _by_setting(jobs: Iterable[tuple[Stage, Machine]]) -> list[list[tuple[Stage, Machine]]]:
    """Jobs of one machine setting together."""
    found: dict[tuple[int, int], list[tuple[Stage, Machine]]] = {}
    for stage, machine in jobs:
        found.setdefault((machine.declared.start, machine.declared.end), []).append((stage, machine))
    return list(found.values())
