"""The stage infer: every named test set of the inference config goes through the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import at_key, config_in_use, uses_config
from espnet3.utils.errors import ConfigError, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from espnet3.parallel.base_runner import BaseRunner
    from espnet3.parallel.env_provider import EnvironmentProvider

_HYDRA_KEYS = ("_target_", "_convert_", "_recursive_")


@uses_config
def infer(config: DictConfig) -> dict[str, Any]:
    """Run inference and write `<inference_dir>/<test set>/<field>.scp`.

    Reads `inference_dir`, `dataset.test`, `model`, `input_key`, `output_fn`, `output_keys`, `idx_key`,
    `batch_size`, `output_artifacts`, `resume`, `device`, and `provider` and `runner` (targets that take the
    place of the usual ones). A test set that is found done for the same inputs is kept.

    Returns:
        For each test set what its runner returned: the path of each field's file.

    Raises:
        ConfigError: A key that is needed is missing or names nothing that exists.
        OutputError: What the model or `output_fn` gives cannot be written.
    """
    from espnet3.components.data.probes import mark_of
    from espnet3.utils.machine_setting import parallel_in_force
    from espnet3.utils.run_utils import parallel_for_stage

    inference_dir = config.get("inference_dir")
    if not inference_dir:
        raise ConfigError("the inference config has no inference_dir: the outputs have no place to go")
    names = test_set_names(config)
    if not names:
        raise ConfigError("the inference config has no test set: name one under dataset.test")
    params = _params(config)
    results: dict[str, Any] = {}
    first: EnvironmentProvider | None = None
    with parallel_in_force(parallel_for_stage(config, "infer")):
        for index, name in enumerate(names):
            # The config of one test set has it in the first place.
            with config_in_use(config, moved=("dataset.test[0]", f"dataset.test[{index}]")):
                provider = _provider(_config_of(config, index, name), params, first)
                first = first or provider
                runner = _runner(config, provider, Path(str(inference_dir)), name)
                dataset = _dataset(provider, runner, name)
                runner.data_mark = mark_of(dataset)
                results[name] = runner(range(len(dataset)))
    return results


def test_set_names(config: DictConfig) -> list[str]:
    """The names of the test sets under `dataset.test`, in order.

    Raises:
        ConfigError: A test set has no name, one that is no folder name, or another's name.
    """
    dataset = config.get("dataset")
    entries = (dataset.get("test") if dataset is not None else None) or []
    names: list[str] = []
    for index, entry in enumerate(entries):
        # The only test set may go without a name.
        name = entry.get("name") or ("test" if len(entries) == 1 else None)
        if not name:
            raise ConfigError(f"dataset.test[{index}] has no name, which its output folder is called by")
        if "/" in str(name) or str(name) in (".", ".."):
            raise ConfigError(f"dataset.test[{index}]: {name!r} cannot be the name of its output folder")
        if str(name) in names:
            raise ConfigError(f"dataset.test has two test sets called {name!r}")
        names.append(str(name))
    return names


def _params(config: DictConfig) -> dict[str, Any]:
    from omegaconf import OmegaConf

    input_key = config.get("input_key")
    if input_key is None:
        raise ConfigError("the inference config has no input_key: which entry of a sample goes to the model")
    artifacts = config.get("output_artifacts")
    return {
        "input_key": input_key if isinstance(input_key, str) else [str(key) for key in input_key],
        "output_fn": _output_fn(config),
        "output_artifacts": OmegaConf.to_container(artifacts, resolve=True) if artifacts else {},
    }


def _output_fn(config: DictConfig) -> Any:
    from espnet3.utils._dotted import import_dotted

    named = config.get("output_fn")
    if named is None:
        return None
    if isinstance(named, str):
        function = import_dotted(named, "output_fn")
    else:
        from espnet3.utils.instantiation import instantiate

        function = instantiate(named, "output_fn")
    if not callable(function):
        raise ConfigError(f"output_fn: {named} is nothing that can be called")
    return function


def _config_of(config: DictConfig, index: int, name: str) -> DictConfig:
    """The config for one test set: no other is built, and `test_set` names it."""
    from omegaconf import OmegaConf, open_dict

    own = config.copy()
    with open_dict(own):
        own.dataset.test = OmegaConf.create([config.dataset.test[index]])
        own.test_set = name
    return own


def _provider(config: DictConfig, params: dict[str, Any], first: EnvironmentProvider | None) -> EnvironmentProvider:
    from espnet3.systems.base.inference_provider import InferenceProvider

    target = config.get("provider")
    if target is None:
        if isinstance(first, InferenceProvider):
            return first.for_test_set(config)
        return InferenceProvider(config, params)
    cls, settings = _target(target, "provider")
    with at_key("provider", settings):
        provider: EnvironmentProvider = cls(config, params, **settings)
    return provider


def _runner(config: DictConfig, provider: EnvironmentProvider, inference_dir: Path, name: str) -> BaseRunner:
    from espnet3.parallel.base_runner import BaseRunner
    from espnet3.systems.base.inference_runner import InferenceRunner

    target = config.get("runner")
    cls, settings = (InferenceRunner, {}) if target is None else _target(target, "runner")
    if not (isinstance(cls, type) and issubclass(cls, BaseRunner)):
        raise ConfigError(f"runner: {target} is no BaseRunner (espnet3.parallel.base_runner)")
    common: dict[str, Any] = {
        "batch_size": config.get("batch_size"),
        "output_dir": inference_dir,
        "shard_subdir": name,
        "resume": bool(config.get("resume", True)),
    }
    if issubclass(cls, InferenceRunner):
        common["idx_key"] = config.get("idx_key") or "utt_id"
        keys = config.get("output_keys")
        if keys is not None:
            common["output_keys"] = keys if isinstance(keys, str) else [str(key) for key in keys]
    with at_key("runner", settings):
        runner = cls(provider, **{**common, **settings})
    if not issubclass(cls, InferenceRunner):
        runner.label = f"infer {name}"
    return runner


def _target(node: Any, key: str) -> tuple[Any, dict[str, Any]]:
    from espnet3.utils._dotted import import_dotted
    from espnet3.utils.instantiation import instantiate

    if isinstance(node, str):
        return import_dotted(node, key), {}
    path = node.get("_target_")
    if path is None:
        raise ConfigError(f"{key}: it needs a _target_, the class to use; it has {listed(node)}")
    rest = {name: entry for name, entry in node.items() if name not in _HYDRA_KEYS}
    built = instantiate(rest, key, _convert_="all")
    return import_dotted(str(path), f"{key}._target_"), dict(built)


def _dataset(provider: EnvironmentProvider, runner: BaseRunner, name: str) -> Any:
    from espnet3.systems.base.inference_provider import InferenceProvider

    lazy = isinstance(provider, InferenceProvider) and (
        type(provider).build_env_local is InferenceProvider.build_env_local
    )
    # The model is left alone: where the outputs are found done, it is not needed.
    dataset = provider.dataset if lazy else runner.environment().get("dataset")  # type: ignore[attr-defined]
    if dataset is None:
        raise ConfigError(f"the provider {type(provider).__qualname__} gives no `dataset` for {name!r}")
    return dataset
