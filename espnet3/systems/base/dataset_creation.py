"""The stage create_dataset: each dataset's builder prepares its source and builds what is missing."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import at_name, uses_config
from espnet3.utils.errors import ConfigError, did_you_mean, listed
from espnet3.utils.run_utils import parallel_for_stage

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LOG = logging.getLogger(__name__)
_LIFECYCLE = ("is_source_prepared", "prepare_source", "is_built", "build")
# Settings that the framework adds; a builder that has no use for them need not take them.
_OWN = "dataset"
_ADDED = ("recipe_dir", "parallel")


@uses_config
def create_datasets(training_config: DictConfig, inference_config: DictConfig | None, builder_name: str) -> None:
    """Build every dataset that `dataset.train`, `valid` and `test` of the configs refer to, each once.

    The keys of `create_dataset` are the keyword arguments of the builder's lifecycle methods. A key that is
    the `data_src` of a dataset in use and holds a mapping is for that dataset alone; the recipe's own `dataset` folder,
    which an entry without `data_src` means, has the key `dataset`. Where the stage has a machine setting, it is in force
    while a builder works, so that a runner in `build` uses it.

    Args:
        training_config: Names datasets and holds `create_dataset`.
        inference_config: Names the test sets, if it is given.
        builder_name: What a dataset module calls its builder; a module without one is passed over.

    Raises:
        ConfigError: There is no dataset, a module or a lifecycle method does not exist or does not take the
            settings, or a dataset is not built after `build`.
    """
    from esp3rt.progress import console_line, duration
    from espnet3.components.data.dataset_module import load_dataset_module
    from espnet3.utils.machine_setting import parallel_in_force

    sources = _sources(training_config, inference_config)
    if not sources:
        raise ConfigError("the configs have no dataset: list one under dataset.train")
    recipe_dir = training_config.get("recipe_dir")
    for label, source in sources.items():
        module = load_dataset_module(source, recipe_dir)
        builder_class = getattr(module, builder_name, None)
        if builder_class is None:
            _LOG.info("%s has no %s: nothing is built for it", label, builder_name)
            continue
        settings, keys = _settings(training_config, label, sources)
        start = time.monotonic()
        with (
            at_name(getattr(module, "__file__", None), builder_name, "create_dataset"),
            parallel_in_force(parallel_for_stage(training_config, "create_dataset")),
        ):
            was_built = _build(builder_class, settings, keys, label)
        done = "was built before" if was_built else f"built in {duration(time.monotonic() - start)}"
        console_line(f"create_dataset {label}: {done}")


def warn_of_other_data(
    training_config: DictConfig | None, inference_config: DictConfig | None, builder_name: str
) -> None:
    """Say which datasets are not built as `create_dataset` of the training config would build them now.

    Only builders are asked, which look at files; who has no `create_dataset` has made the data by other means.
    """
    from esp3rt.progress import console_line
    from espnet3.components.data.dataset_module import load_dataset_module

    if training_config is None or training_config.get("create_dataset") is None:
        return
    sources = _sources(training_config, inference_config)
    for label, source in sources.items():
        try:
            builder_class = getattr(load_dataset_module(source, training_config.get("recipe_dir")), builder_name, None)
            if builder_class is None:
                continue
            settings, keys = _settings(training_config, label, sources)
            is_built = _bound(
                builder_class().is_built, settings, keys, f"{label}: {builder_class.__qualname__}.is_built()"
            )
            current = is_built()
        except Exception:  # noqa: BLE001 - what is wrong with it is create_dataset's to say, not this stage's to fail of
            _LOG.info("whether %s is built as create_dataset would build it cannot be told", label, exc_info=True)
            continue
        if not current:
            console_line(
                f"warning: the data of {label} are not those that create_dataset would make with its settings now; run "
                "the stage create_dataset, or take it for what is there"
            )


def _sources(*configs: DictConfig | None) -> dict[str, str | None]:
    """Each `data_src` of the configs, once, in order, by its key in `create_dataset`."""
    from espnet3.components.data.dataset_module import parse_dataset_reference_config

    found: dict[str, str | None] = {}
    for config in configs:
        dataset = None if config is None else config.get("dataset")
        for split in ("train", "valid", "test"):
            for entry in (dataset.get(split) if dataset is not None else None) or []:
                # An entry that is a target of its own brings its data along.
                if entry.get("_target_") is not None:
                    continue
                source = parse_dataset_reference_config(entry).data_src
                found.setdefault(source or _OWN, source)
    return found


def _settings(config: DictConfig, source: str, sources: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The keyword arguments for one builder, and for each the key of the config that sets it."""
    from omegaconf import OmegaConf

    node = config.get("create_dataset")
    plain: Any = {} if node is None else OmegaConf.to_container(node, resolve=True)
    own = {name for name in sources if isinstance(plain.get(name), Mapping)}
    common = {key: value for key, value in plain.items() if key not in own}
    alone = plain[source] if source in own else {}
    settings = {**common, **alone}
    keys = {name: f"create_dataset.{name}" for name in common}
    keys.update((name, f"create_dataset.{source}.{name}") for name in alone)
    if config.get("recipe_dir") is not None:
        settings.setdefault("recipe_dir", config.get("recipe_dir"))
    machine = parallel_for_stage(config, "create_dataset")
    if machine is not None:
        settings.setdefault("parallel", machine)
    return settings, keys


def _build(builder_class: Any, settings: Mapping[str, Any], keys: Mapping[str, str], label: str) -> bool:
    """Go through the lifecycle; say whether the dataset was there already."""
    builder = builder_class()
    methods = {}
    for name in _LIFECYCLE:
        method = getattr(builder, name, None)
        if not callable(method):
            near = did_you_mean(name, [entry for entry in dir(builder) if not entry.startswith("_")])
            raise ConfigError(f"{label}: the builder {builder_class.__qualname__} has no {name}(){near}")
        methods[name] = _bound(method, settings, keys, f"{label}: {builder_class.__qualname__}.{name}()")
    if not methods["is_source_prepared"]():
        methods["prepare_source"]()
    if methods["is_built"]():
        return True
    methods["build"]()
    if not methods["is_built"]():
        raise ConfigError(
            f"{label}: {builder_class.__qualname__}.build() has returned, but is_built() still says no; "
            "either build() leaves something out, or is_built() looks in another place"
        )
    return False


def _bound(
    method: Callable[..., Any], settings: Mapping[str, Any], keys: Mapping[str, str], label: str
) -> Callable[[], Any]:
    parameters = inspect.signature(method).parameters
    takes_all = any(entry.kind is inspect.Parameter.VAR_KEYWORD for entry in parameters.values())
    if takes_all:
        given = dict(settings)
    else:
        given = {key: value for key, value in settings.items() if key in parameters or key not in _ADDED}
    unknown = [key for key in given if key not in parameters and not takes_all]
    if unknown:
        raise ConfigError(
            f"{label} does not take {listed(unknown)}, which the builder is given (create_dataset in the training "
            f"config); it takes {listed(parameters)}{did_you_mean(unknown[0], parameters)}",
            key=keys.get(unknown[0]),
        )
    missing = [
        key
        for key, entry in parameters.items()
        if key not in given
        and entry.default is inspect.Parameter.empty
        and entry.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    if missing:
        raise ConfigError(
            f"{label} needs {listed(missing)}: give it to the builder (create_dataset in the training config)"
        )
    return lambda: method(**given)
