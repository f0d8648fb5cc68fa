"""Resources: the processes of the loaders, against the cores of the job and against each other's settings."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check import trainer
from esp3c.check.machines import amount, followed, place_of, training_stages, trainings
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import MapNode, Recipe
from esp3c.world import World


@explained("ESP0811", "more loader processes than CPU cores", Severity.WARNING)
def loader_workers(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A loader of a training starts more processes than its SLURM job has cores for.

        training { dataloader { train { num_workers = 16 } } }
        parallel gpu = slurm(gpus_per_node = 1, cpus_per_task = 4)
        stages { train on gpu }

    They take the cores from each other and from the training itself, which is slower then than with fewer of them.
    """
    for stage, training, machine in training_stages(recipe):
        cores = machine.amount("cpus_per_task") if machine.backend == "slurm" else None
        root = training.config.root
        loaders = followed(root, root.get("dataloader"))
        if cores is None or machine.has("extra", "exclusive") or not isinstance(loaders, MapNode):
            continue
        for split in ("train", "valid"):
            loader = followed(root, loaders.get(split))
            written = loader.get("num_workers") if isinstance(loader, MapNode) else None
            workers = amount(root, written)
            if workers is not None and workers.value > cores.value:
                yield Diagnostic(
                    code_of(loader_workers),
                    f"{workers.value} loader processes share the {cores.value} cores of `{stage.name}`",
                    Label(place_of(workers, machine.used), f"at most {cores.value}"),
                    secondary=(Label(place_of(cores, machine.declared), "the cores of each process of the job"),),
                )


@explained("ESP0818", "settings of loader processes, without any", Severity.WARNING)
def no_workers(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A loader says how its processes work, and has none.

        dataloader { train { num_workers = 0  prefetch_factor = 4  persistent_workers = true } }

    torch's DataLoader refuses most of these together with `num_workers = 0`, its default; ESPnet3 leaves them out. Set
    `num_workers`, or take them out.
    """
    for training in trainings(recipe):
        for finding in trainer.without_workers(training):
            yield finding.said(code_of(no_workers))
