"""The stages that ESPnet3's systems have: their order, the configs that each needs, and the keys that it reads."""

from __future__ import annotations

from esp3c.record import record


@record
class Stage:
    """A stage of a system. `reads` names keys that must be there, `a|b` where either will do."""

    name: str
    requires: tuple[str, ...]
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


CREATE_DATASET = Stage("create_dataset", ("training",), ("training.dataset",))
TRAIN_TOKENIZER = Stage(
    "train_tokenizer",
    ("training",),
    ("training.tokenizer.vocab_size", "training.tokenizer.save_path", "training.tokenizer.text_builder"),
    after=("create_dataset",),
)
COLLECT_STATS = Stage(
    "collect_stats",
    ("training",),
    ("training.dataset.train", "training.model"),
    after=("create_dataset", "train_tokenizer"),
)
TRAIN = Stage(
    "train",
    ("training",),
    (
        "training.dataset.train",
        "training.dataset.valid",
        "training.model",
        "training.optimizer|training.optimizers",
    ),
    after=("create_dataset", "train_tokenizer", "collect_stats"),
)
INFER = Stage("infer", ("inference",), ("inference.dataset.test", "inference.model"), after=("train",))
MEASURE = Stage("measure", ("metrics",), ("metrics.metrics",), after=("infer",))
PACK_MODEL = Stage("pack_model", ("training", "publication"), ("publication.pack_model",), after=("train",))
UPLOAD_MODEL = Stage("upload_model", ("publication",), ("publication.upload_model.hf_repo",), after=("pack_model",))
PACK_DEMO = Stage("pack_demo", ("demo",), after=("pack_model",))
UPLOAD_DEMO = Stage("upload_demo", ("demo",), after=("pack_demo",))

BASE_STAGES = (
    CREATE_DATASET,
    COLLECT_STATS,
    TRAIN,
    INFER,
    MEASURE,
    PACK_MODEL,
    UPLOAD_MODEL,
    PACK_DEMO,
    UPLOAD_DEMO,
)
ASR_STAGES = (CREATE_DATASET, TRAIN_TOKENIZER, *BASE_STAGES[1:])

SYSTEMS: dict[str, tuple[Stage, ...]] = {
    "espnet3.systems.base.system.BaseSystem": BASE_STAGES,
    "espnet3.systems.asr.system.ASRSystem": ASR_STAGES,
}
"""The systems that come with ESPnet3. Another class is read, and found to extend one of these."""

KNOWN_STAGES = {stage.name: stage for stage in ASR_STAGES}

NOT_STAGES = frozenset({"run_with_config"})
"""Public methods of a system that are no stages."""
