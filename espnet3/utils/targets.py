"""Which Python a config may make and call.

A `run.py` that was built from a recipe lists what the recipe names. From then on, in this process, a config that names
anything else is refused: when the configs are loaded, and again before anything is imported or made. Without such a
list only those names are refused that execute what they are given.

torch, Hydra and OmegaConf are not imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from espnet3.utils.errors import ConfigError, did_you_mean

# What the framework's own defaults name.
FRAMEWORK_TARGETS = frozenset({"espnet3.components.data.data_organizer.DataOrganizer"})

# Hydra's functions that give what a path names: then it is the path that counts.
_LOOKUPS = frozenset(
    f"hydra.utils.{name}" for name in ("get_class", "get_method", "get_object", "get_static_method")
)  # fmt: skip

_EXECUTING = frozenset(
    {
        "__import__", "compile", "eval", "exec",
        "builtins.__import__", "builtins.compile", "builtins.eval", "builtins.exec",
        "_pickle.Unpickler", "_pickle.load", "_pickle.loads", "pickle.Unpickler", "pickle.load", "pickle.loads",
        "cloudpickle.load", "cloudpickle.loads", "dill.load", "dill.loads", "joblib.load",
        "marshal.load", "marshal.loads", "shelve.open",
        "code.interact", "ctypes.CDLL", "importlib.__import__", "importlib.import_module", "os.popen", "os.startfile",
        "os.system", "posix.system", "pty.spawn", "timeit.repeat", "timeit.timeit",
        "yaml.full_load", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all",
    }
)  # fmt: skip
_EXECUTING_PREFIXES = (
    "os.exec", "os.posix_spawn", "os.spawn", "posix.exec", "posix.posix_spawn", "runpy.", "subprocess.",
)  # fmt: skip

_allowed: frozenset[str] | None = None


class TargetRefused(ConfigError):
    """A config names a target that it may not name."""


def allow_targets(targets: Sequence[str], configs: Mapping[str, Any]) -> None:
    """Let the configs of this process name these targets and no other, and see that they do.

    Args:
        targets: Dotted paths, and `data_src` tags, as a built `run.py` lists them.
        configs: The loaded configs by name; None is one that was not given.

    Raises:
        TargetRefused: A config names another target; the message says which, in which file and line.
    """
    global _allowed
    _allowed = frozenset(targets) | FRAMEWORK_TARGETS
    for config in configs.values():
        if config is not None:
            check_targets(config, "", resolve=False)


def any_target() -> None:
    """Let configs name any target again."""
    global _allowed
    _allowed = None


def allowed_elsewhere() -> Callable[[], None]:
    """A function that can be sent to another process and lets configs name there what they may name here."""
    return partial(_allow_only, _allowed)


def _allow_only(allowed: frozenset[str] | None) -> None:
    global _allowed
    _allowed = allowed


def check_name(path: str, key: str) -> None:
    """See that a config may name `path`.

    Args:
        path: What the config names.
        key: The key of the config that names it.

    Raises:
        TargetRefused: It may not.
    """
    if _allowed is not None:
        if path in _allowed:
            return
        near = did_you_mean(path, _allowed)
        raise TargetRefused(
            f"{key}: {path} is not named in the recipe that this run.py was built from, so it is not used; "
            f"name it in the recipe and build again{near}",
            key=key,
        )
    if _executes(path):
        raise TargetRefused(
            f"{key}: {path} executes what it is given, so a config cannot name it; write a function of your own "
            "that does what is needed, and name that",
            key=key,
        )


def check_found(found: Any, path: str, key: str) -> None:
    """See that what `path` led to is nothing that is refused under its own name.

    Raises:
        TargetRefused: It executes what it is given.
    """
    own = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if _executes(own) and (_allowed is None or path not in _allowed):
        raise TargetRefused(
            f"{key}: {path} is {own}, which executes what it is given, so a config cannot name it", key=key
        )


def check_targets(config: Any, key: str, *, resolve: bool = True) -> None:
    """See that a config, or a part of it, names nothing that it may not name, however deep it stands.

    Args:
        config: A config, or a plain container.
        key: Its key in the whole config; empty for the whole.
        resolve: Look at what interpolations lead to; else a target that is still one is passed over.

    Raises:
        TargetRefused: It does.
    """
    plain = config
    if hasattr(config, "_get_full_key"):
        from omegaconf import OmegaConf

        plain = OmegaConf.to_container(config, resolve=resolve)
    for where, path in _named(plain, key):
        if not resolve and isinstance(path, str) and "${" in path:
            continue
        try:
            if isinstance(path, str):
                check_name(path, where)
            else:
                raise TargetRefused(f"{where}: the path to look up must be written out, not {path!r}", key=where)
        except TargetRefused as error:
            if not key and hasattr(config, "_get_full_key"):
                raise _with_place(error, config, where) from None
            raise


def targets_in(node: Any, key: str) -> list[tuple[str, Any]]:
    """Each target in a part of a config, a plain container: its key, and the path that is made or looked up."""
    return list(_named(node, key))


def _with_place(error: TargetRefused, config: Any, key: str) -> TargetRefused:
    from espnet3.utils.config_utils import place_of

    place = place_of(config, key)
    return TargetRefused(f"{place}: {error}" if place else str(error), key=key, config=config)


def _named(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Each target below `node` with its key: the path that is made or looked up."""
    if isinstance(node, Mapping):
        target = node.get("_target_")
        if isinstance(target, str):
            yield from _one(target, node, key)
        for name, value in node.items():
            yield from _named(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _named(value, f"{key}[{index}]")


def _one(target: str, node: Mapping[Any, Any], key: str) -> Iterable[tuple[str, Any]]:
    inside = f"{key}." if key else ""
    if target not in _LOOKUPS:
        return [(f"{inside}_target_", target)]
    given = node.get("_args_")
    if given:
        return [(f"{inside}_args_", given[0] if isinstance(given, list | tuple) else given)]
    return [(f"{inside}path", node.get("path"))]


def _executes(path: str) -> bool:
    return path in _EXECUTING or path.startswith(_EXECUTING_PREFIXES)
