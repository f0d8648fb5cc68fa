"""Functions of a config that are called with samples: transforms, preprocessors, collate functions."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from espnet3.utils.errors import ConfigError
from espnet3.utils.importing import large_imports
from espnet3.utils.instantiation import instantiate_target


def make_callable(value: Any, where: str) -> Callable[..., Any]:
    """Make what a config says will be called with a sample, or with a list of them.

    A class is instantiated, and its object is called. A function that still lacks an argument is what is called: it gets
    the other arguments now and the sample later, without `_partial_`. A function that lacks nothing makes a callable.

    Args:
        value: A target, its dotted path, or the callable itself.
        where: The key of the config, for messages.

    Raises:
        ConfigError: The target cannot be made, or what it makes cannot be called.
    """
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    if isinstance(plain, str):
        plain = {"_target_": plain}
    if isinstance(plain, Mapping):
        value = instantiate_target({"_partial_": True, **plain} if _lacks_its_sample(plain) else plain, where)
    if not callable(value):
        raise ConfigError(f"{where} must be callable; {type(value).__name__} is not")
    return value  # type: ignore[no-any-return]


def _lacks_its_sample(target: Mapping[Any, Any]) -> bool:
    import hydra.utils

    try:
        with large_imports():
            function = hydra.utils.get_object(target["_target_"])
        signature = inspect.signature(function)
    except Exception:  # noqa: BLE001 - what is wrong with it is said where it is made
        return False
    if not inspect.isfunction(function):
        return False
    given = {str(key) for key in target if not str(key).startswith("_")}
    return any(
        parameter.default is parameter.empty and name not in given
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    )
