"""The blocks of a recipe and their keys: ESPnet3's YAML keys under their own names, and what they mean."""

from __future__ import annotations

from esp3c.schema.backends import BACKENDS
from esp3c.schema.lightning import ITER_FACTORY, LOADER_ARGUMENTS, TRAINER
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
    Conflict,
    DatasetUse,
    Form,
    Inside,
    Key,
    ListOf,
    MapOf,
    OneOf,
    ParallelUse,
    PythonName,
    Range,
    Target,
    either,
)  # fmt: skip

SCAFFOLD = (
    Key("recipe_dir", STR, "the recipe's folder", '"."'),
    Key("data_dir", STR, "where prepared data is kept", '"${recipe_dir}/data"'),
    Key("exp_tag", STR, "the name of this experiment", "the name of the config file"),
    Key("exp_dir", STR, "where this experiment writes", '"${recipe_dir}/exp/${exp_tag}"'),
    Key("stats_dir", STR, "where collect_stats writes", '"${recipe_dir}/exp/stats"'),
    Key("dataset_dir", either(STR, NULL), "where source data is found"),
    Key("inference_dir", STR, "where infer writes and measure reads", '"${exp_dir}/inference"'),
)
"""Keys that every config has, from its own text or from ESPnet3's defaults."""

SCAFFOLD_NAMES = frozenset(key.name for key in SCAFFOLD)

SCAFFOLD_TEXTS = frozenset(key.name for key in SCAFFOLD if key.type == STR)
"""Those of them that are text in every config."""

_SEED = Key("seed", INT, "seed of everything random", numbers=Range(0, 2**32 - 1))
PARALLEL = Block(
    "parallel",
    (
        Key("env", OneOf(tuple(BACKENDS)), "`local`, `slurm`, or another cluster"),
        Key("n_workers", INT, "how many workers share the items", "1", numbers=COUNT),
        Key("n_shards", INT, "how many shards the items are cut into", "a few for each worker", numbers=COUNT),
        Key("options", MapOf(ANY), "what the cluster is asked for"),
    ),
)
"""ESPnet3's own form of a machine setting, as existing YAML has it."""

_PARALLEL = Key(
    "parallel",
    either(ParallelUse(), Inside(PARALLEL), NULL),
    "where the stages of this config run, unless their line says `on`",
)

RECIPE = Block(
    "recipe",
    (Key("system", PythonName("a System class"), "the System that has the stages"), _SEED, *SCAFFOLD),
)

SAMPLE_TYPES = (
    "str", "int", "float", "bool", "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64",
    "uint8", "complex64",
)  # fmt: skip

_PART = r"[^\W\d]\w*"
_SOURCE = Form(
    rf"\s*(?:{_PART}/{_PART}|{_PART}(?:\.{_PART})*)\s*",
    "a tag such as `mini_an4/asr`, or the dotted path of a dataset module",
)
_CLASS = Form(rf"\s*{_PART}(?:\.{_PART})+\s*", "the dotted path of a class")

SOURCE_SETTINGS = Block("create_dataset", (), open=True)

DATASET = Block(
    "dataset",
    (
        Key("class", PythonName("a torch.utils.data.Dataset"), "the dataset's class"),
        Key("builder", either(Target("a DatasetBuilder"), PythonName("a DatasetBuilder")),
            "prepares the data; its arguments are those of the four lifecycle methods"),
        Key(
            "source",
            either(STR, PythonName("a dataset module")),
            "a `recipe/task` tag or a dataset module, instead of `class`",
            text=_SOURCE,
        ),
        Key("create_dataset", Inside(SOURCE_SETTINGS), "arguments of the builder that a `source` brings along"),
        Key("sample", ANY, "what one item holds"),
    ),
)  # fmt: skip

ENTRY = Block(
    "dataset entry",
    (
        Key("transform", either(Target("a transform"), PythonName("a function")), "applied to each item of this entry"),
        Key("name", STR, "the name of a test set"),
        Key("data_src", STR, "a `recipe/task` tag or a dataset module", text=_SOURCE),
        Key("data_src_args", ANY, "arguments of the Dataset"),
        Key("split", STR, "the split, for datasets that know it by this word"),
    ),
)
"""What may stand in the braces behind a dataset, and in an entry that is written out."""

_ENTRY = either(DatasetUse(), Inside(ENTRY))

DATA_ORGANIZER = "espnet3.components.data.data_organizer.DataOrganizer"
"""The `_target_` of every `dataset` block, which a recipe need not write."""

OBJECTS = frozenset({"transform", "preprocessor", "collate_fn"})
"""Keys under which the dotted path of a function stands for the function itself."""

TRAINING_DATASET = Block(
    "dataset",
    target=DATA_ORGANIZER,
    keys=(
        Key("train", either(ListOf(_ENTRY), _ENTRY), "what is trained on"),
        Key("valid", either(ListOf(_ENTRY), _ENTRY), "what is validated on"),
        Key("test", either(MapOf(_ENTRY), ListOf(_ENTRY)), "named test sets"),
        Key(
            "preprocessor",
            either(Target("a preprocessor"), PythonName("a function"), NULL),
            "applied to every item, after its transform",
        ),
        Key("recipe_dir", STR, "where a dataset without a source is looked for"),
    ),
)

_LOADER = (
    Key("batch_bins", INT, "elements a batch, padding counted; batches of items of like length", numbers=COUNT),
    Key("shape_files", ListOf(STR), "the length of each item, instead of what collect_stats wrote"),
    Key("sort_by_length", BOOL, "items of like length into one batch", "true with batch_bins"),
    Key("shape_key", STR, "the field whose length counts for `batch_bins`"),
    Key(
        "iter_factory",
        either(Inside(ITER_FACTORY), Target("an iterator factory")),
        "ESPnet's batches by shape files",
    ),
    Key("total_shards", INT, "parts of a sharded dataset", numbers=NOT_NEGATIVE),
    Key("dist_world_size", INT, "processes that share the data; equals devices × num_nodes", numbers=COUNT),
    Key("multiple_iterator", BOOL, "one iterator a shard"),
)

LOADER = Block(
    "dataloader",
    (*_LOADER, *LOADER_ARGUMENTS),
    conflicts=(
        Conflict("batch_size", "batch_bins", "either the items of a batch are counted, or their elements"),
        Conflict("batch_sampler", "batch_size", "a batch sampler says which items form a batch"),
        Conflict("batch_sampler", "sampler", "a batch sampler says which items form a batch"),
        Conflict("batch_sampler", "shuffle", "a batch sampler says in which order items come"),
        Conflict("batch_sampler", "drop_last", "a batch sampler says which batches there are"),
        Conflict("sampler", "shuffle", "a sampler says in which order items come"),
    ),
)

DATALOADER = Block(
    "dataloader",
    (
        Key(
            "collate_fn", either(Target("a collate function"), PythonName("a function"), NULL), "makes a batch of items"
        ),
        Key("train", Inside(LOADER), "batches of training"),
        Key("valid", Inside(LOADER), "batches of validation"),
    ),
)

TOKENIZER = Block(
    "tokenizer",
    (
        Key("vocab_size", INT, "how many tokens", numbers=COUNT),
        Key(
            "character_coverage",
            FLOAT,
            "the part of all characters that gets a token",
            "1.0",
            numbers=Range(0, 1, above=True),
        ),
        Key("model_type", OneOf(("bpe", "unigram", "char", "word")), "how words are cut", '"bpe"'),
        Key("save_path", STR, "the folder of `tokens.txt` and the model"),
        Key("text_builder", ANY, "`{ func = …  argument = … }`: the text to train on"),
        Key("user_defined_symbols", ListOf(STR), "tokens of their own"),
        Key("remove_characters", STR, "characters to leave out", '""'),
    ),
)

_OPTIMIZER_SPEC = Block(
    "optimizers entry",
    (
        Key("optimizer", Target("an Optimizer"), "the optimizer"),
        Key("params", STR, "a part of the names of the parameters that it trains"),
        Key("accum_grad_steps", INT, "batches a step", "1", numbers=COUNT),
        Key("step_every_n_iters", INT, "how often it takes its turn", "1", numbers=COUNT),
        Key("gradient_clip_val", either(FLOAT, NULL), "the most that gradients may be", numbers=POSITIVE),
        Key("gradient_clip_algorithm", OneOf(("norm", "value")), "what is clipped", '"norm"'),
    ),
)

_SCHEDULER_SPEC = Block(
    "schedulers entry",
    (
        Key("scheduler", Target("a scheduler"), "the scheduler"),
        Key("interval", OneOf(("step", "epoch")), "when it steps", '"step"'),
        Key("monitor", either(STR, NULL), "the metric that it looks at"),
    ),
)

_DEVICE = Form(
    r"(cpu|cuda|xpu|mps|hpu|mtia|xla|meta|vulkan|maia|privateuseone|npu|musa)(:\d+)?",
    'a device of torch, such as "cpu", "cuda" or "cuda:1"',
)

_INTERVAL = OneOf(("step", "epoch"))

TRAINING = Block(
    "training",
    (
        *SCAFFOLD,
        _SEED,
        Key("num_device", INT, "devices a machine", numbers=COUNT),
        Key("num_nodes", INT, "machines", numbers=COUNT),
        Key(
            "task",
            either(PythonName("an ESPnet2 task class"), STR, NULL),
            "an ESPnet2 task; `model` then holds its settings",
            text=_CLASS,
        ),
        Key("create_dataset", ANY, "keyword arguments of the builder's lifecycle methods"),
        Key("dataset", Inside(TRAINING_DATASET), "what is trained and validated on"),
        Key("tokenizer", Inside(TOKENIZER), "settings of the stage `train_tokenizer`"),
        Key("model", either(Target("a torch.nn.Module"), ANY), "the model"),
        Key("optimizer", either(Target("an Optimizer"), NULL), "the optimizer; the model's parameters are handed to it"),
        Key("scheduler", either(Target("a scheduler"), NULL), "the scheduler; the optimizer is handed to it"),
        Key("scheduler_interval", _INTERVAL, "when the scheduler steps", '"step"'),
        Key("scheduler_monitor", either(STR, NULL), "the metric that the scheduler looks at"),
        Key("optimizers", either(MapOf(Inside(_OPTIMIZER_SPEC)), NULL), "several optimizers by name"),
        Key("schedulers", either(MapOf(Inside(_SCHEDULER_SPEC)), NULL), "their schedulers by the same names"),
        Key("generator_first", BOOL, "of a GAN model: let the generator take its turn before the discriminator", "false"),
        Key("best_model_criterion", ListOf(ListOf(ANY)), "`[metric, how many to keep, \"min\" or \"max\"]`, several"),
        Key("init", either(STR, NULL), "how weights begin, for example \"xavier_uniform\""),
        Key("dataloader", Inside(DATALOADER), "how items become batches"),
        Key("trainer", Inside(TRAINER), "Lightning's Trainer"),
        Key("fit", ANY, "keyword arguments of Trainer.fit"),
        Key("checkpoint_every", DURATION, "seconds between checkpoints inside an epoch", "600", numbers=NOT_NEGATIVE),
        Key("max_nan_steps", INT, "losses that are not numbers, in a row, before training stops", "10", numbers=COUNT),
        Key("num_threads", INT, "threads of torch on the CPU", numbers=NOT_NEGATIVE),
        Key("write_collected_feats", BOOL, "let collect_stats keep the features of every item", "false"),
        _PARALLEL,
    ),
    open=False,
    conflicts=(
        Conflict("optimizer", "optimizers", "one optimizer, or several by name"),
        Conflict("scheduler", "optimizers", "with several optimizers, schedulers stand under `schedulers` by their names"),
        Conflict("schedulers", "optimizer", "`schedulers` belong to `optimizers`; with one optimizer write `scheduler`"),
    ),
)  # fmt: skip

INFERENCE_DATASET = Block(
    "dataset",
    target=DATA_ORGANIZER,
    keys=(
        Key("test", either(MapOf(_ENTRY), ListOf(_ENTRY)), "named test sets; the name is the output folder"),
        Key("preprocessor", either(Target("a preprocessor"), PythonName("a function"), NULL), "applied to every item"),
        Key("recipe_dir", STR, "where a dataset without a source is looked for"),
    ),
)

INFERENCE = Block(
    "inference",
    (
        *SCAFFOLD,
        _SEED,
        Key("dataset", Inside(INFERENCE_DATASET), "the test sets"),
        Key("model", Target("a model for inference"), "what is called for each item"),
        Key("input_key", either(STR, ListOf(STR)), "the fields of an item that the model gets, by name"),
        Key("output_fn", either(PythonName("a function"), STR, Target("a function that makes what is written")),
            "`output_fn(data, model_output, idx)` makes what is written"),
        Key("output_keys", either(STR, ListOf(STR)), "the fields that are written", "all but `idx_key`"),
        Key("idx_key", STR, "the field that names the item", '"utt_id"'),
        Key("hyp_key", either(STR, ListOf(STR)), "the field of the hypothesis", '"hyp"'),
        Key("ref_key", either(STR, ListOf(STR)), "the field of the reference", '"ref"'),
        Key("batch_size", either(INT, NULL), "items a call of the model", numbers=COUNT),
        Key("output_artifacts", MapOf(ANY), "fields that become files"),
        Key("provider", Target("a provider"), "makes dataset and model on each worker"),
        Key("runner", Target("a runner"), "processes the items"),
        Key("device", either(STR, NULL), "the device of the model", text=_DEVICE),
        Key("resume", BOOL, "keep what an earlier run of the same inputs finished", "true"),
        _PARALLEL,
    ),
)  # fmt: skip

METRIC = Block(
    "metrics entry",
    (
        Key("metric", Target("a metric"), "the metric"),
        Key("inputs", ANY, "the fields that it reads, where it does not say so itself"),
    ),
)

METRICS = Block(
    "metrics",
    (
        *SCAFFOLD,
        _SEED,
        Key("metrics", ListOf(either(Target("a metric"), Inside(METRIC))), "what is measured"),
        Key("dataset", Inside(INFERENCE_DATASET), "which test sets", "all that infer wrote"),
        _PARALLEL,
    ),
)

PACK_MODEL = Block(
    "pack_model",
    (
        Key("out_dir", STR, "the folder of the bundle", '"${exp_dir}/model_pack"'),
        Key("allow_overwrite", BOOL, "whether a bundle that is there may be replaced", "false"),
        Key("inference_dir", STR, "where the scores are read from", "that of the metrics config"),
        Key("include_model_detail", BOOL, "list the model's parts and their weights in the README", "true"),
        Key("readme", either(STR, NULL), "a template for the README"),
        Key("include", ListOf(STR), "further files, folders and patterns"),
        Key("exclude", ListOf(STR), "files, folders and patterns to leave out"),
        Key("files", MapOf(STR), "further files, with the names that `meta.yaml` has for them"),
        Key("yaml_files", MapOf(STR), "further configs, with their names in the bundle's `conf`"),
        Key("not_secret", ListOf(STR), "files and keys of configs that look secret and are not"),
    ),
)

UPLOAD_MODEL = Block(
    "upload_model",
    (
        Key("hf_repo", STR, "`owner/name` on the Hugging Face hub"),
        Key("private", BOOL, "whether only the owner sees it", "false"),
    ),
)

PUBLICATION = Block(
    "publication",
    (
        *SCAFFOLD,
        Key("pack_model", Inside(PACK_MODEL), "settings of the stage `pack_model`"),
        Key("upload_model", Inside(UPLOAD_MODEL), "settings of the stage `upload_model`"),
    ),
)

DEMO_MODEL = Block(
    "model",
    (
        Key("dir_or_tag", STR, "a bundle, or `owner/name` on the Hugging Face hub", "what `pack_model` writes"),
        Key("trust_user_code", BOOL, "whether the bundle's own code runs", "true for a folder, false for the hub"),
    ),
)

PACK_DEMO = Block(
    "pack_demo",
    (
        Key("out_dir", STR, "the folder of the page", '"${exp_dir}/demo"'),
        Key("allow_overwrite", BOOL, "whether a page that is there may be replaced", "false"),
    ),
)

UPLOAD_DEMO = Block(
    "upload_demo",
    (
        Key("hf_repo", STR, "`owner/name` of the space on the Hugging Face hub"),
        Key("private", BOOL, "whether only the owner sees it", "false"),
    ),
)

DEMO = Block(
    "demo",
    (
        *SCAFFOLD,
        Key("model", Inside(DEMO_MODEL), "the model that the page shows"),
        Key("title", either(STR, NULL), "what stands above", "the bundle's name"),
        Key("description", either(STR, NULL), "Markdown under the title"),
        Key("pack_demo", Inside(PACK_DEMO), "settings of the stage `pack_demo`"),
        Key("upload_demo", Inside(UPLOAD_DEMO), "settings of the stage `upload_demo`"),
    ),
)

CONFIGS = {
    "training": TRAINING,
    "inference": INFERENCE,
    "metrics": METRICS,
    "publication": PUBLICATION,
    "demo": DEMO,
}

OWN = Block("config", SCAFFOLD, open=True)
"""A `config NAME` block: its keys are the person's own."""

WORKLOAD = Block(
    "workload",
    (
        Key("runner", Target("a runner"), "processes the items"),
        Key("provider", Target("a provider of a workload"), "makes what the runner needs, once a worker"),
        Key("over", ANY, "the items, for example `training.dataset.train`"),
    ),
)

HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
