"""The keys of an inference config that a model for single recordings needs, and what may stand in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def input_keys_of(config: DictConfig) -> list[str]:
    """The entries of a sample that go to the model.

    Raises:
        ConfigError: `input_key` is missing, or is neither a name nor a list of names.
    """
    keys = config.get("input_key")
    if keys is None or keys == "":
        raise ConfigError("the inference config has no input_key: which entry of a sample goes to the model")
    names = [keys] if isinstance(keys, str) else keys
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"input_key must be a name or a list of names, not {keys!r}", key="input_key")
    return list(names)


def batch_size_of(config: DictConfig) -> int | None:
    """How many samples go to the model at once; None where it takes one.

    Raises:
        ConfigError: `batch_size` is no whole number above 0.
    """
    size = config.get("batch_size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f"batch_size must be a whole number above 0, not {size!r}", key="batch_size")
    return size


def class_of(config: DictConfig, key: str, method: str) -> Any:
    """The class under `provider` or `runner`; None where the usual one is meant.

    Args:
        config: The inference config.
        key: "provider" or "runner".
        method: What the class must have.

    Raises:
        ConfigError: It names no class, or one of another kind.
    """
    from espnet3.utils._dotted import import_dotted

    node = config.get(key)
    if node is None:
        return None
    path = node.get("_target_") if isinstance(node, Mapping) else node
    if not isinstance(path, str):
        raise ConfigError(f"{key} must name a class, as _target_ or as a dotted path, not {node!r}", key=key)
    found = import_dotted(path, key)
    if not isinstance(found, type) or not callable(getattr(found, method, None)):
        raise ConfigError(f"{key}: {path} is no class with the method {method}", key=key)
    return found


def function_of(config: DictConfig, key: str) -> Callable[..., Any] | None:
    """The function under `output_fn`; None where there is none.

    Raises:
        ConfigError: It is neither a dotted path nor a target, or leads to nothing that can be called.
    """
    from espnet3.utils._dotted import import_dotted
    from espnet3.utils.instantiation import instantiate

    node = config.get(key)
    if node is None:
        return None
    if not isinstance(node, str | Mapping):
        raise ConfigError(f"{key} must be a dotted path or a target, not {node!r}", key=key)
    found: Callable[..., Any] = import_dotted(node, key) if isinstance(node, str) else instantiate(node, key)
    if not callable(found):
        raise ConfigError(f"{key}: {node} is nothing that can be called", key=key)
    return found


def preprocessor_of(config: DictConfig) -> Any:
    """The target under `dataset.preprocessor`; None where there is none.

    Raises:
        ConfigError: It, or `dataset`, is something else.
    """
    dataset = config.get("dataset")
    if dataset is None:
        return None
    if not isinstance(dataset, Mapping):
        raise ConfigError(f"dataset must be a mapping, not {dataset!r}", key="dataset")
    return _target(dataset.get("preprocessor"), "dataset.preprocessor")


def model_of(config: DictConfig) -> Any:
    """The target under `model`; None where there is none.

    Raises:
        ConfigError: It is something else.
    """
    return _target(config.get("model"), "model")


def with_transform(config: Mapping[str, Any]) -> list[str]:
    """The names of the test sets that have a `transform` of their own, which is not applied to a single recording."""
    dataset = config.get("dataset")
    tests = dataset.get("test") if isinstance(dataset, Mapping) else None
    if not isinstance(tests, Sequence) or isinstance(tests, str):
        return []
    return [str(each.get("name")) for each in tests if isinstance(each, Mapping) and each.get("transform") is not None]


def _target(node: Any, key: str) -> Any:
    if node is not None and not (isinstance(node, Mapping) and isinstance(node.get("_target_"), str)):
        raise ConfigError(f"{key} must be a target (a mapping with _target_), not {node!r}", key=key)
    return node
