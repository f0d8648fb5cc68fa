"""The bridge to ESPnet2-style tasks: classes that build a model from a namespace of arguments."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils._dotted import import_dotted
from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def get_task_class(task_path: str) -> Any:
    """The task class that `task_path` ("espnet2.tasks.asr.ASRTask") names.

    Raises:
        ConfigError: There is no such class, its package is not installed, or it cannot build a model.
    """
    try:
        task = import_dotted(task_path, "task")
    except ConfigError as error:
        if task_path.partition(".")[0] == "espnet2":
            raise ConfigError(f"{error}; ESPnet2's tasks come with the package `espnet`") from error
        raise
    for name in ("get_default_config", "build_model"):
        if not callable(getattr(task, name, None)):
            raise ConfigError(f"task: {task_path} is no task: it has no {name}()")
    return task


def get_espnet_model(task: str, config: dict[str, Any] | DictConfig) -> Any:
    """Build the model of a task.

    Args:
        task: The dotted path of the task class.
        config: The model's settings, which are laid over the task's default ones.
    """
    task_class = get_task_class(task)
    return task_class.build_model(Namespace(**_task_config(task_class, config)))


def save_espnet_config(task: str, config: dict[str, Any] | DictConfig, output_dir: str) -> None:
    """Write `config.yaml` under `output_dir`, as ESPnet2's own inference reads it.

    It holds the task's default settings, over them those of `config.model`, and beside them the other plain
    values of `config`.
    """
    import yaml

    from esp3rt.files import write_text

    task_class = get_task_class(task)
    plain = _plain(config)
    model = plain.get("model") or {}
    merged = {**_task_config(task_class, model), **{key: plain[key] for key in plain if key != "model"}}
    merged.update(model)
    path = Path(output_dir) / "config.yaml"
    write_text(path, yaml.safe_dump(merged, sort_keys=True, allow_unicode=True))


def _task_config(task_class: Any, config: dict[str, Any] | DictConfig) -> dict[str, Any]:
    return {**task_class.get_default_config(), **_plain(config)}


def _plain(config: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    return dict(plain)
