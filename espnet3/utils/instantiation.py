"""From a `_target_` of a config to an object, with errors in the config's words."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from espnet3.utils.errors import ConfigError, did_you_mean


class TargetError(ConfigError):
    """A target cannot be made; the message names the key of the config, the target and the cause."""


def instantiate_target(config: Any, where: str, **late: Any) -> Any:
    """Make what a target says.

    Args:
        config: A mapping with `_target_` and arguments; a dotted path alone means no arguments.
        where: The key of the config, for messages.
        late: Arguments that no config can hold (parameters, an optimizer). They are handed to the target as
            they are.

    Raises:
        TargetError: There is no such target, or it does not take these arguments.
    """
    if isinstance(config, str):
        config = {"_target_": config}
    if not isinstance(config, Mapping) and not hasattr(config, "items"):
        raise TargetError(f"{where} must be a target (_target_ and arguments), not {type(config).__name__}")
    path = config.get("_target_")
    if not isinstance(path, str):
        raise TargetError(f"{where} has no _target_, so nothing says what to make")
    import hydra.utils
    from hydra.errors import InstantiationException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        target = hydra.utils.get_object(path)
    except Exception as error:
        raise TargetError(f"{where}: {path} cannot be imported: {_first_line(error)}") from error
    if not callable(target):
        raise TargetError(f"{where}: {path} is no class and no function")
    given = [str(key) for key in config if not (str(key).startswith("_") and str(key).endswith("_"))]
    _check_names(target, path, [*given, *late], where)
    try:
        wrapped = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
        make: Callable[..., Any] = (
            hydra.utils.instantiate(wrapped, _partial_=True) if late else lambda: hydra.utils.instantiate(wrapped)
        )
        return make(**late)
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise TargetError(f"{where}: {path}: {_first_line(cause)}") from error
    except OmegaConfBaseException as error:
        raise TargetError(f"{where}: {_first_line(error)}") from error
    except (TypeError, ValueError) as error:
        if not late:
            raise
        raise TargetError(f"{where}: {path}: {_first_line(error)}") from error


def _check_names(target: Any, path: str, names: list[str], where: str) -> None:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise TargetError(
                f"{where}.{name}: {path} takes no argument "
                f"{name!r}{did_you_mean(name, parameters)}; it takes "
                f"{', '.join(parameters) or 'none'}"
            )


def _first_line(error: BaseException) -> str:
    # Hydra names the target on the first line, which is known here, and the cause on the second.
    text = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if len(text) > 1 and text[0].endswith(":"):
        return text[1]
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
