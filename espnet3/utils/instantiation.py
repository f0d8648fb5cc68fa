"""From a `_target_` of a config to an object, with errors in the config's words."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

from espnet3.utils.config_errors import at_key, named_in
from espnet3.utils.errors import ConfigError, did_you_mean
from espnet3.utils.importing import large_imports
from espnet3.utils.targets import check_found, check_targets


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
        TargetRefused: The config may not name this target, or one inside it.
        TargetError: There is no such target, or it does not take these arguments.
    """
    if isinstance(config, str):
        config = {"_target_": config}
    if not isinstance(config, Mapping) and not hasattr(config, "items"):
        raise TargetError(f"{where} must be a target (_target_ and arguments), not {type(config).__name__}", key=where)
    path = config.get("_target_")
    if not isinstance(path, str):
        raise TargetError(f"{where} has no _target_, so nothing says what to make", key=where)
    import hydra.utils
    from hydra.errors import InstantiationException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        check_targets(config, where)
    except OmegaConfBaseException as error:
        raise TargetError(f"{where}: {_first_line(error)}", key=where) from error
    try:
        with large_imports():
            target = hydra.utils.get_object(path)
    except Exception as error:
        raise TargetError(f"{where}: {path} cannot be imported: {_first_line(error)}", key=where) from error
    check_found(target, path, where)
    if not callable(target):
        raise TargetError(f"{where}: {path} is no class and no function", key=where)
    given = {
        str(key): value for key, value in config.items() if not (str(key).startswith("_") and str(key).endswith("_"))
    }
    _check_names(target, path, [*given, *late], where)
    try:
        wrapped = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
        options = _options(target)
        if late:
            return hydra.utils.instantiate(wrapped, _partial_=True, **options)(**late)
        return hydra.utils.instantiate(wrapped, **options)
    except InstantiationException as error:
        cause = error.__cause__ or error
        key = _key_inside(error, wrapped, where, given)
        raise TargetError(f"{where}: {path}: {_first_line(cause)}", key=key) from error
    except OmegaConfBaseException as error:
        raise TargetError(f"{where}: {_first_line(error)}", key=where) from error
    except (TypeError, ValueError) as error:
        if not late:
            raise
        key = _argument(str(error), given, where)
        raise TargetError(f"{where}: {path}: {_first_line(error)}", key=key) from error


def instantiate(config: Any, where: str, **options: Any) -> Any:
    """Make all targets in a part of a config, as `hydra.utils.instantiate` does, with its errors.

    A class with the attribute `makes_its_parts` gets the targets inside it as they stand in the config: it knows what they
    are for.

    Args:
        config: A part of a config, or a plain container.
        where: Its key in the whole config, for messages.
        options: For `hydra.utils.instantiate`.

    Raises:
        TargetRefused: The config may not name one of the targets.
        InstantiationException: Whatever a target raises.
    """
    import hydra.utils

    with at_key(where):
        check_targets(config, where)
        path = config.get("_target_") if hasattr(config, "get") else None
        own = _options(_object(path)) if isinstance(path, str) else {}
        return hydra.utils.instantiate(config, **{**own, **options})


def _options(target: Any) -> dict[str, bool]:
    """How Hydra is to make a target."""
    return {"_recursive_": False} if getattr(target, "makes_its_parts", False) else {}


def _object(path: str) -> Any:
    import hydra.utils

    try:
        with large_imports():
            return hydra.utils.get_object(path)
    except Exception:  # noqa: BLE001 - Hydra says what is wrong with it, where it is made
        return None


def _key_inside(error: Exception, config: Any, where: str, given: Mapping[str, Any]) -> str:
    """The key of the target that failed: `where`, or one inside it; or the one argument that the cause names."""
    full_keys = re.findall(r"^full_key: (.+)$", str(error), re.MULTILINE)
    base = str(config._get_full_key(None) or "")
    inner = full_keys[-1].removeprefix(base).lstrip(".") if full_keys and full_keys[-1].startswith(base) else ""
    if inner:
        from omegaconf import OmegaConf

        place = f"{where}{inner}" if inner.startswith("[") else f"{where}.{inner}"
        failed = OmegaConf.select(config, inner)
        return _argument(str(error.__cause__ or error), failed, place) if isinstance(failed, Mapping) else place
    return _argument(str(error.__cause__ or error), given, where)


def _argument(message: str, given: Mapping[str, Any], where: str) -> str:
    name = named_in(message, given)
    return f"{where}.{name}" if name else where


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
                f"{', '.join(parameters) or 'none'}",
                key=f"{where}.{name}",
            )


def _first_line(error: BaseException) -> str:
    # Hydra names the target on the first line, which is known here, and the cause on the second.
    text = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if len(text) > 1 and text[0].endswith(":"):
        return text[1]
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
