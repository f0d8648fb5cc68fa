"""What a recipe's `run.py` does with its configs between loading them and running stages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, StageError, listed

if TYPE_CHECKING:
    import logging

    from omegaconf import DictConfig

# What `espnet3.parallel.executions` has an execution for: on this machine, and in a Dask cluster.
_HERE = ("local", "local_gpu", "slurm")
_DASK = ("dask", "htcondor", "lsf", "moab", "oar", "pbs", "sge")
# They do not go through items that workers could share.
_ALONE = ("train_tokenizer", "train", "measure", "pack_model", "upload_model", "pack_demo", "upload_demo")


def apply_training_experiment_context(
    *,
    training_config: DictConfig | None,
    inference_config: DictConfig | None,
    metrics_config: DictConfig | None,
    publication_config: DictConfig | None,
    demo_config: DictConfig | None = None,
    log: logging.Logger,
    further_configs: Iterable[DictConfig | None] = (),
) -> None:
    """Make the configs of one run speak of one experiment, in place.

    `exp_tag` and `exp_dir` of the training config are carried into all others; `inference_dir` of the
    inference config into the metrics config. Configs that are None are passed over. An `exp_tag` that is null is
    missing, so that what refers to it is no folder called None.

    Args:
        training_config: Where the experiment is named.
        inference_config: Takes `exp_tag` and `exp_dir`.
        metrics_config: Takes `exp_tag`, `exp_dir` and `inference_dir`.
        publication_config: Takes `exp_tag` and `exp_dir`.
        demo_config: Takes `exp_tag` and `exp_dir`.
        log: Told of a value that is replaced by another.
        further_configs: Configs of the recipe's own; they take `exp_tag` and `exp_dir`.

    Raises:
        ConfigError: A value to carry refers to a key that is not there.
    """
    others = {
        "inference": inference_config,
        "metrics": metrics_config,
        "publication": publication_config,
        "demo": demo_config,
    }
    for index, config in enumerate(further_configs):
        others[f"further config {index}"] = config
    let_null_tags_be_missing(training_config, *others.values())
    if training_config is not None:
        for key in ("exp_tag", "exp_dir"):
            value = _value(training_config, key, "training")
            for name, config in others.items():
                _carry(config, key, value, name, "training", log)
    if inference_config is not None and metrics_config is not None:
        value = _value(inference_config, "inference_dir", "inference")
        _carry(metrics_config, "inference_dir", value, "metrics", "inference", log)


def validate_experiment_context(
    *,
    training_config: DictConfig | None,
    inference_config: DictConfig | None,
    metrics_config: DictConfig | None,
    stages_to_run: Sequence[str],
) -> None:
    """See that each stage to run knows its experiment.

    Raises:
        ConfigError: A stage's config does not say where its files are; the message names the stage, the
            key, and the two ways out.
    """
    places: dict[str, tuple[DictConfig | None, str, str]] = {
        "collect_stats": (training_config, "training", "stats_dir"),
        "train": (training_config, "training", "exp_dir"),
        "infer": (inference_config, "inference", "inference_dir"),
        "measure": (metrics_config, "metrics", "inference_dir"),
    }
    for stage in stages_to_run:
        config, name, key = places.get(stage, (None, "", ""))
        if config is None:
            continue
        let_null_tags_be_missing(config)
        try:
            value = _value(config, key, name)
        except ConfigError as error:
            raise ConfigError(f"stage `{stage}`: {error}{_way_out(name)}") from error
        if not value:
            raise ConfigError(f"stage `{stage}`: the {name} config has no {key}{_way_out(name)}")


def resolve_loaded_configs(*configs: DictConfig | None) -> None:
    """Replace the interpolations of each config by their values, in place; None is passed over.

    Raises:
        ConfigError: An interpolation leads nowhere; the message names file, line and the nearest key.
    """
    if all(config is None for config in configs):
        return
    from espnet3.utils.config_utils import resolve_config

    for config in configs:
        if config is not None:
            resolve_config(config)


def let_null_tags_be_missing(*configs: DictConfig | None) -> None:
    """Let an `exp_tag` that is null be a missing value, in place: what refers to it is then an error, and no folder
    called None. Configs that are None are passed over."""
    for config in configs:
        if config is not None and "exp_tag" in config and config["exp_tag"] is None:
            config["exp_tag"] = "???"


def parallel_for_stage(config: DictConfig | None, stage: str) -> DictConfig | None:
    """The machine setting that `config` has for `stage`: `stage_parallel.<stage>`, else `parallel`, else
    None."""
    if config is None:
        return None
    by_stage = config.get("stage_parallel")
    own = by_stage.get(stage) if by_stage is not None else None
    setting: DictConfig | None = own if own is not None else config.get("parallel")
    return setting


def check_parallel(stage: str, setting: DictConfig | None) -> str | None:
    """See that this version can run `stage` where `setting` says.

    Returns:
        A line that tells the user what the setting does not do here, or None.

    Raises:
        StageError: There is no way to run it there.
    """
    if setting is None:
        return None
    env = setting.get("env") or "local"
    if env not in (*_HERE, *_DASK):
        raise StageError(
            f"stage `{stage}` is to run on `{env}` (parallel.env), but this version runs stages on one of "
            f"{listed((*_HERE, *_DASK))}: set another env for it, under stage_parallel.{stage} or parallel in its config"
        )
    if env == "slurm":
        from espnet3.utils.machine_setting import settings_of

        remarks = settings_of(setting).remarks
        return f"{stage}: {'; '.join(remarks)}" if remarks else None
    if env in _DASK and stage in _ALONE:
        return f"{stage}: env: {env} has no effect on it: it does not go through items that workers could share"
    return None


def shares_items(stage: str) -> bool:
    """Whether a stage goes through items that workers could share; one of the recipe's own may."""
    return stage not in _ALONE


def _way_out(name: str) -> str:
    if name == "training":
        return ""
    return f"; give --training_config, which names the experiment, or set exp_tag in the {name} config"


def _value(config: DictConfig, key: str, name: str) -> Any:
    from omegaconf.errors import OmegaConfBaseException

    try:
        return config.get(key)
    except OmegaConfBaseException as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        named = name != "training" or config.get("exp_tag")
        hint = "" if named else "; name the experiment with exp_tag, or leave that key out to take the file's name"
        raise ConfigError(f"{key} of the {name} config cannot be told: {reason}{hint}") from error


def _carry(config: DictConfig | None, key: str, value: Any, name: str, source: str, log: logging.Logger) -> None:
    from omegaconf import open_dict

    if config is None or value is None:
        return
    try:
        before = _value(config, key, name)
    except ConfigError:
        before = None
    if before is not None and before != value:
        log.info("%s of the %s config: %s, from the %s config (it was %s)", key, name, value, source, before)
    with open_dict(config):
        config[key] = value
