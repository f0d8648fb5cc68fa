"""The stages that ESPnet3's systems have: order, configs, the keys that each reads, and the files that it reads and leaves."""

from __future__ import annotations

from collections.abc import Sequence

from esp3c.record import record


@record
class Files:
    """Files of a stage: those called `names` (patterns, with `|` between them) in the folder that `folder`, a key of a config, holds.

    With `when`, only where one of these keys is set.
    """

    folder: str
    names: str
    what: str
    when: tuple[str, ...] = ()


@record
class Stage:
    """A stage of a system. `reads` names keys that must be there, `a|b` where either will do.

    `also` are configs that it works with where the recipe has them: a line of one's own names them where they are others.

    `makes_data` and `reads_data` are the places of configs whose datasets it builds or goes through. `shares_items`: the
    items are divided among the workers of its machine.
    """

    name: str
    requires: tuple[str, ...]
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    makes_data: tuple[str, ...] = ()
    reads_data: tuple[str, ...] = ()
    reads_files: tuple[Files, ...] = ()
    writes: tuple[Files, ...] = ()
    shares_items: bool = False
    also: tuple[str, ...] = ()

    def slots(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """For each config that a line gives, by its kind, the one of the stage's own in whose place it stands.

        Empty for those that are too many. Where a config that may be left out stands among the others is all the same.
        """
        found: list[str] = []
        needed = iter(self.requires)
        for kind in kinds:
            found.append(kind if kind in self.also and kind not in found else next(needed, ""))
        return tuple(found)


_BY_LENGTH = tuple(
    f"training.dataloader.{split}.{key}"
    for split in ("train", "valid")
    for key in ("batch_bins", "sort_by_length", "iter_factory.batches.batch_bins")
)
"""Settings with which batches are cut by the lengths of the items."""

STATS = Files("training.stats_dir", "*", "shapes and statistics")
TOKENS = Files("training.tokenizer.save_path", "*", "tokenizer")
CHECKPOINTS = Files("training.exp_dir", "*.ckpt|*.pth", "checkpoints")
OUTPUTS = Files("inference.inference_dir", "*.scp", "outputs")
SCORES = Files("metrics.inference_dir", "metrics.json", "scores")
BUNDLE = Files("publication.pack_model.out_dir", "*", "bundle")
DEMO = Files("demo.pack_demo.out_dir", "*", "page")

CREATE_DATASET = Stage(
    "create_dataset",
    ("training",),
    ("training.dataset",),
    makes_data=("training.dataset.train", "training.dataset.valid", "training.dataset.test", "inference.dataset.test"),
)
TRAIN_TOKENIZER = Stage(
    "train_tokenizer",
    ("training",),
    ("training.tokenizer.vocab_size", "training.tokenizer.save_path", "training.tokenizer.text_builder"),
    after=("create_dataset",),
    writes=(TOKENS,),
)
COLLECT_STATS = Stage(
    "collect_stats",
    ("training",),
    ("training.dataset.train", "training.model"),
    after=("create_dataset", "train_tokenizer"),
    reads_data=("training.dataset.train", "training.dataset.valid"),
    writes=(STATS,),
    shares_items=True,
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
    reads_data=("training.dataset.train", "training.dataset.valid"),
    reads_files=(Files("training.stats_dir", "*", "shapes", when=_BY_LENGTH), TOKENS),
    writes=(CHECKPOINTS,),
)
INFER = Stage(
    "infer",
    ("inference",),
    ("inference.dataset.test", "inference.model", "inference.input_key|inference.provider|inference.runner"),
    after=("train",),
    reads_data=("inference.dataset.test",),
    writes=(OUTPUTS,),
    shares_items=True,
)
MEASURE = Stage(
    "measure",
    ("metrics",),
    ("metrics.metrics",),
    after=("infer",),
    reads_files=(Files("metrics.inference_dir", "*.scp", "outputs"),),
    writes=(SCORES,),
)
PACK_MODEL = Stage(
    "pack_model",
    ("training", "publication"),
    ("publication.pack_model",),
    after=("train",),
    reads_files=(CHECKPOINTS, TOKENS),
    writes=(BUNDLE,),
    also=("inference", "metrics"),
)
UPLOAD_MODEL = Stage(
    "upload_model",
    ("publication",),
    ("publication.upload_model.hf_repo",),
    after=("pack_model",),
    reads_files=(BUNDLE,),
)
PACK_DEMO = Stage("pack_demo", ("demo",), after=("pack_model",), writes=(DEMO,))
UPLOAD_DEMO = Stage(
    "upload_demo",
    ("demo",),
    ("demo.upload_demo.hf_repo",),
    after=("pack_demo",),
    reads_files=(DEMO,),
)

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
    "espnet3.systems.tts.system.TTSSystem": BASE_STAGES,
}
"""The systems that come with ESPnet3. Another class is read, and found to extend one of these."""

KNOWN_STAGES = {stage.name: stage for stages in (ASR_STAGES, *SYSTEMS.values()) for stage in stages}
"""The stages of all systems. Two systems that have a stage of one name have the same."""

NOT_STAGES = frozenset({"run_with_config"})
"""Public methods of a system that are no stages."""

HOOKS_OF_STAGES = {"train": ("_build_trainer",)}
"""Methods of a system that change what a stage of espnet3 does."""
