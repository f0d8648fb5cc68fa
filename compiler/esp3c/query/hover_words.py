"""The words of the language, each in a sentence with an example."""

from __future__ import annotations

from esp3c.query.hover_parts import Code, Part, Said
from esp3c.query.values_shown import BASE_UNITS, amount
from esp3c.schema.backends import BACKENDS, JOB_QUEUES
from esp3c.syntax.literals import UNITS

WORDS: dict[str, tuple[str, str]] = {
    "recipe": (
        "Names the recipe, its System, and what all configs have in common.",
        'recipe digits {\n  system  = espnet3.systems.asr.system.ASRSystem\n  exp_tag = "ctc"\n}',
    ),
    "dataset": (
        "Declares a dataset, which configs then use by its name.",
        "dataset digits {\n  class   = dataset.dataset.SpokenDigits\n  builder = dataset.builder.SpokenDigitsBuilder()\n}",
    ),
    "config": (
        "A config of one's own, written to `conf/NAME.yaml`; or, with `extends`, another one with changes.",
        "config training_small extends training { trainer.max_epochs = 2 }",
    ),
    "parallel": (
        "A machine setting, which stages then name behind `on`.",
        'parallel gpu = slurm(partition = "gpu", gpus_per_node = 1, time = 4h)',
    ),
    "let": ("A value with a name, for all declarations of the file.", "let rate = 16kHz"),
    "stages": (
        "The stages of the recipe, in the order in which they run.",
        "stages { create_dataset  train  infer  measure }",
    ),
    "training": (
        "The config that `train`, and what comes before it, works with.",
        "training { trainer { max_epochs = 9 } }",
    ),
    "inference": (
        "The config of `infer`: the test sets, the model, and what is written.",
        'inference { input_key = "speech" }',
    ),
    "metrics": (
        "The config of `measure`.",
        "metrics { metrics = [espnet3.systems.asr.metrics.wer.WER()] }",
    ),
    "publication": (
        "The config of `pack_model` and `upload_model`.",
        'publication { upload_model { hf_repo = "owner/name" } }',
    ),
    "demo": ("The config of `pack_demo` and `upload_demo`.", 'demo { title = "Spoken digits" }'),
    "extends": (
        "Begins with all of another config; the block then changes what it names.",
        "config training_small extends training { trainer.max_epochs = 2 }",
    ),
    "new": (
        "Adds a key that the extended config does not have.",
        "config training_small extends training { new trainer.limit_train_batches = 10 }",
    ),
    "partial": (
        "Hands over what is called, with these arguments, instead of what it returns: Hydra's `_partial_`.",
        "norm = partial torch.nn.LayerNorm(eps = 1e-6)",
    ),
    "requires": (
        "The configs that a stage works with, in the order in which its function gets them.",
        "export_onnx requires training, export runs src.stages.export_onnx",
    ),
    "runs": (
        "What a stage of one's own runs: a function, or a stage of the system with other configs.",
        "train_small requires training_small runs train",
    ),
    "on": ("Where a stage runs: the name of a `parallel`.", "train on gpu"),
    "true": ("Yes. It is no number, and no text.", "shuffle = true"),
    "false": ("No. It is no number, and no text.", "shuffle = false"),
    "null": ("No value: Python's `None`.", "preprocessor = null"),
}

TYPES = {
    "str": "text",
    "int": "a whole number of Python",
    "float": "a number of Python",
    "bool": "true or false",
    "float16": "an array or tensor of 16-bit floating point numbers",
    "float32": "an array or tensor of 32-bit floating point numbers",
    "float64": "an array or tensor of 64-bit floating point numbers",
    "bfloat16": "a tensor of 16-bit floating point numbers with the range of `float32`",
    "int8": "an array or tensor of 8-bit integers",
    "int16": "an array or tensor of 16-bit integers",
    "int32": "an array or tensor of 32-bit integers",
    "int64": "an array or tensor of 64-bit integers",
    "uint8": "an array or tensor of 8-bit integers without a sign",
    "complex64": "an array or tensor of complex numbers of two 32-bit parts",
}

_MACHINES = {
    "local": "Processes of this machine.",
    "local_gpu": "Processes of this machine, each with a GPU of its own.",
    "slurm": "Jobs of SLURM: a training is one job, the items of a stage are shared by an array of them.",
    "dask": "Workers of a Dask cluster: one that runs, or one on this machine.",
}


def word(text: str) -> list[Part]:
    """What a word of the language means; nothing for other words."""
    if text not in WORDS:
        return []
    sentence, example = WORDS[text]
    return [Said(sentence), Code(example)]


def field_type(text: str) -> list[Part]:
    """What a type of `sample` means."""
    return [Said(f"`{text}`: {TYPES[text]}")] if text in TYPES else []


def backend(text: str) -> list[Part]:
    """Where a machine backend runs stages, and its settings."""
    if text not in BACKENDS:
        return []
    sentence = _MACHINES.get(text, "")
    if text in JOB_QUEUES:
        sentence = f"A Dask cluster whose workers are jobs of {text.upper()}."
    names = ", ".join(f"`{key.name}`" for key in BACKENDS[text].keys)
    return [Said(sentence), Said(f"Settings: {names}")]


def unit(text: str) -> str:
    """`min` is 60 s."""
    if text not in UNITS:
        return ""
    dimension, factor = UNITS[text]
    return f"`1{text}` is {amount(factor, dimension)}" if text not in BASE_UNITS.values() else ""
