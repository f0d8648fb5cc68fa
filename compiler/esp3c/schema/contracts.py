"""What the components that espnet3 itself brings take and give, as data: the parts of a flow that need not be read.

`tests/compiler/test_contracts.py` holds it against the real ones.
"""

from __future__ import annotations

from esp3c.record import record


@record
class Collate:
    """What a collate function makes of the fields of items.

    `lengths` is what is put behind the name of an array for the field of its lengths, and `without` the argument that
    names the arrays that get none. `text`: texts come into the batch too.
    """

    lengths: str
    without: str
    text: bool


COMMON_COLLATE = "espnet3.components.data.collate.CommonCollateFn"
COLLATES = {COMMON_COLLATE: Collate("_lengths", "not_sequence", text=False)}
DEFAULT_COLLATE = Collate("", "", text=True)
"""torch's own, where a config has no `collate_fn`."""

UTT_ID = "utt_id"
"""The field that names an item: `idx_key` unless a config says otherwise."""

OUTPUT_FN = ("data", "model_output", "idx")
"""The parameters of an `output_fn`, which it is given by name."""

METRIC_FIELDS = {
    "espnet3.systems.asr.metrics.wer.WER": {"ref_key": "ref", "hyp_key": "hyp"},
    "espnet3.systems.asr.metrics.cer.CER": {"ref_key": "ref", "hyp_key": "hyp"},
}
"""The arguments of a metric that name the fields that it reads, with their defaults."""

MODULE = "torch.nn.modules.module.Module"
"""Calling a torch module calls its `forward`."""

PARTS = {
    "espnet3.components.modeling.pretrained.load_pretrained": ("only", "skip"),
    "espnet3.components.modeling.pretrained.freeze": ("only", "skip"),
}
"""Functions that are given a `model`, and the arguments that name parts of it."""

BASE_RUNNER = "espnet3.parallel.base_runner.BaseRunner"
INFERENCE_RUNNER = "espnet3.systems.base.inference_runner.InferenceRunner"
ENVIRONMENT_PROVIDER = "espnet3.parallel.env_provider.EnvironmentProvider"
PARALLEL_PROVIDER = "espnet3.parallel.inference_provider.InferenceProvider"
INFERENCE_PROVIDER = "espnet3.systems.base.inference_provider.InferenceProvider"

WRITER_HOOKS = ("open_writers", "write_record", "close_writers")
STATE_HOOKS = ("init_state", "reduce_state", "finalize_state")

HOOKS: dict[str, tuple[str, ...]] = {
    "open_writers": ("shard_dir",),
    "write_record": ("writers", "result", "state"),
    "close_writers": ("writers",),
    "init_state": (),
    "reduce_state": ("state", "result"),
    "finalize_state": ("state",),
}
"""Hooks of a runner, and what the runner gives them by position; their other parameters come from the environment."""

PROVIDER_METHODS: dict[str, tuple[str, ...]] = {
    "build_env_local": (),
    "build_worker_setup_fn": (),
    "build_dataset": ("config",),
    "build_model": ("config",),
}
"""What is called of a provider, with what. `build_dataset` and `build_model` are called on the class."""

RUNNER_ENV = frozenset({"shard_id", "output_dir", "shard_subdir"})
"""What the state hooks are given by name beside the environment."""

INFERENCE_ENV = frozenset({"dataset", "model"})
"""What espnet3's own providers build."""

INFER_PARAMS = frozenset({"input_key", "output_fn", "output_artifacts"})
"""What the stage `infer` adds to the environment of its provider."""

INFERENCE_OPTIONS = frozenset({"artifact_dir", "idx_key", "output_keys", "hyp_key", "ref_key"})
"""What espnet3's inference runner adds to the environment itself."""

ARTIFACTS = ("wav", "npy", "json", "pickle")
"""The types of files that `output_artifacts` knows."""

LOGGED = ("train/", "valid/", "step/")
"""How the names of the numbers begin that a training logs; behind it comes `loss` or a name from the model's `stats`."""

GAN_MODELS = ("espnet3.systems.tts.gan_model.AbsGANModel", "espnet2.train.abs_gan_espnet_model.AbsGANESPnetModel")
"""Classes of models that are trained in turns."""

GAN_SYSTEM = "espnet3.systems.tts.system.TTSSystem"
"""The system that trains them so."""

GAN_TURNS = ("generator", "discriminator")
"""The turns, which are the names of their optimizers."""

GAN_FLAG = "forward_generator"
"""The parameter of `forward` that tells whose turn it is."""

GAN_RESULT = ("loss", "stats", "weight", "optim_idx")
"""What `forward` gives in a turn."""
