"""A stage that is a runner over a dataset, written in a config alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import at_key, uses_config
from espnet3.utils.errors import ConfigError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

_KEYS = ("runner", "provider", "over")


@uses_config
def run_workload(config: DictConfig, stage: str) -> Any:
    """Run the workload `config.<stage>` and return what its runner returns.

    The workload is a mapping of

    - `runner`: a target; it is called with `provider` and its own keys,
    - `provider`: a target; it is called with `config` and its own keys,
    - `over`: what to run over: "train", "valid", "test.NAME", or the same with `dataset.` before it.

    Raises:
        ConfigError: A key is missing or unknown, or `over` names no data of this config.
    """
    from espnet3.utils._dotted import import_dotted
    from espnet3.utils.instantiation import instantiate
    from espnet3.utils.machine_setting import parallel_in_force
    from espnet3.utils.run_utils import parallel_for_stage

    node = config.get(stage)
    if node is None:
        near = did_you_mean(stage, [str(key) for key in config])
        raise ConfigError(f"stage `{stage}`: the config has no key {stage!r} with its runner and provider{near}")
    for key in node:
        if key not in _KEYS:
            raise ConfigError(f"{stage}: no workload has {key!r}; it has {listed(_KEYS)}{did_you_mean(key, _KEYS)}")
    for key in _KEYS:
        if node.get(key) is None:
            raise ConfigError(f"{stage}: the workload has no {key!r}; it needs {listed(_KEYS)}")
    length = len(_dataset(config, str(node.over), stage))

    def make(key: str, *args: Any, **given: Any) -> Any:
        target = node[key]
        path = target if isinstance(target, str) else target.get("_target_")
        if path is None:
            raise ConfigError(f"{stage}.{key}: it needs a _target_, the class to use; it has {listed(target)}")
        rest = {} if isinstance(target, str) else {name: target[name] for name in target if name != "_target_"}
        built = instantiate(rest, f"{stage}.{key}", _convert_="all")
        made = import_dotted(str(path), f"{stage}.{key}")
        with at_key(f"{stage}.{key}", rest):
            return made(*args, **given, **built)

    provider = make("provider", config)
    runner = make("runner", provider=provider)
    if hasattr(runner, "label"):
        runner.label = stage
    with parallel_in_force(parallel_for_stage(config, stage)):
        return runner(range(length))


def _dataset(config: DictConfig, over: str, stage: str) -> Any:
    from espnet3.utils.instantiation import instantiate

    path = over.removeprefix("dataset.")
    split, _, name = path.partition(".")
    dataset = config.get("dataset")
    if dataset is None or split not in ("train", "valid", "test") or not dataset.get(split):
        there = [key for key in ("train", "valid", "test") if dataset is not None and dataset.get(key)]
        raise ConfigError(f"{stage}.over: {over!r} names no data of this config; it has {listed(there)}")
    organizer = instantiate(dataset, "dataset")
    if split != "test":
        if name:
            raise ConfigError(f"{stage}.over: {over!r}: only test sets have names")
        return getattr(organizer, split)
    tests = organizer.test
    if name not in tests:
        known = [f"test.{key}" for key in tests]
        raise ConfigError(f"{stage}.over: {over!r}: there are {listed(known)}{did_you_mean(path, known)}")
    return tests[name]
