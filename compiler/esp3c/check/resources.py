"""Resources: what a training uses against what is asked for, and values that Lightning or SLURM would refuse."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check import trainer
from esp3c.check.flow import flow_of
from esp3c.check.machines import (
    Amount,
    Machine,
    Training,
    amount,
    device_kinds,
    followed,
    gpu_count,
    gpus_a_node,
    job_shape,
    place_of,
    training_stages,
    trainings,
)
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import MapNode, Recipe, Scalar, Stage
from esp3c.python.reader import reader
from esp3c.schema.lightning import STRATEGIES
from esp3c.suggest import did_you_mean
from esp3c.world import World


def _on(stage: Stage, machine: Machine) -> Label:
    return Label(machine.used, f"where `{stage.name}` runs")


def _devices(recipe: Recipe, stage: Stage, training: Training, machine: Machine) -> Amount | None:
    """How many devices a training uses on each machine; where it leaves that to its job, a process has one."""
    left_open = training.devices is None or training.devices.value == 1
    return job_shape(recipe, stage, machine)[1] if left_open and machine.backend == "slurm" else training.devices


@explained("ESP0801", "more devices than the job has")
def devices_and_gpus(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A training uses more GPUs on each machine than its SLURM job asks for.

        training { trainer { devices = 4  accelerator = "gpu" } }
        parallel gpu = slurm(gpus_per_node = 1)
        stages { train on gpu }

    SLURM shows the job only the GPUs that it asked for, so Lightning stops when the stage begins, after the job has
    waited in the queue. Make `devices` and `gpus_per_node` the same.
    """
    for stage, training, machine in training_stages(recipe):
        asked, devices = gpus_a_node(machine), _devices(recipe, stage, training, machine)
        # With `auto` and no GPU at all, it is the CPU that the devices are processes of.
        if asked is None or devices is None or not (training.wants_gpus or (training.may_use_gpus and asked.value)):
            continue
        if 0 < asked.value < devices.value:
            yield Diagnostic(
                code_of(devices_and_gpus),
                f"`{stage.name}` uses {devices.value} devices on each machine, and its job has {gpu_count(asked.value)}",
                Label(place_of(devices, machine.used), f"at most {asked.value} here"),
                secondary=(Label(place_of(asked, machine.declared), "the job asks for these"),),
                help=(f"`gpus_per_node = {devices.value}` and `devices = {devices.value}` fit each other",),
            )


@explained("ESP0802", "GPUs that nothing uses", Severity.WARNING)
def idle_gpus(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A job asks for more GPUs than its training uses.

        training { trainer { devices = 1 } }
        parallel gpu = slurm(gpus_per_node = 4)
        stages { train on gpu }

    The others stand idle as long as the training runs, and nobody else has them. Lightning's `devices` says how many
    are used; without it, it is one.
    """
    for stage, training, machine in training_stages(recipe):
        asked, devices = gpus_a_node(machine), _devices(recipe, stage, training, machine)
        if asked is None or devices is None or not training.may_use_gpus or devices.value >= asked.value:
            continue
        yield Diagnostic(
            code_of(idle_gpus),
            f"the job of `{stage.name}` asks for {gpu_count(asked.value)} a machine, and its training uses {devices.value}",
            Label(place_of(asked, machine.used), "more than are used"),
            secondary=(Label(devices.span, "this many are used"),)
            if devices.span is not None
            else (Label(machine.used, f"where `{stage.name}` runs; `trainer.devices` is 1 where it is not set"),),
        )


@explained("ESP0803", "GPUs are asked for, and the CPU is used", Severity.WARNING)
def gpus_for_cpu(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage works on the CPU and runs in a job with GPUs.

        training { trainer { accelerator = "cpu" } }
        parallel gpu = slurm(gpus_per_node = 1)
        stages { train on gpu }

    It waits for GPUs, and does not touch them. Set `accelerator = "auto"`, or run the stage on machines without GPUs.
    """
    for stage, machine, device, where in device_kinds(recipe):
        asked = gpus_a_node(machine)
        if device == "cpu" and asked is not None and asked.value > 0:
            yield Diagnostic(
                code_of(gpus_for_cpu),
                f"`{stage.name}` works on the CPU, and its job asks for {gpu_count(asked.value)}",
                Label(where, "this leaves the GPUs alone"),
                secondary=(Label(place_of(asked, machine.declared), "the job asks for these"),),
            )


@explained("ESP0804", "a GPU is used, and none is asked for", Severity.WARNING)
def gpu_without_gpus(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage needs a GPU and runs in a SLURM job that asks for none.

        training { trainer { accelerator = "gpu" } }
        parallel big = slurm(partition = "gpu", mem = 32GB)
        stages { train on big }

    On most sites a job sees only the GPUs that it asks for, also in a partition that has them, and Lightning stops with
    "No supported gpu backend found". Add `gpus_per_node`.
    """
    for stage, machine, device, where in device_kinds(recipe):
        asked = gpus_a_node(machine)
        if device in {"gpu", "cuda"} and asked is not None and asked.value == 0:
            yield Diagnostic(
                code_of(gpu_without_gpus),
                f"`{stage.name}` needs a GPU, and its job asks for none",
                Label(where, "this needs a GPU"),
                secondary=(Label(place_of(asked, machine.declared), "`gpus_per_node` says how many"),),
            )


@explained("ESP0805", "the training and its job count machines differently")
def machines_differ(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`num_nodes` of a training differs from the machines that its job has.

        training { trainer { num_nodes = 2 } }
        parallel gpu = slurm(nodes = 4, gpus_per_node = 4)
        stages { train on gpu }

    A run refuses that. Leave one of them out: without `nodes` the job has as many machines as `num_nodes` says, and without
    `num_nodes` (or with 1, its default) the training takes what the job has. `local` is one machine.
    """
    for stage, training, machine in training_stages(recipe):
        wanted = training.num_nodes
        if machine.settings is None or wanted is None or wanted.value == 1:
            continue
        nodes = machine.amount("nodes") if machine.backend == "slurm" else None
        if machine.backend == "local":
            nodes = Amount(1)
        if nodes is not None and nodes.value != wanted.value:
            label = "`local` is one machine" if machine.backend == "local" else f"the job has {nodes.value}"
            yield Diagnostic(
                code_of(machines_differ),
                f"`{stage.name}` trains on {wanted.value} machines, and runs on {nodes.value}",
                Label(place_of(wanted, machine.used), label),
                secondary=(_on(stage, machine),)
                if nodes.span is None
                else (Label(nodes.span, "the machines of the job"),),
            )


@explained("ESP0806", "`dist_world_size` is not the number of processes")
def world_size(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A loader shares its data among another number of processes than train together.

        training {
          trainer { devices = 4 }
          dataloader { train { dist_world_size = 2 } }
        }

    ESPnet3 refuses that when the first batch is wanted. It is `devices` times `num_nodes`; left out, it is right by
    itself.
    """
    for training in trainings(recipe):
        for finding in trainer.shared_otherwise(training, *_together(recipe, training)):
            yield finding.said(code_of(world_size))


def _together(recipe: Recipe, training: Training) -> tuple[Amount | None, Amount | None]:
    """The devices of a training on each machine and its machines, which are those of its job where it runs in one."""
    shapes = [
        job_shape(recipe, stage, machine)
        for stage, each, machine in training_stages(recipe)
        if each.config is training.config and machine.backend == "slurm"
    ]
    sizes = {tuple(amount.value if amount is not None else None for amount in shape) for shape in shapes}
    if not shapes:
        return training.devices, training.num_nodes
    return (shapes[0][1], shapes[0][0]) if len(sizes) == 1 else (None, None)


@explained("ESP0807", "what does not go with several optimizers")
def several_optimizers(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A training has `optimizers` by name, and something that only one optimizer can have.

        training {
          optimizers { gen { optimizer = torch.optim.Adam(lr = 1e-3) } }
          schedulers { disc { scheduler = torch.optim.lr_scheduler.StepLR(step_size = 10) } }
          trainer { gradient_clip_val = 5.0 }
        }

    Clipping and accumulation stand in the entry of each optimizer, and a scheduler has the name of its optimizer. Each
    parameter belongs to one optimizer, that whose `params` is a part of its name. Several processes train with the strategy
    `ddp`.
    """
    found = flow_of(recipe, world).findings.values()
    turns = {(each.primary.span.start, each.primary.span.end) for each in found if each.rule == "gan_optimizers"}
    for training in trainings(recipe):
        for finding in trainer.not_for_several(training, turns):
            yield finding.said(code_of(several_optimizers))


@explained("ESP0808", "settings that the trainer refuses together")
def trainer_refuses(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Lightning refuses a combination of settings, each of which is fine by itself.

        trainer { accelerator = "cpu"  strategy = "fsdp" }
        trainer { accelerator = "mps"  devices = 2 }
        trainer { check_val_every_n_epoch = null  val_check_interval = 0.5 }

    The message names both and says why. It would be found when the trainer is made, after the data is there.
    """
    for training in trainings(recipe):
        for finding in (*trainer.refusals(training), *trainer.needed_by_callbacks(training, reader(world))):
            yield finding.said(code_of(trainer_refuses))


@explained("ESP0812", "half precision on the CPU", Severity.WARNING)
def half_on_cpu(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A training on the CPU asks for 16-bit floats, which Lightning has on GPUs only.

        trainer { accelerator = "cpu"  precision = "16-mixed" }

    Lightning trains with `"bf16-mixed"` instead. Say so, or set `precision = 32`.
    """
    for training in trainings(recipe):
        root = training.config.root
        section = followed(root, root.get("trainer"))
        written = section.get("precision") if isinstance(section, MapNode) else None
        value = followed(root, written)
        if written is None or not isinstance(value, Scalar) or training.accelerator != "cpu":
            continue
        if value.value in ("16-mixed", "16", 16) and training.accelerator_span is not None:
            yield Diagnostic(
                code_of(half_on_cpu),
                "there is no 16-bit training on the CPU; Lightning takes `bf16-mixed` instead",
                Label(written.span, 'write "bf16-mixed" or 32'),
                secondary=(Label(training.accelerator_span, "on the CPU"),),
            )


@explained("ESP0813", "a count that is not used", Severity.WARNING)
def unused_count(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`num_device` or `num_nodes` of a training says one number, and the trainer is told another.

        training { num_device = 4  trainer { devices = 1 } }

    The trainer's own setting counts. Refer to the other, `devices = num_device`, or leave one of them out.
    """
    for training in trainings(recipe):
        root = training.config.root
        section = followed(root, root.get("trainer"))
        for common, own in (("num_device", "devices"), ("num_nodes", "num_nodes")):
            said = amount(root, root.get(common))
            used = amount(root, section.get(own)) if isinstance(section, MapNode) else None
            # Who changes a config that is extended may leave the common count to the others.
            if training.config.extends is not None:
                continue
            if said is not None and used is not None and used.value > 0 and said.value != used.value:
                yield Diagnostic(
                    code_of(unused_count),
                    f"`{common}` is {said.value}, and the trainer gets {used.value}",
                    Label(place_of(said, training.config.name_span), "this is not used"),
                    secondary=(Label(place_of(used, training.config.name_span), "this is"),),
                )


@explained("ESP0814", "processes and devices of a machine differ")
def tasks_differ(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A SLURM job starts another number of processes on a machine than its training has devices.

        training { trainer { devices = 4 } }
        parallel gpu = slurm(gpus_per_node = 4, ntasks_per_node = 2)
        stages { train on gpu }

    There is one process for each device, and a run refuses anything else. Leave one of them out: without
    `ntasks_per_node` the job has a process for each of the `devices`, and without `devices` (or with 1, its default) the
    training has a device for each process.
    """
    for stage, training, machine in training_stages(recipe):
        tasks = machine.amount("ntasks_per_node") if machine.backend == "slurm" else None
        devices = training.devices
        if tasks is None or devices is None or devices.value in (1, tasks.value) or tasks.value < 1:
            continue
        yield Diagnostic(
            code_of(tasks_differ),
            f"`ntasks_per_node` is {tasks.value}, and `{stage.name}` has {devices.value} devices on each machine",
            Label(place_of(tasks, machine.used), f"{devices.value}, one for each device"),
            secondary=(Label(devices.span, "the devices"),) if devices.span is not None else (_on(stage, machine),),
        )


@explained("ESP0816", "a strategy that Lightning does not have")
def strategy_name(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`trainer.strategy` is nearly the name of one of Lightning's strategies.

        trainer { strategy = "dpp" }

    Lightning would refuse it when the trainer is made. Names that look like none of its own may come from an
    extension, and are not looked at.
    """
    for training in trainings(recipe):
        root = training.config.root
        section = followed(root, root.get("trainer"))
        written = section.get("strategy") if isinstance(section, MapNode) else None
        value = followed(root, written)
        if written is None or not isinstance(value, Scalar) or not isinstance(value.value, str):
            continue
        near = did_you_mean(value.value.lower(), STRATEGIES)
        if value.value.lower() not in STRATEGIES and near:
            message = f"Lightning has no strategy `{value.value}`"
            yield Diagnostic(code_of(strategy_name), message, Label(written.span, near))


@explained("ESP0819", "a least that is more than the most", Severity.WARNING)
def least_and_most(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`min_epochs` is more than `max_epochs`, or `min_steps` than `max_steps`.

        trainer { max_epochs = 20  min_epochs = 50 }

    The training stops at the most, and never reaches the least.
    """
    for training in trainings(recipe):
        for finding in trainer.upside_down(training):
            yield finding.said(code_of(least_and_most))
