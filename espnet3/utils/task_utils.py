"""The bridge to ESPnet2's tasks: classes that build a model from a namespace of settings.

A task is a class with `get_default_config()`, `class_choices_list` and `build_model(namespace)`, as those of
`espnet2.tasks`. Its settings are those of ESPnet2's command line without the dashes: `encoder`, `encoder_conf`, …
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LOG = logging.getLogger(__name__)
_PACKAGE = "espnet2"
_INSTALL = (
    "ESPnet2 comes with the extra `espnet`: pip install 'esp3c[espnet]' (docs/guides/espnet2-tasks.md tells what it "
    "asks for)"
)
# This much alike, a name that is no setting is a misspelt one. Less alike, it may be a note for people.
_MISSPELT = 0.85
# Recipes write the size of the vocabulary beside the settings; a task counts its tokens itself.
_PASSED_OVER = frozenset({"vocab_size"})


class EspnetMissing(ConfigError, ImportError):
    """ESPnet2 is needed and not installed, or cannot be imported here."""


def require_espnet(what: str) -> None:
    """See that ESPnet2 is installed, without importing it.

    Args:
        what: What needs it, for the message.

    Raises:
        EspnetMissing: It is not.
    """
    if _PACKAGE not in sys.modules and importlib.util.find_spec(_PACKAGE) is None:
        raise EspnetMissing(f"{what} needs ESPnet2, which is not installed here. {_INSTALL}")


@contextmanager
def importing_espnet(what: str) -> Iterator[None]:
    """Say in words why something of ESPnet2 cannot be imported.

    Raises:
        EspnetMissing: ESPnet2, or something that it imports in turn, is not there or not fit for this machine.
    """
    require_espnet(what)
    try:
        yield
    except EspnetMissing:
        raise
    # A library that was built for another machine is an OSError.
    except (ImportError, OSError) as error:
        lacks = f"it needs the module {error.name}" if isinstance(error, ModuleNotFoundError) else str(error)
        raise EspnetMissing(f"{what}: ESPnet2 is installed, but cannot be imported: {lacks}. {_INSTALL}") from error


def check_espnet(config: DictConfig | None) -> None:
    """See, without importing anything, that ESPnet2 is installed where a config names something of it.

    Raises:
        EspnetMissing: It is not; the message says what needs it and how to install it.
    """
    for key, path in _paths(config, ""):
        if path.startswith(f"{_PACKAGE}."):
            require_espnet(f"{key}: {path}")
        elif key == "task" and path.startswith("espnet3.systems.asr."):
            require_espnet(f"task: {path}, which is made of ESPnet2's classes,")


def _paths(config: Any, key: str) -> Iterator[tuple[str, str]]:
    """The task and the targets of a config, as they are written, each with its key."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
    if isinstance(plain, Mapping):
        for name, value in plain.items():
            inside = f"{key}.{name!s}" if key else str(name)
            if isinstance(value, str) and (name == "_target_" or inside == "task"):
                yield (key if name == "_target_" else inside), value
            yield from _paths(value, inside)
    elif isinstance(plain, list):
        for index, value in enumerate(plain):
            yield from _paths(value, f"{key}[{index}]")


def get_task_class(task_path: str) -> Any:
    """The task class that `task_path` ("espnet2.tasks.asr.ASRTask") names.

    Raises:
        ConfigError: There is no such class, its package is not installed, or it cannot build a model.
    """
    from espnet3.utils._dotted import import_dotted

    if task_path.partition(".")[0] == _PACKAGE:
        with importing_espnet(f"task: {task_path}"):
            task = import_dotted(task_path, "task")
    else:
        task = import_dotted(task_path, "task")
    for name in ("get_default_config", "build_model"):
        if not callable(getattr(task, name, None)):
            raise ConfigError(f"task: {task_path} is no task: it has no {name}()")
    return task


def get_espnet_model(task: str, config: dict[str, Any] | DictConfig) -> Any:
    """Build the model of a task.

    Args:
        task: The dotted path of the task class.
        config: The model's settings, which are laid over the task's default ones. `token_list` is a list, or the path
            of a file with a token a line.

    Raises:
        ConfigError: A setting is unknown, names a class that the task does not have, or does not fit that class; or
            `token_list` is not there.
    """
    task_class = get_task_class(task)
    settings = _task_settings(task_class, config)
    try:
        return task_class.build_model(Namespace(**settings))
    except ConfigError:
        raise
    # ESPnet2 refuses settings with each of these, and lacks optional packages with the first.
    except (ImportError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"model: {task} cannot build a model of these settings: {_first_line(error)}") from error


def complete(task_class: Any, args: Namespace) -> Namespace:
    """Add to a task's settings, in place, those that are left out, and read the file of tokens.

    Raises:
        ConfigError: A setting is misspelt or names a class that the task does not have; or there are no tokens.
    """
    vars(args).update(_task_settings(task_class, vars(args)))
    return args


def model_settings(config: DictConfig, *, measuring: bool = False) -> dict[str, Any]:
    """The model's settings of a training config that has a `task`, with those that follow from its tokenizer.

    Without a `token_list`, the tokens are those of `tokenizer.save_path`. `token_type` and `bpemodel`, which decoding
    needs to make text of tokens, are the tokenizer's too, unless they are given.

    Args:
        config: The training config.
        measuring: For `collect_stats`: without the normalization, whose statistics are not there yet.
    """
    settings = _plain(config.get("model") or {})
    tokenizer = config.get("tokenizer")
    if tokenizer is not None and tokenizer.get("save_path"):
        folder = Path(str(tokenizer.save_path))
        if not settings.get("token_list"):
            settings["token_list"] = str(folder / "tokens.txt")
        if "token_type" not in settings:
            # Every model of the stage train_tokenizer is SentencePiece's, which ESPnet2 calls "bpe".
            settings["token_type"] = "bpe"
            settings.setdefault("bpemodel", str(folder / f"{tokenizer.get('model_type') or 'bpe'}.model"))
    if measuring:
        settings["normalize"] = None
        settings.pop("normalize_conf", None)
    return settings


def save_espnet_config(task: str, config: dict[str, Any] | DictConfig, output_dir: str) -> None:
    """Write `config.yaml` under `output_dir`, as ESPnet2's own inference reads it.

    It holds the task's default settings, over them those of `config.model`, with the tokens written out, and beside
    them the other plain values of `config`.
    """
    import yaml
    from omegaconf import OmegaConf

    from esp3rt.files import write_text

    task_class = get_task_class(task)
    whole: Any = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
    # `init` is how weights began; who reads the file has them.
    beside = {key: value for key, value in _plain(whole).items() if key not in ("model", "init")}
    merged = {**beside, **_task_settings(task_class, model_settings(whole))}
    if "seed" in beside:
        merged["seed"] = beside["seed"]
    write_text(Path(output_dir) / "config.yaml", yaml.safe_dump(merged, sort_keys=True, allow_unicode=True))


def _task_settings(task_class: Any, config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The task's defaults with the given settings over them, complete for `build_model`."""
    given = {key: value for key, value in _plain(config).items() if key not in _PASSED_OVER}
    defaults = _default_config(task_class)
    for key in given:
        near = get_close_matches(str(key), defaults, n=1, cutoff=_MISSPELT)
        if key not in defaults and near:
            raise ConfigError(
                f"model.{key}: {task_class.__name__} has no such setting; did you mean {near[0]!r}?", key=f"model.{key}"
            )
        if key not in defaults:
            _LOG.warning("model.%s is no setting of %s; it is handed on as it is", key, task_class.__name__)
    settings = {**defaults, **given}
    for choices in getattr(task_class, "class_choices_list", ()):
        name, conf = choices.name, f"{choices.name}_conf"
        if name in given and conf not in given and given[name] != defaults.get(name):
            # The default settings are those of another class.
            settings[conf] = {}
        _check_choice(task_class, choices, settings)
    if "token_list" in defaults:
        settings["token_list"] = _tokens(settings.get("token_list"))
    return settings


def _check_choice(task_class: Any, choices: Any, settings: dict[str, Any]) -> None:
    name = choices.name
    value = settings.get(name)
    if settings.get(f"{name}_conf") is None:
        settings[f"{name}_conf"] = {}
    if value is None:
        if not choices.optional:
            raise ConfigError(f"model.{name}: {task_class.__name__} needs one of {listed(choices.classes)}")
        return
    if str(value).lower() not in choices.classes:
        raise ConfigError(
            f"model.{name}: {task_class.__name__} has no {name} {str(value)!r}; it has {listed(choices.classes)}"
            f"{did_you_mean(str(value), choices.classes)}",
            key=f"model.{name}",
        )


def _tokens(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(token) for token in value]
    if not value:
        raise ConfigError(
            "model.token_list is missing, and the config has no tokenizer: write a list of tokens, or the path of a "
            "file with a token a line",
            key="model",
        )
    path = Path(str(value))
    if not path.is_file():
        raise ConfigError(f"model.token_list: {path} does not exist; the stage train_tokenizer writes tokens.txt")
    # As ESPnet2 reads it: other characters that end a line may be tokens.
    with path.open(encoding="utf-8") as lines:
        return [line.rstrip("\r\n") for line in lines]


def _default_config(task_class: Any) -> dict[str, Any]:
    """The task's default settings. ESPnet2 reads them off the command line, which here is that of another program."""
    words = sys.argv
    sys.argv = words[:1]
    try:
        return dict(task_class.get_default_config())
    finally:
        sys.argv = words


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _plain(config: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    return dict(plain)
