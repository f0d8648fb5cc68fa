"""What the places of a recipe want to be given: kinds of objects, and the arguments that ESPnet3 adds when it makes them."""

from __future__ import annotations

from esp3c.record import record


@record
class Role:
    """A place that a call makes an object for.

    `kinds` are the classes of which it must be one (none: anything); `supplied` the arguments that ESPnet3 hands over
    itself; `called`: the object is called later, so that a function made ready by `partial` stands here as well.
    `waits`: a function that lacks its item is made ready without `partial`. `ahead` is how many arguments ESPnet3 gives
    it by position. `inner` names arguments that hold more of a role: a
    scheduler of schedulers hands its optimizer to each.
    """

    what: str
    kinds: tuple[str, ...] = ()
    supplied: tuple[str, ...] = ()
    called: bool = False
    waits: bool = False
    ahead: int = 0
    inner: tuple[tuple[str, str], ...] = ()


OPTIMIZER = "torch.optim.optimizer.Optimizer"
MODULE = "torch.nn.modules.module.Module"
METRIC = "espnet3.components.metrics.base_metric.BaseMetric"
BUILDER = "espnet3.components.data.dataset_builder.DatasetBuilder"
_CALLBACK = "lightning.pytorch.callbacks.callback.Callback"
_LOGGER = "lightning.pytorch.loggers.logger.Logger"
_STRATEGY = "lightning.pytorch.strategies.strategy.Strategy"
_ACCELERATOR = "lightning.pytorch.accelerators.accelerator.Accelerator"
_PROFILER = "lightning.pytorch.profilers.profiler.Profiler"
_SCHEDULERS = (
    "torch.optim.lr_scheduler.LRScheduler",
    "torch.optim.lr_scheduler._LRScheduler",
    "torch.optim.lr_scheduler.ReduceLROnPlateau",
)

LIFECYCLE = ("is_source_prepared", "prepare_source", "is_built", "build")
"""The methods of a DatasetBuilder, in the order in which ESPnet3 asks them."""

ROLES = {
    role.what: role
    for role in (
        Role("an Optimizer", (OPTIMIZER,), ("params",)),
        Role("a scheduler", _SCHEDULERS, ("optimizer",), inner=(("schedulers", "a scheduler"),)),
        Role("a torch.nn.Module", (MODULE,)),
        Role("a model for inference", called=True),
        Role("a metric", (METRIC,)),
        Role("a DatasetBuilder", (BUILDER,)),
        Role("a transform", called=True, waits=True),
        Role("a preprocessor", called=True, waits=True),
        Role("a collate function", called=True, waits=True),
        Role("a function that makes what is written", called=True),
        Role("a runner", supplied=("provider",), ahead=1),
        Role("a provider", ahead=2),
        Role("a provider of a workload", ahead=1),
        Role("a callback", (_CALLBACK,)),
        Role("a logger", (_LOGGER,)),
        Role("a Lightning strategy", (_STRATEGY,)),
        Role("an accelerator", (_ACCELERATOR,)),
        Role("a profiler", (_PROFILER,)),
    )
}
"""By the words in which `esp3c.schema.types.Target` says what a call makes."""

DIMENSIONS = {
    "sample_rate": "frequency",
    "sampling_rate": "frequency",
    "orig_freq": "frequency",
    "new_freq": "frequency",
    "f_min": "frequency",
    "f_max": "frequency",
    "fmin": "frequency",
    "fmax": "frequency",
    "fs": "frequency",
    "window": "duration",
    "window_length": "duration",
    "frame_length": "duration",
    "frame_shift": "duration",
    "hop": "duration",
    "sr": "frequency",
    "duration": "duration",
    "max_duration": "duration",
    "min_duration": "duration",
    "timeout": "duration",
    "seconds": "duration",
    "max_seconds": "duration",
}
"""Arguments whose name says what they count."""
