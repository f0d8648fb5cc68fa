"""When schedulers step: one that follows a metric needs that metric each time, one that counts ends after its count."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from esp3c.check.blocks import set_entry
from esp3c.check.flow_base import Flow, block_in, configs_of, follow, is_null, runs_in, stock, text_of
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, MapNode, Node, Scalar
from esp3c.record import record

_PLATEAU = ("torch.optim.lr_scheduler.ReduceLROnPlateau",)
_ONE_CYCLE = ("torch.optim.lr_scheduler.OneCycleLR",)
_BY_STEP, _OF_TRAINING, _OF_VALIDATION = "step/", "train/", "valid/"
_LOSS = "valid/loss"
"""What ESPnet3 lets such a scheduler follow where the recipe says nothing."""

_ONE_BATCH = ("limit_train_batches", "overfit_batches", "val_check_interval")
"""Settings of the Trainer that, being 1, may bring a validation before the first step of a scheduler."""


_ENDING = ("max_time", "callbacks", "limit_train_batches", "overfit_batches", "barebones")
"""Settings of the Trainer by which a training may end before its time, or counts other batches."""


@record
class _Scheduler:
    """One such scheduler: its call, the settings of its interval and its metric, and whether it is one of several."""

    call: CallNode
    interval: Node | None
    monitor: Node | None
    key: str
    several: bool


def plateau_flow(flow: Flow) -> None:
    """Says where a scheduler steps before what it follows is there."""
    for config in configs_of(flow.recipe, "training"):
        if not runs_in(flow.recipe, config, "train") or not stock(flow, "train"):
            continue
        trainer = block_in(config, "trainer")
        if trainer is not None and trainer.get("fast_dev_run") is not None:
            continue
        for scheduler in _schedulers(flow, config):
            _judge(flow, config, trainer, scheduler)
        _count(flow, config, trainer)


def _schedulers(flow: Flow, config: Config) -> Iterator[_Scheduler]:
    root = config.root
    several = follow(config, root.get("schedulers"))
    found = [
        (follow(config, root.get("scheduler")), root.get("scheduler_interval"), root.get("scheduler_monitor"), False)
    ]
    for each in several.entries if isinstance(several, MapNode) else ():
        block = follow(config, each.value)
        if isinstance(block, MapNode):
            call = follow(config, block.get("scheduler"))
            found.append((call, block.get("interval"), block.get("monitor"), True))
    for call, interval, monitor, named in found:
        if isinstance(call, CallNode) and flow.reader.is_a(call.target.path, _PLATEAU):
            key = "interval" if named else "scheduler_interval"
            yield _Scheduler(call, interval, monitor, key, named)


def _judge(flow: Flow, config: Config, trainer: MapNode | None, scheduler: _Scheduler) -> None:
    interval = _text(config, scheduler.interval, "step")
    monitor = _text(config, scheduler.monitor, _LOSS)
    if interval is None or monitor is None:
        return
    if interval == "epoch":
        late = _validates_late(config, trainer) if monitor.startswith(_OF_VALIDATION) else None
        if late is not None:
            _say_late(flow, scheduler, monitor, late)
        return
    if monitor.startswith(_BY_STEP) and not scheduler.several:
        return
    # With several optimizers no number at all is there when a scheduler steps.
    certain = scheduler.several or monitor.startswith(_OF_TRAINING)
    if interval != "step" or (not certain and (not monitor.startswith(_OF_VALIDATION) or _single(config, trainer))):
        return
    written = scheduler.interval is not None
    flow.say(
        "plateau_metric" if certain else "plateau_steps",
        f"`ReduceLROnPlateau` follows `{monitor}`, and steps after each batch, when that is not known yet",
        Label(scheduler.interval.span, 'write `"epoch"`')
        if scheduler.interval is not None
        else Label(scheduler.call.head, f'`{scheduler.key} = "epoch"` is missing'),
        (Label(scheduler.call.head, "this scheduler"),) if written else (),
        () if written else (f"without `{scheduler.key}`, schedulers step after each batch",),
    )


def _say_late(flow: Flow, scheduler: _Scheduler, monitor: str, late: tuple[str, Node]) -> None:
    key, node = late
    flow.say(
        "plateau_metric",
        f"`ReduceLROnPlateau` follows `{monitor}`, and after the first epoch there is none",
        Label(scheduler.call.head, "it steps after each epoch"),
        (Label(node.span, f"`{key}` leaves the validation out"),),
        ("let it follow `train/loss`, or validate after each epoch",),
    )


def _count(flow: Flow, config: Config, trainer: MapNode | None) -> None:
    """A cycle that is shorter than a training of which the number of steps is written, and which nothing else ends."""
    call = follow(config, config.root.get("scheduler"))
    if not isinstance(call, CallNode) or trainer is None or not flow.reader.is_a(call.target.path, _ONE_CYCLE):
        return
    interval = _text(config, config.root.get("scheduler_interval"), "step")
    key, other = ("max_epochs", "max_steps") if interval == "epoch" else ("max_steps", "max_epochs")
    if interval not in {"step", "epoch"} or any(set_entry(trainer, each) for each in (other, *_ENDING)):
        return
    written = call.arguments.get("total_steps")
    parts = [written] if written is not None else [call.arguments.get(each) for each in ("epochs", "steps_per_epoch")]
    counts = [_number(config, each) for each in parts]
    steps = prod(each for each in counts if each is not None)
    length, first = _number(config, trainer.get(key)), parts[0]
    if first is None or None in counts or length is None or length <= steps:
        return
    flow.say(
        "cycle_too_short",
        f"`OneCycleLR` ends after {int(steps)} steps, and the training makes {int(length)}",
        Label(first.span, f"it steps after each {'epoch' if interval == 'epoch' else 'batch'}"),
        [Label(each.span, f"`{key}`") for each in [trainer.get(key)] if each is not None],
    )


def _text(config: Config, node: Node | None, default: str) -> str | None:
    value = follow(config, node)
    return default if node is None or is_null(value) else text_of(value)


def _validates_late(config: Config, trainer: MapNode | None) -> tuple[str, Node] | None:
    """The setting by which there is no validation in the first epoch."""
    for key, wrong in (
        ("check_val_every_n_epoch", lambda count: count > 1),
        ("limit_val_batches", lambda count: not count),
    ):
        node = trainer.get(key) if trainer is not None else None
        count = _number(config, node)
        if node is not None and count is not None and wrong(count):
            return key, node
    return None


def _single(config: Config, trainer: MapNode | None) -> bool:
    """Whether a validation may come with the first batch."""
    values = [trainer.get(key) for key in _ONE_BATCH] if trainer is not None else []
    return any(node is not None and _number(config, node) in {None, 1} for node in values)


def _number(config: Config, node: Node | None) -> float | None:
    value = follow(config, node)
    if not isinstance(value, Scalar) or isinstance(value.value, bool) or not isinstance(value.value, int | float):
        return None
    return value.value
