"""What Lightning's `Trainer` and torch's `DataLoader` take. `tests/compiler/test_schema.py` holds this against them."""

from __future__ import annotations

from esp3c.schema.types import (
    ANY,
    BOOL,
    COUNT,
    DURATION,
    FLOAT,
    INT,
    NOT_NEGATIVE,
    NULL,
    POSITIVE,
    STR,
    Block,
    Form,
    Inside,
    Key,
    ListOf,
    OneOf,
    Range,
    Target,
    either,
)  # fmt: skip

_COUNT = either(INT, FLOAT, NULL)
_PRECISIONS = OneOf(
    (
        "16-mixed", "bf16-mixed", "32-true", "64-true", "16-true", "bf16-true", "transformer-engine",
        "transformer-engine-float16", "16", "bf16", "32", "64",
    )
)  # fmt: skip

_BATCHES_USED = Range(0, parts=True)
_ENDLESS = (-1.0, "for no limit")
_ALL = (-1.0, "for all of them")
_DEVICES = Form(r"auto|-1|[1-9]\d*|\d+\s*,|\d+(\s*,\s*\d+)+\s*,?", 'a count, "auto", or a list such as "0,1"')
_CLOCK = Form(r"\s*\d+:\d\d:\d\d:\d\d\s*", 'days, hours, minutes and seconds, such as "00:12:00:00"')
_PARTS_OF_TIME = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")
_TIME = Inside(Block("time", tuple(Key(name, FLOAT, name, numbers=NOT_NEGATIVE) for name in _PARTS_OF_TIME)))

STRATEGIES = (
    "auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true", "ddp_fork",
    "ddp_fork_find_unused_parameters_false", "ddp_fork_find_unused_parameters_true", "ddp_notebook",
    "ddp_notebook_find_unused_parameters_false", "ddp_notebook_find_unused_parameters_true", "ddp_spawn",
    "ddp_spawn_find_unused_parameters_false", "ddp_spawn_find_unused_parameters_true", "deepspeed", "deepspeed_stage_1",
    "deepspeed_stage_2", "deepspeed_stage_2_offload", "deepspeed_stage_3", "deepspeed_stage_3_offload",
    "deepspeed_stage_3_offload_nvme", "fsdp", "fsdp_cpu_offload", "single_device", "single_tpu", "single_xla", "xla",
    "xla_debug",
)  # fmt: skip
"""The names of strategies that Lightning has; an extension may register more."""

TRAINER = Block(
    "trainer",
    (
        Key("accelerator", either(OneOf(("auto", "cpu", "gpu", "cuda", "mps", "tpu")), Target("an accelerator")),
            "the kind of device to train on", '"auto"'),
        Key("strategy", either(STR, Target("a Lightning strategy")), "how devices work together", '"auto"'),
        Key("devices", either(INT, STR, ListOf(INT)), "how many devices, or which", '"auto"',
            numbers=Range(1, also=(_ALL,)), text=_DEVICES),
        Key("num_nodes", INT, "how many machines", "1", numbers=COUNT),
        Key("precision", either(_PRECISIONS, INT, NULL), "number format of training",
            "bf16-mixed on a GPU that has it, else 32", numbers=Range(among=(16, 32, 64))),
        Key("logger", either(BOOL, NULL, Target("a logger"), ListOf(Target("a logger"))), "where metrics go",
            "TensorBoard"),
        Key("callbacks", either(NULL, Target("a callback"), ListOf(Target("a callback"))), "callbacks beside ESPnet3's own"),
        Key("fast_dev_run", either(INT, BOOL), "run a few batches only, to try things out", "false", numbers=NOT_NEGATIVE),
        Key("max_epochs", either(INT, NULL), "when to stop", "1000", numbers=Range(0, also=(_ENDLESS,))),
        Key("min_epochs", either(INT, NULL), "train at least so long", numbers=NOT_NEGATIVE),
        Key("max_steps", INT, "when to stop, in optimizer steps", "-1", numbers=Range(0, also=(_ENDLESS,))),
        Key("min_steps", either(INT, NULL), "train at least so many steps", numbers=NOT_NEGATIVE),
        Key("max_time", either(DURATION, STR, _TIME, NULL), "when to stop, in time", numbers=POSITIVE, text=_CLOCK),
        Key("limit_train_batches", _COUNT, "how many (int) or which part (float) of the batches to use",
            numbers=_BATCHES_USED),
        Key("limit_val_batches", _COUNT, "the same for validation", numbers=_BATCHES_USED),
        Key("limit_test_batches", _COUNT, "the same for testing", numbers=_BATCHES_USED),
        Key("limit_predict_batches", _COUNT, "the same for prediction", numbers=_BATCHES_USED),
        Key("overfit_batches", either(INT, FLOAT), "train on the same few batches", "0.0", numbers=_BATCHES_USED),
        Key("val_check_interval", either(INT, FLOAT, DURATION, STR, _TIME, NULL), "how often to validate inside an epoch",
            numbers=Range(0, above=True, parts=True), text=_CLOCK),
        Key("check_val_every_n_epoch", either(INT, NULL), "how often to validate, in epochs", "1", numbers=COUNT),
        Key("num_sanity_val_steps", either(INT, NULL), "validation batches before training begins", "2",
            numbers=Range(0, also=(_ALL,))),
        Key("log_interval", INT, "ESPnet3's own: batches a line of the log", "500", numbers=COUNT),
        Key("log_every_n_steps", either(INT, NULL), "how often to log", "50", numbers=NOT_NEGATIVE),
        Key("enable_checkpointing", either(BOOL, NULL), "whether to write checkpoints", "true"),
        Key("enable_progress_bar", either(BOOL, NULL), "whether to show progress"),
        Key("enable_model_summary", either(BOOL, NULL), "whether to print the modules"),
        Key("accumulate_grad_batches", INT, "batches an optimizer step", "1", numbers=COUNT),
        Key("gradient_clip_val", either(FLOAT, NULL), "the most that gradients may be", numbers=NOT_NEGATIVE),
        Key("gradient_clip_algorithm", either(OneOf(("norm", "value")), NULL), "what is clipped", '"norm"'),
        Key("deterministic", either(BOOL, OneOf(("warn",)), NULL), "only deterministic algorithms"),
        Key("benchmark", either(BOOL, NULL), "let cuDNN choose by measuring"),
        Key("inference_mode", BOOL, "use torch.inference_mode for validation", "true"),
        Key("use_distributed_sampler", BOOL, "wrap samplers for several devices", "true"),
        Key("profiler", either(OneOf(("simple", "advanced", "pytorch", "xla")), NULL, Target("a profiler")),
            "measure where time goes"),
        Key("detect_anomaly", BOOL, "look for NaN in the backward pass", "false"),
        Key("barebones", BOOL, "switch everything off that costs time", "false"),
        Key("plugins", either(NULL, STR, Target("a plugin"), ListOf(Target("a plugin"))), "Lightning plugins"),
        Key("sync_batchnorm", BOOL, "share batch norm statistics between devices", "false"),
        Key("reload_dataloaders_every_n_epochs", INT, "make new data loaders so often", "0", numbers=NOT_NEGATIVE),
        Key("default_root_dir", either(STR, NULL), "where Lightning writes"),
        Key("enable_autolog_hparams", BOOL, "log hyperparameters", "true"),
        Key("model_registry", either(STR, NULL), "name of a model registry"),
    ),
)  # fmt: skip

TIMEDELTAS = frozenset({"max_time", "val_check_interval"})
"""Settings of the Trainer in which a duration is a mapping, `{seconds: 5400}`; a plain number means something else."""

BATCHES = Block(
    "batches",
    (
        Key("type", OneOf(("unsorted", "sorted", "folded", "length", "numel", "catbel")), "how items form batches", '"unsorted"'),
        Key("shape_files", ListOf(STR), "files with the length of each item, written by collect_stats"),
        Key("batch_size", INT, "items a batch", numbers=COUNT),
        Key("batch_bins", INT, "elements a batch, padding counted", numbers=COUNT),
        Key("sort_in_batch", OneOf(("ascending", "descending")), "order inside a batch"),
        Key("sort_batch", OneOf(("ascending", "descending")), "order of the batches"),
        Key("drop_last", BOOL, "leave out a last batch that is not full", "false"),
        Key("min_batch_size", INT, "the fewest items a batch", "1", numbers=COUNT),
    ),
    open=True,
)  # fmt: skip

COUNTED_BY = {"unsorted": "batch_size", "sorted": "batch_size", "numel": "batch_bins", "length": "batch_bins"}
"""What batches of each type count."""

ITER_FACTORY = Block(
    "iter_factory",
    (
        Key("shuffle", BOOL, "another order each epoch"),
        Key("collate_fn", Target("a collate function"), "makes a batch of items"),
        Key("batches", Inside(BATCHES), "how items form batches"),
        Key("num_workers", INT, "loader processes", numbers=NOT_NEGATIVE),
        Key("seed", INT, "seed of the order"),
        Key("num_iters_per_epoch", either(INT, NULL), "batches an epoch", numbers=COUNT),
        Key("pin_memory", BOOL, "page-locked batches"),
    ),
    open=True,
)

LOADER_ARGUMENTS = (
    Key("batch_size", either(INT, NULL), "items a batch", "1", numbers=COUNT),
    Key("shuffle", either(BOOL, NULL), "another order each epoch", "false"),
    Key("sampler", either(NULL, Target("a sampler")), "chooses the items"),
    Key("batch_sampler", either(NULL, Target("a batch sampler")), "chooses the items of each batch"),
    Key("num_workers", INT, "loader processes", "0", numbers=NOT_NEGATIVE),
    Key("collate_fn", either(NULL, Target("a collate function")), "makes a batch of items"),
    Key("pin_memory", BOOL, "page-locked batches", "false"),
    Key("drop_last", BOOL, "leave out a last batch that is not full", "false"),
    Key("timeout", either(FLOAT, DURATION), "how long to wait for a batch", "0", numbers=NOT_NEGATIVE),
    Key("worker_init_fn", ANY, "called in each loader process"),
    Key("multiprocessing_context", either(OneOf(("fork", "spawn", "forkserver")), NULL), "how loader processes start"),
    Key("generator", ANY, "random generator of the sampler"),
    Key("prefetch_factor", either(INT, NULL), "batches that each process prepares", "2", numbers=COUNT),
    Key("persistent_workers", BOOL, "keep loader processes between epochs", "false"),
    Key("pin_memory_device", STR, "device of page-locked batches"),
    Key("in_order", BOOL, "batches in the order of the sampler", "true"),
)
