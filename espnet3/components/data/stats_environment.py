"""What `collect_stats` works with: the split, the collate function and, where it can give features, the model."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from espnet3.components.data.callables import make_callable
from espnet3.components.data.collate import takes_pairs
from espnet3.components.data.data_organizer import DataOrganizer
from espnet3.components.data.streams import is_stream
from espnet3.utils.errors import ConfigError
from espnet3.utils.instantiation import instantiate_target
from espnet3.utils.pretrained_weights import without_loading


def to_config(parts: dict[str, Any]) -> Any:
    """Put the sections that measuring needs into one config, with every interpolation resolved."""
    from omegaconf import OmegaConf

    return OmegaConf.create(
        {
            key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for key, value in parts.items()
        },
        flags={"allow_objects": True},
    )


def build_split(config: Any) -> Any:
    """Build the dataset of the split `config.mode`.

    Args:
        config: What `to_config` gave.

    Raises:
        ConfigError: The split has no entries, or a target does not fit.
    """
    organizer = _organizer(config.dataset, config.mode)
    dataset = getattr(organizer, config.mode)
    if dataset is None:
        raise ConfigError(f"dataset.{config.mode} has no entries")
    if is_stream(dataset):
        raise ConfigError(
            f"dataset.{config.mode} only iterates, so its items have no numbers and no shapes to be written: leave the "
            "stage collect_stats out; batches are cut by batch_size"
        )
    return dataset if config.shard_idx is None else dataset.shard(config.shard_idx)


def build_env(config: Any, params: Mapping[str, Any], dataset: Any = None) -> dict[str, Any]:
    """Build `dataset`, `model`, `collate_fn` and `device`.

    Args:
        config: What `to_config` gave.
        params: Further entries.
        dataset: What `build_split` gave, where it has been built already.

    Raises:
        ConfigError: The split has no entries, or a target does not fit.
    """
    if dataset is None:
        dataset = build_split(config)
    collate_fn = make_callable(config.collate_fn, "dataloader.collate_fn") if config.collate_fn else None
    if takes_pairs(collate_fn):
        dataset.use_espnet_collator = True
    model = _model(config)
    device = torch.device("cuda" if model is not None and torch.cuda.is_available() else "cpu")
    if model is not None:
        model = model.to(device).eval()
    return {"dataset": dataset, "model": model, "collate_fn": collate_fn, "device": device, **params}


def _organizer(section: Any, mode: str) -> Any:
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(section, resolve=True)
    assert isinstance(plain, dict)
    target = plain.pop("_target_", None)
    # The other splits need not be there yet.
    for other in {"train", "valid", "test"} - {mode}:
        plain.pop(other, None)
    if target in (None, "espnet3.components.data.data_organizer.DataOrganizer"):
        return DataOrganizer(**{str(key): value for key, value in plain.items()})
    return instantiate_target({"_target_": target, **plain}, "dataset")


def _model(config: Any) -> Any:
    """Build the model if it can give features; a large one is not built only to be asked."""
    if config.task:
        from espnet3.utils.task_utils import get_espnet_model

        model = get_espnet_model(config.task, config.model)
        return model if callable(getattr(model, "collect_feats", None)) else None
    target = (config.model or {}).get("_target_")
    if not target:
        return None
    import hydra.utils

    try:
        made_by = hydra.utils.get_object(target)
    except Exception as error:
        raise ConfigError(f"model: {target} cannot be imported: {error}") from error
    if inspect.isclass(made_by) and not callable(getattr(made_by, "collect_feats", None)):
        return None
    if not inspect.isclass(made_by):
        # What a function makes is only known when it is made; the pretrained weights may still be in the making.
        with without_loading():
            model = instantiate_target(config.model, "model")
        if not callable(getattr(model, "collect_feats", None)):
            return None
    return instantiate_target(config.model, "model")
