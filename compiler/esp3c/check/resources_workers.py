"""Resources: workers that a stage has no use for, and numbers of workers that do not go together."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.blocks import walk_blocks
from esp3c.check.flow import flow_of
from esp3c.check.flow_base import stock
from esp3c.check.machines import amount, built_in, machine_of, place_of
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Recipe
from esp3c.schema.backends import BACKENDS, JOB_QUEUES, OVER_DASK
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.world import World


@explained("ESP0825", "workers for a stage that shares nothing out", Severity.WARNING)
def without_effect(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage is sent to the workers of a cluster, and does not go through items that they could share.

        parallel grid = pbs(n_workers = 8, cores = 4, memory = 16GB)
        stages { train on grid }

    Such a cluster gets shards of items, and the stage itself stays where the run is started: `train` would run there,
    without the workers. A training uses the devices of its `trainer`; on another machine it runs as a job of `slurm`.
    """
    for stage in recipe.stages:
        name = built_in(stage)
        known = KNOWN_STAGES.get(name or "")
        machine = machine_of(recipe, stage)
        if stage.on is None or name is None or known is None or machine is None:
            continue
        several = name == "train" and machine.backend == "local_gpu" and _several(machine.amount("n_workers"))
        if machine.backend not in OVER_DASK and not several:
            continue
        if known.shares_items or known.makes_data or not stock(flow_of(recipe, world), name):
            continue
        label = "a training uses `trainer.devices`" if name == "train" else "it does not share its work out"
        yield Diagnostic(
            code_of(without_effect),
            f"`{stage.name}` runs where the run is started: the workers of `{stage.on.name}` have no effect on it",
            Label(stage.on.span, label),
            secondary=(Label(machine.declared, f"`{machine.backend}` has workers for items"),),
        )


def _several(count: object) -> bool:
    value = getattr(count, "value", None)
    return isinstance(value, int) and value > 1


@explained("ESP0826", "workers that would have nothing to work with", Severity.WARNING)
def workers_differ(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """There are more workers than shards, or more worker processes in a job than it has cores.

        parallel here = local(n_workers = 8, n_shards = 2)
        parallel many = pbs(n_workers = 8, cores = 2, processes = 8, memory = 16GB)

    A shard is worked on by one worker, so six of the eight would wait. The processes of a job share its cores, and each
    needs one at least.
    """
    for node, block in walk_blocks(recipe):
        if not any(block is each for each in BACKENDS.values()):
            continue
        pairs = [("n_shards", "n_workers", "workers", "shards")]
        if any(block is each for each in JOB_QUEUES.values()):
            pairs.append(("cores", "processes", "processes", "cores"))
        for least, most, many, few in pairs:
            low, high = amount(node, node.get(least)), amount(node, node.get(most))
            if low is not None and high is not None and 0 < low.value < high.value:
                yield Diagnostic(
                    code_of(workers_differ),
                    f"`{most}` is {high.value}, and `{least}` only {low.value}: there are more {many} than {few}",
                    Label(place_of(low, node.span), f"at least {high.value}"),
                    secondary=(Label(place_of(high, node.span), "this many share them"),),
                )
