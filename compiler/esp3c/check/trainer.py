"""What does not go together in a training: what Lightning's Trainer refuses, and what ESPnet3 does around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from esp3c.check.blocks import set_entry
from esp3c.check.finding import Finding
from esp3c.check.machines import Amount, Training, amount, followed, place_of
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Entry, ListNode, MapNode, Scalar
from esp3c.python.reader import Reader
from esp3c.suggest import all_of, did_you_mean

_BY_OPTIMIZER = {
    "gradient_clip_val": "gradient_clip_val",
    "gradient_clip_algorithm": "gradient_clip_algorithm",
    "accumulate_grad_batches": "accum_grad_steps",
}
"""Settings of the trainer, and their names in the entry of one of several optimizers."""

# What `barebones` switches off, and the values of it that may still be written.
_OFF = {
    "enable_checkpointing": (False,),
    "logger": (False,),
    "enable_progress_bar": (False,),
    "log_every_n_steps": (0,),
    "enable_model_summary": (False,),
    "num_sanity_val_steps": (0,),
    "fast_dev_run": (False, 0),
    "detect_anomaly": (False,),
    "profiler": (),
}


def refusals(training: Training) -> Iterator[Finding]:
    """What Lightning refuses of a `trainer` block."""
    root = training.config.root
    trainer = followed(root, root.get("trainer"))
    if not isinstance(trainer, MapNode):
        return
    yield from _accelerator(root, trainer, training)
    yield from _validation(root, trainer)
    yield from _barebones(root, trainer)
    limit = set_entry(trainer, "max_time")
    value = followed(root, limit.value) if limit is not None else None
    if (
        limit is not None
        and isinstance(value, Scalar)
        and value.dimension is None
        and type(value.value) in (int, float)
    ):
        label = Label(limit.value.span, f"write the unit, such as `{value.value:g}s` or `90min`")
        yield Finding("`max_time` has no unit", label)


def _accelerator(root: MapNode, trainer: MapNode, training: Training) -> Iterator[Finding]:
    if training.accelerator is None or training.accelerator_span is None:
        return
    here = (Label(training.accelerator_span, "on this"),)
    strategy = set_entry(trainer, "strategy")
    value = followed(root, strategy.value) if strategy is not None else None
    name = value.value.lower() if isinstance(value, Scalar) and isinstance(value.value, str) else ""
    if strategy is not None and name.startswith("fsdp") and training.accelerator in {"cpu", "mps", "tpu"}:
        message = f"the strategy `{name}` needs a GPU"
        yield Finding(message, Label(strategy.value.span, 'needs `accelerator = "gpu"`'), here)
    if training.accelerator != "mps":
        return
    if strategy is not None and ("ddp" in name or "deepspeed" in name):
        message = f"the strategy `{name}` is not for `mps`"
        yield Finding(message, Label(strategy.value.span, "`mps` is one device"), here)
    if training.devices is not None and training.devices.value > 1 and training.devices.span is not None:
        yield Finding("`mps` is one device", Label(training.devices.span, "1 here"), here)


def _validation(root: MapNode, trainer: MapNode) -> Iterator[Finding]:
    every = next((entry for entry in trainer.entries if entry.name == "check_val_every_n_epoch"), None)
    interval = set_entry(trainer, "val_check_interval")
    if every is None or interval is None:
        return
    epochs, part = followed(root, every.value), followed(root, interval.value)
    if not isinstance(epochs, Scalar) or epochs.value is not None or not isinstance(part, Scalar):
        return
    if isinstance(part.value, float) and part.dimension is None:
        message = "`val_check_interval` is a part of an epoch, and epochs are not counted"
        label = Label(interval.value.span, "a number of batches, or a time")
        yield Finding(message, label, (Label(every.key_span, "with null, batches are counted through"),))


def _barebones(root: MapNode, trainer: MapNode) -> Iterator[Finding]:
    switch = set_entry(trainer, "barebones")
    value = followed(root, switch.value) if switch is not None else None
    if switch is None or not isinstance(value, Scalar) or value.value is not True:
        return
    for key, allowed in _OFF.items():
        entry = set_entry(trainer, key)
        if entry is not None and not _is_one_of(root, entry, allowed):
            label = Label(entry.key_span, "leave it out")
            yield Finding(f"`barebones` has no `{key}`", label, (Label(switch.key_span, "this switches it off"),))


def _is_one_of(root: MapNode, entry: Entry, allowed: tuple[object, ...]) -> bool:
    value = followed(root, entry.value)
    return isinstance(value, Scalar) and any(value.value == each for each in allowed)


# -- what ESPnet3 refuses ---------------------------------------------------------------------------------------------


def shared_otherwise(training: Training, devices: Amount | None, nodes: Amount | None) -> Iterator[Finding]:
    """Loaders that share their data among another number of processes than train together: those of the devices."""
    root = training.config.root
    loaders = followed(root, root.get("dataloader"))
    if devices is None or nodes is None or not isinstance(loaders, MapNode):
        return
    size = devices.value * nodes.value
    counts = [each for each in (devices, nodes) if each.span is not None]
    for split in ("train", "valid"):
        loader = followed(root, loaders.get(split))
        found = amount(root, loader.get("dist_world_size")) if isinstance(loader, MapNode) else None
        if found is not None and found.value > 0 and found.value != size:
            yield Finding(
                f"`dist_world_size` is {found.value}, and {_processes(size)}",
                Label(place_of(found, training.config.name_span), f"{size}, or nothing at all"),
                tuple(Label(place_of(each, training.config.name_span), "counted from this") for each in counts),
                ("`dist_world_size` is the number of devices on a machine times that of the machines",),
            )


def needed_by_callbacks(training: Training, reading: Reader) -> Iterator[Finding]:
    """Callbacks that Lightning refuses beside a setting that switches off what they need."""
    root = training.config.root
    section = followed(root, root.get("trainer"))
    if not isinstance(section, MapNode):
        return
    for key, kinds, what in _NEEDED:
        entry = set_entry(section, key)
        if entry is None or not _is_one_of(root, entry, (False,)):
            continue
        held = followed(root, section.get("callbacks"))
        for each in held.items if isinstance(held, ListNode) else (held,):
            call = followed(root, each)
            if isinstance(call, CallNode) and reading.is_a(call.target.path, kinds):
                name = call.target.path.rpartition(".")[2]
                because = (Label(entry.value.span, "switched off"),)
                yield Finding(f"`{name}` needs {what}, and there is none", Label(call.head, f"with `{key}`"), because)


def upside_down(training: Training) -> Iterator[Finding]:
    """A least that is more than the most."""
    root = training.config.root
    section = followed(root, root.get("trainer"))
    for least, most in (("min_epochs", "max_epochs"), ("min_steps", "max_steps")):
        low = amount(root, section.get(least)) if isinstance(section, MapNode) else None
        high = amount(root, section.get(most)) if isinstance(section, MapNode) else None
        if low is not None and high is not None and low.span is not None and 0 <= high.value < low.value:
            because = (Label(high.span, f"`{most}`"),) if high.span is not None else ()
            yield Finding(f"`{least}` is more than `{most}`", Label(low.span, f"at most {high.value}"), because)


_NEEDED = (
    (
        "enable_checkpointing",
        tuple(
            f"{each}.callbacks.model_checkpoint.ModelCheckpoint" for each in ("lightning.pytorch", "pytorch_lightning")
        ),
        "checkpoints",
    ),
    (
        "logger",
        tuple(
            f"{each}.callbacks.{kind}"
            for each in ("lightning.pytorch", "pytorch_lightning")
            for kind in ("lr_monitor.LearningRateMonitor", "device_stats_monitor.DeviceStatsMonitor")
        ),
        "a logger",
    ),
)
"""Settings that switch something off, callbacks that cannot be without it, and what it is."""

_OF_WORKERS = ("prefetch_factor", "persistent_workers", "timeout", "multiprocessing_context", "worker_init_fn")
"""Settings of a loader that are about its processes."""


def without_workers(training: Training) -> Iterator[Finding]:
    """Settings of loader processes, where there are none."""
    root = training.config.root
    loaders = followed(root, root.get("dataloader"))
    # Who changes a config that is extended may take the processes away only.
    if not isinstance(loaders, MapNode) or training.config.extends is not None:
        return
    for split in ("train", "valid"):
        loader = followed(root, loaders.get(split))
        if not isinstance(loader, MapNode) or loader.get("iter_factory") is not None:
            continue
        count = loader.get("num_workers")
        found = amount(root, count)
        if (count is not None and found is None) or (found is not None and found.value != 0):
            continue
        for key in _OF_WORKERS:
            entry = set_entry(loader, key)
            if entry is None or _is_one_of(root, entry, (False, 0)):
                continue
            because = (Label(count.span, "no processes"),) if count is not None else ()
            label = Label(entry.key_span, "not used" if count is not None else "`num_workers` is 0 where it is not set")
            yield Finding(f"`{key}` is about loader processes, and there are none", label, because)


def _processes(number: int) -> str:
    return "one process trains alone" if number == 1 else f"{number} processes train together"


def not_for_several(training: Training, misspelt: Collection[tuple[int, int]] = ()) -> Iterator[Finding]:
    """What only one optimizer can have, in a training with several.

    `misspelt` are places of optimizers whose names are not what they are meant to be, which is said elsewhere.
    """
    root = training.config.root
    entry = set_entry(root, "optimizers")
    optimizers = followed(root, entry.value) if entry is not None else None
    if entry is None or not isinstance(optimizers, MapNode):
        return
    because = (Label(entry.key_span, "several optimizers"),)
    section = followed(root, root.get("trainer"))
    for key, own in _BY_OPTIMIZER.items():
        setting = set_entry(section, key) if isinstance(section, MapNode) else None
        if setting is None or (key == "accumulate_grad_batches" and _is_one_of(root, setting, (1,))):
            continue
        label = Label(setting.key_span, f"write `{own}` in the entry of each optimizer")
        yield Finding(f"`trainer.{key}` does not go with several optimizers", label, because)
    if isinstance(section, MapNode):
        yield from _several_processes(root, section, training, because)
    yield from _shared_parameters(root, optimizers)
    schedulers = followed(root, root.get("schedulers"))
    names = [each.name for each in optimizers.entries]
    wrong = any((each.key_span.start, each.key_span.end) in misspelt for each in optimizers.entries)
    for each in schedulers.entries if isinstance(schedulers, MapNode) and not wrong else ():
        if each.name not in names:
            near = did_you_mean(each.name, names) or "the optimizers are " + ", ".join(names)
            yield Finding(
                f"the scheduler `{each.name}` has no optimizer of its name", Label(each.key_span, near), because
            )


def _several_processes(
    root: MapNode, section: MapNode, training: Training, because: tuple[Label, ...]
) -> Iterator[Finding]:
    strategy = set_entry(section, "strategy")
    value = followed(root, strategy.value) if strategy is not None else None
    name = value.value.lower() if isinstance(value, Scalar) and isinstance(value.value, str) else ""
    if isinstance(value, CallNode):
        name = value.target.path.rpartition(".")[2]
    refused = name.lower().startswith(("fsdp", "deepspeed", "modelparallel"))
    if strategy is not None and refused and (training.world_size or 1) > 1:
        message = f"the strategy `{name}` does not go with several optimizers"
        yield Finding(message, Label(strategy.value.span, 'only "ddp" does'), because)


def _shared_parameters(root: MapNode, optimizers: MapNode) -> Iterator[Finding]:
    """Two optimizers of which one's `params` is a part of the other's: what has the longer has the shorter too."""
    texts: list[tuple[Entry, str, Label]] = []
    for each in optimizers.entries:
        block = followed(root, each.value)
        written = set_entry(block, "params") if isinstance(block, MapNode) else None
        value = followed(root, written.value) if written is not None else None
        if isinstance(block, MapNode) and written is None:
            texts.append((each, "", Label(each.key_span, "add `params`: without it, it takes all parameters")))
        elif written is not None and isinstance(value, Scalar) and isinstance(value.value, str):
            texts.append((each, value.value, Label(written.value.span, "a part of the names of its parameters")))
    for each, text, label in texts:
        others = [other for other in texts if other[0] is not each]
        if not text and others:
            names = all_of([other.name for other, _, _ in others])
            verb = "trains" if len(others) == 1 else "train"
            places = tuple(place for _, _, place in others)
            yield Finding(f"what {names} {verb} is trained by `{each.name}` too", label, places)
    named = [each for each in texts if each[1]]
    for number, (each, text, label) in enumerate(named):
        for other, longer, place in named[number + 1 :]:
            if text in longer or longer in text:
                wide, narrow = (each, other) if text in longer else (other, each)
                message = f"what `{narrow.name}` trains is trained by `{wide.name}` too"
                yield Finding(message, place, (label,))
