"""What a `run.py` does between its command line and the first stage: configs, and the system that gets them.

Configs are called by their short names here: "training" is `--training_config` and `training_config=`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, MissingConfigError, did_you_mean, listed
from espnet3.utils.logging_utils import configure_logging
from espnet3.utils.run_utils import (
    apply_training_experiment_context,
    let_null_tags_be_missing,
    resolve_loaded_configs,
    validate_experiment_context,
)
from espnet3.utils.stages_utils import STAGE_CONFIGS, require_configs

if TYPE_CHECKING:
    from omegaconf import DictConfig

WELL_KNOWN = ("training", "inference", "metrics", "publication", "demo")
_SCAFFOLD = "scaffold.yaml"
_PACKAGE = "espnet3.systems.base"


def load_run_configs(
    paths: Mapping[str, Path | None],
    stages_to_run: Sequence[str],
    required_configs: Mapping[str, Sequence[str]],
    *,
    defaults: Mapping[str, str] | None = None,
    recipe_dir: Path | None = None,
    system_cls: Callable[..., Any] | None = None,
) -> dict[str, DictConfig | None]:
    """Load the configs of a run, each merged over its defaults, and make them speak of one experiment.

    The experiment is that of the training config: the one of that name, or else the one that the system stands there in
    its place. A further training (a config merged over training.yaml under another name) keeps its own.

    Args:
        paths: The file of each config, from where the command was given; None is one that was not given.
        stages_to_run: The stages.
        required_configs: The configs that a stage cannot do without.
        defaults: For a config the file of defaults that it is merged over; by its name where it has no entry
            (`defaults_of`).
        recipe_dir: The folder to go to once the files are read, from where paths in configs are meant.
        system_cls: The system, where it may train with a further training: it is made once to be asked for that.

    Returns:
        Each config under its name, its interpolations replaced by their values.

    Raises:
        MissingConfigError: A stage lacks a config; the message names the stage and the flag.
        ConfigError: A config cannot be read, or refers to what is not there.
    """
    from espnet3.utils.config_utils import load_and_merge_config

    files = {name: (defaults or {}).get(name) or defaults_of(name) for name in paths}
    configs = {
        name: load_and_merge_config(path and Path(path).absolute(), files[name], _PACKAGE, resolve=False)
        for name, path in paths.items()
    }
    if recipe_dir is not None:
        os.chdir(recipe_dir)
    require_configs(
        stages_to_run,
        {stage: tuple(configs.get(name) for name in needed) for stage, needed in required_configs.items()},
        flags={stage: [f"--{name}_config" for name in needed] for stage, needed in required_configs.items()},
    )
    let_null_tags_be_missing(*configs.values())
    training, inference, metrics = (configs.get(name) for name in ("training", "inference", "metrics"))
    if training is None and system_cls is not None:
        training = _training_of(system_cls, configs, [name for name in paths if files[name] == "training.yaml"])
    apply_training_experiment_context(
        training_config=training,
        inference_config=inference,
        metrics_config=metrics,
        publication_config=configs.get("publication"),
        demo_config=configs.get("demo"),
        log=configure_logging(),
        further_configs=[
            config for name, config in configs.items() if name not in WELL_KNOWN and files[name] != "training.yaml"
        ],
    )
    validate_experiment_context(
        training_config=training, inference_config=inference, metrics_config=metrics, stages_to_run=stages_to_run
    )
    for name, config in configs.items():
        if config is not None:
            _leave_untold(config, files[name])
    resolve_loaded_configs(*configs.values())
    return configs


def defaults_of(name: str) -> str:
    """The file of defaults for a config: that of the well-known config whose name it has or begins with.

    `training_easy` is merged over training.yaml. A config of another name gets the folders of the experiment alone.
    """
    for known in WELL_KNOWN:
        if name == known or name.startswith(f"{known}_"):
            return f"{known}.yaml"
    return _SCAFFOLD


def needed_by(
    stages_to_run: Iterable[str],
    system_cls: Callable[..., Any],
    names: Iterable[str],
    required_configs: Mapping[str, str | Sequence[str]],
) -> dict[str, tuple[str, ...]]:
    """The configs that each stage cannot do without, by their short names.

    What a stage of the framework works with is known. A config that the system does not take from outside is its own
    affair: it may well stand another in its place.

    Args:
        stages_to_run: The stages.
        system_cls: The system.
        names: The configs that the command line has flags for.
        required_configs: What the recipe says of its own stages, as `"export_config"` or a tuple of such names.

    Raises:
        ConfigError: The recipe says that a stage needs a config for which there is no flag.
    """
    known = list(names)
    takes = _Takes(system_cls)
    needed: dict[str, tuple[str, ...]] = {}
    for stage in stages_to_run:
        own = required_configs.get(stage)
        if own is None:
            usual = (name.removesuffix("_config") for name in STAGE_CONFIGS.get(stage, ()))
            needed[stage] = tuple(name for name in usual if name in known and takes(f"{name}_config"))
            continue
        needed[stage] = tuple(name.removesuffix("_config") for name in ([own] if isinstance(own, str) else own))
        for name in needed[stage]:
            if name not in known:
                flags = [f"--{each}_config" for each in known]
                raise ConfigError(
                    f"required_configs: stage `{stage}` needs {name}_config, but the parser has no flag "
                    f"--{name}_config{did_you_mean(f'--{name}_config', flags)}; add it with parser.add_argument"
                )
    return needed


def make_system(system_cls: Callable[..., Any], configs: Mapping[str, DictConfig | None]) -> Any:
    """Make the system with the configs that it takes.

    A config that was not given is handed over as None where the system takes it, and left out where it does not.

    Args:
        system_cls: The class, or a function that makes the system.
        configs: The configs by their short names.

    Raises:
        ConfigError: A config was given that the system does not take.
    """
    takes = _Takes(system_cls)
    arguments = {}
    for name, config in configs.items():
        argument = f"{name}_config"
        if takes(argument):
            arguments[argument] = config
        elif config is not None:
            there = [each for each in takes.names if each.endswith("_config")]
            raise ConfigError(
                f"--{argument} was given, but {system_cls.__qualname__} takes no {argument}"
                f"{did_you_mean(argument, there)}; its configs are {listed(there)}"
            )
    return system_cls(**arguments)


def require_system_configs(system: Any, stages_to_run: Iterable[str]) -> None:
    """See that the system has a config wherever a stage of the framework reads one.

    Raises:
        MissingConfigError: It was made without.
    """
    lines = []
    for stage in stages_to_run:
        absent = [name for name in STAGE_CONFIGS.get(stage, ()) if getattr(system, name, system) is None]
        if absent:
            lines.append(
                f"stage `{stage}` works with {' and '.join(absent)}, which {type(system).__qualname__} was made without; "
                "give the flag of the config that it puts there"
            )
    if lines:
        raise MissingConfigError("\n".join(lines))


class _Takes:
    """Which keyword arguments a system takes, followed through `**kwargs` that are handed on to its base classes.

    Attributes:
        names: Those that are written out, in order.
        all: Whether it takes any other `*_config` as well.
    """

    def __init__(self, system_cls: Callable[..., Any]) -> None:
        self.names: list[str] = []
        self.all = False
        for signature in _signatures(system_cls):
            for name, parameter in signature.parameters.items():
                if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
                    self.names.append(name)
            self.all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in signature.parameters.values())
            if not self.all:
                return

    def __call__(self, argument: str) -> bool:
        return self.all or argument in self.names


def _signatures(made: Callable[..., Any]) -> list[inspect.Signature]:
    if not isinstance(made, type):
        return [inspect.signature(made)]
    # The last `__init__` is that of object, which takes nothing and is asked only where no class has one.
    own = [vars(each)["__init__"] for each in made.__mro__[:-1] if "__init__" in vars(each)]
    return [_without_self(inspect.signature(each)) for each in own] or [inspect.Signature()]


def _without_self(signature: inspect.Signature) -> inspect.Signature:
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _training_of(
    system_cls: Callable[..., Any], configs: Mapping[str, DictConfig | None], trainings: Sequence[str]
) -> DictConfig | None:
    """The config that a system trains with, where there is one and others could take its experiment."""
    from omegaconf.errors import OmegaConfBaseException

    given = [name for name, config in configs.items() if config is not None]
    if not set(given) & set(trainings) or not set(given) - set(trainings):
        return None
    try:
        found = getattr(make_system(system_cls, configs), "training_config", None)
    except OmegaConfBaseException:
        # It reads a value that depends on the experiment; whoever needs that says that it is missing.
        return None
    return next((configs[name] for name in trainings if configs[name] is found), None)


def _leave_untold(config: DictConfig, defaults: str) -> None:
    """Let default folders of an experiment that is not named be missing values instead of errors.

    They are an error only where something refers to them.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from espnet3.utils.config_utils import load_default_config

    usual = load_default_config(defaults, _PACKAGE)
    if not OmegaConf.is_missing(usual, "exp_tag") or not OmegaConf.is_missing(config, "exp_tag"):
        return
    untold = []
    for key in map(str, usual):
        mine, theirs = config._get_node(key), usual._get_node(key)
        if mine is None or theirs is None or not OmegaConf.is_interpolation(usual, key):
            continue
        try:
            config.get(key)
        except OmegaConfBaseException:
            if mine._value() == theirs._value():
                untold.append(key)
    for key in untold:
        config[key] = "???"
