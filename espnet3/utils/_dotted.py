"""Python things that a config names by a dotted path."""

from importlib import import_module
from types import ModuleType
from typing import Any

from espnet3.utils.config_errors import at_key
from espnet3.utils.errors import ConfigError, did_you_mean
from espnet3.utils.importing import large_imports
from espnet3.utils.targets import check_found, check_name


def import_dotted(path: str, where: str) -> Any:
    """The module, class or function that `path` ("src.inference.build_output") names.

    Args:
        path: A dotted path.
        where: The key that holds it, for the message.

    Raises:
        ConfigError: A module or a name on the way does not exist, or a config may not name it. An error inside a
            module that exists is raised as it is.
    """
    with at_key(where):
        return _imported(path, where)


def _imported(path: str, where: str) -> Any:
    parts = path.split(".")
    if not path or not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{where}: {path!r} is no dotted Python path, such as src.inference.build_output")
    check_name(path, where)
    module, rest = _longest_module(parts)
    if module is None:
        raise ConfigError(f"{where}: {path}: there is no module {parts[0]!r} (the recipe's folder is searched first)")
    found: Any = module
    done = parts[: len(parts) - len(rest)]
    for name in rest:
        if not hasattr(found, name):
            near = did_you_mean(name, [entry for entry in dir(found) if not entry.startswith("_")])
            raise ConfigError(f"{where}: {path}: {'.'.join(done)} has no {name!r}{near}")
        found = getattr(found, name)
        done.append(name)
    check_found(found, path, where)
    return found


def _longest_module(parts: list[str]) -> tuple[ModuleType | None, list[str]]:
    module = None
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        try:
            with large_imports():
                module = import_module(name)
        except ModuleNotFoundError as error:
            # Only this very module being absent ends the search; a missing import inside it is the user's
            # bug.
            if error.name != name and not (error.name and name.startswith(f"{error.name}.")):
                raise
            return module, parts[length - 1 :]
    return module, []
