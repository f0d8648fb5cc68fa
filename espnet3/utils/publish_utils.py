"""What the stages pack_model, upload_model, pack_demo and upload_demo do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import config_in_use
from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["pack_demo", "pack_model", "upload_demo", "upload_model"]


def pack_model(
    training_config: DictConfig,
    publication_config: DictConfig,
    inference_config: DictConfig | None = None,
    metrics_config: DictConfig | None = None,
) -> Path:
    """Write the bundle of a trained model; see `espnet3.publication.pack`.

    Args:
        training_config: The training; its checkpoints, tokenizer and code are packed.
        publication_config: Has the settings under `pack_model`.
        inference_config: Says what the model is for whoever loads the bundle, and which checkpoint is packed.
        metrics_config: Says where the scores are.

    Returns:
        The bundle's folder.

    Raises:
        ConfigError: A key is wrong, a file is missing, something is secret, or another bundle stands there already.
    """
    from espnet3.publication.pack import pack_model as pack

    return pack(training_config, publication_config, inference_config, metrics_config)


def upload_model(system: Any) -> None:
    """Send the bundle to the model hub: `upload_model.hf_repo` and `private` of the system's publication config.

    Raises:
        ConfigError: The config lacks a name, there is no bundle, or the hub refuses; the message says what to do.
    """
    _upload(system.publication_config, "pack_model", "upload_model", "model")


def pack_demo(system: Any) -> Path:
    """Write the folder of a page that transcribes with the bundle; see `espnet3.publication.demo`.

    Raises:
        ConfigError: A key is wrong, there is no bundle, or something else stands in the folder's place.
    """
    from espnet3.publication.demo import pack_demo as pack

    with config_in_use(system.demo_config):
        return pack(system.demo_config, system.publication_config)


def upload_demo(system: Any) -> None:
    """Send the page to the hub as a space: `upload_demo.hf_repo` and `private` of the system's demo config.

    Raises:
        ConfigError: As for `upload_model`.
    """
    _upload(system.demo_config, "pack_demo", "upload_demo", "space")


def _upload(config: DictConfig, made_by: str, stage: str, kind: str) -> None:
    """Send the folder that the stage `made_by` writes to the hub, as a repository of this kind."""
    from espnet3.publication.hub import upload
    from espnet3.publication.sealed_folder import out_dir_of

    with config_in_use(config):
        repo, private = _repository(config, stage)
        folder = out_dir_of(config, made_by)
        if not folder.is_dir():
            raise ConfigError(f"there is no {folder}: run the stage {made_by} first", key=f"{made_by}.out_dir")
        upload(folder, repo, private=private, kind=kind, stage=stage)


def _repository(config: DictConfig, stage: str) -> tuple[str, bool]:
    section = config.get(stage)
    repo = section.get("hf_repo") if section is not None else None
    if not repo:
        raise ConfigError(f"{stage}.hf_repo is not set: it names the repository, `owner/name`", key=stage)
    return str(repo), bool(section.get("private", False))
