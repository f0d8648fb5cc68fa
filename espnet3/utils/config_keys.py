"""The keys that the framework reads at the top level of a config; a recipe may have others for itself."""

from __future__ import annotations

from collections.abc import Iterable

_COMMON = (
    "data_dir", "dataset_dir", "exp_dir", "exp_tag", "inference_dir", "parallel", "recipe_dir", "seed", "stage_parallel",
    "stats_dir",
)  # fmt: skip
CONFIG_KEYS: dict[str, tuple[str, ...]] = {
    "training.yaml": (
        *_COMMON, "best_model_criterion", "checkpoint_every", "create_dataset", "dataloader", "dataset", "fit", "init",
        "max_nan_steps", "model", "num_device", "num_nodes", "num_threads", "optimizer", "optimizers", "scheduler",
        "scheduler_interval", "scheduler_monitor", "schedulers", "task", "tokenizer", "trainer", "write_collected_feats",
    ),
    "inference.yaml": (
        *_COMMON, "batch_size", "dataset", "device", "hyp_key", "idx_key", "input_key", "model", "output_artifacts",
        "output_fn", "output_keys", "provider", "ref_key", "resume", "runner",
    ),
    "metrics.yaml": (*_COMMON, "dataset", "metrics"),
    "publication.yaml": (*_COMMON, "pack_model", "upload_model"),
    "demo.yaml": (*_COMMON, "description", "model", "pack_demo", "title", "upload_demo"),
}  # fmt: skip
_NEAR = 0.8


def misspelt_keys(keys: Iterable[str], config_name: str) -> dict[str, str]:
    """Keys that nobody but the recipe can mean, but that are near to one the framework reads and that is not there.

    Args:
        keys: The top-level keys of a user's config.
        config_name: The file of defaults that it is merged over.

    Returns:
        For each such key the one that may be meant.
    """
    from difflib import get_close_matches

    there = set(keys)
    known = CONFIG_KEYS.get(config_name, ())
    found = {}
    for key in sorted(there.difference(known)):
        near = get_close_matches(key, known, n=1, cutoff=_NEAR)
        if near and near[0] not in there:
            found[key] = near[0]
    return found
