"""Which value of which config an error is about.

What is known at the place where an error is raised is kept on the error: the key (`UserError.key`, or `at_key`), and the
config that the stage works with (`config_in_use`). `fault_of` puts it together. Where nothing says which value is at
fault, `raised_in` finds the target of the config in whose code the error arose.

Nothing heavy is imported here, and nothing at all that is not loaded already.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from types import FrameType, TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from espnet3.utils.errors import ConfigError, UserError

P = ParamSpec("P")
R = TypeVar("R")

_AT = "_espnet3_key"
_CONFIG = "_espnet3_config"
_FILE = "_espnet3_file"
_KEY = r"[A-Za-z_]\w*(?:\.\w+|\[\d+\])*"
_LEADING_KEY = re.compile(rf"(?:\S+:\d+: )?({_KEY})")
_DOTTED_KEY = re.compile(r"[A-Za-z_]\w*(?:\.\w+|\[\d+\])+")
# A frame of these is the framework at work, not a target of the config.
_FRAMEWORK = ("espnet3", "lightning", "pytorch_lightning", "esp3rt")


@dataclass(frozen=True)
class Fault:
    """What an error is about.

    Attributes:
        key: A key of `config`.
        config: The whole config.
        file, name: A module that was generated beside the configs ("recipe_data/digits.py") and a name in it, where
            the error is about that.
        target: The target in whose code the error arose; empty where the value itself is at fault.
    """

    key: str
    config: Any = None
    file: str = ""
    name: str = ""
    target: str = ""


@contextmanager
def config_in_use(config: Any, moved: tuple[str, str] | None = None) -> Iterator[None]:
    """Let errors that pass know the config that the work goes by; the innermost counts.

    Args:
        config: The whole config, as it was loaded.
        moved: A key of the copy that is worked with, and the same value's key in `config`.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, _CONFIG, None) is None:
            _keep(error, _CONFIG, (config, moved))
        raise


def uses_config(work: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Let errors of a function know that its first argument is the config that it goes by.

    Called with None, the function raises `ConfigError`.
    """

    @wraps(work)
    def wrapped(config: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if config is None:
            raise ConfigError(
                f"{work.__name__} was given no config: start the run with the flag of the config that the stage works with"
            )
        with config_in_use(config):
            return work(config, *args, **kwargs)

    return wrapped


@contextmanager
def at_key(key: str, section: Mapping[Any, Any] | None = None) -> Iterator[None]:
    """Let errors that pass know the key of the value that was being used; the innermost counts.

    Args:
        key: The key.
        section: What stands under the key: where the error's message names exactly one of its keys, that one is meant.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, _AT, None) is None:
            inner = named_in(str(error), section) if section is not None else None
            _keep(error, _AT, f"{key}.{inner}" if inner else key)
        raise


@contextmanager
def at_name(file: str | None, name: str, key: str) -> Iterator[None]:
    """Let errors that pass know that they are about what `name` is in the generated module `file`.

    Without such a module, they are about `key` of the config.
    """
    try:
        yield
    except Exception as error:
        if file and getattr(error, _FILE, None) is None:
            _keep(error, _FILE, (file, name, key))
        raise


def named_in(message: str, section: Mapping[Any, Any]) -> str | None:
    """The key of `section` that a message speaks of, or None where that is not certain.

    It is the only one that stands there as a name (`x`, 'x', x=, a_b); else the only one whose value does, if that is
    a value that does not stand there by chance (-1, 0.5, 'text').
    """
    found = []
    for key in map(str, section):
        if key.startswith("_"):
            continue
        word = re.escape(key)
        as_name = rf"(?<![\w.]){word}(?!\w)" if "_" in key else rf"[`'\"(]{word}[`'\"=]|(?<![\w.]){word}="
        if re.search(as_name, message):
            found.append(key)
    if not found:
        found = [str(key) for key, value in section.items() if _stands_in(value, message)]
    return found[0] if len(found) == 1 else None


def _stands_in(value: Any, message: str) -> bool:
    if isinstance(value, str):
        return len(value) > 1 and any(f"{quote}{value}{quote}" in message for quote in "'`\"")
    if isinstance(value, bool) or not isinstance(value, int | float) or value in range(100):
        return False
    return re.search(rf"(?<![\w.-]){re.escape(str(value))}(?![\w.]*\d)", message) is not None


def fault_of(error: BaseException, configs: Mapping[str, Any]) -> Fault | None:
    """What an error is about, as far as it is certain.

    Args:
        error: The error.
        configs: The configs of the run by name, among which one is looked for where the error does not know its own.
    """
    chain = _chain(error)
    config, moved = _config_of(chain)
    for each in chain:
        file = getattr(each, _FILE, None)
        if file is not None and not getattr(each, "key", None):
            return Fault(key=file[2], config=config, file=file[0], name=file[1])
    if config is None:
        config = _config_in_frames(chain, configs)
    known = [config] if config is not None else [each for each in configs.values() if each is not None]
    found: Fault | None = None
    for each in chain:
        for key in _keys_of(each):
            there = [whole for whole in known if _has(whole, key)]
            if len(there) != 1:
                continue
            if found is None or (found.config is there[0] and _is_inside(key, found.key)):
                found = Fault(key, there[0])
            break
    if found is None:
        return None if isinstance(error, UserError) else raised_in(error, known)
    if moved is not None and _is_inside(found.key, moved[0]):
        found = Fault(moved[1] + found.key.removeprefix(moved[0]), found.config)
    if any(isinstance(each, UserError) for each in chain):
        return found
    return _narrowed(found, str(chain[-1]))


def _narrowed(fault: Fault, message: str) -> Fault:
    """The argument of a target that the cause speaks of, where it speaks of one."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        node = OmegaConf.select(fault.config, fault.key)
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else None
    except OmegaConfBaseException:
        return fault
    name = named_in(message, plain) if isinstance(plain, dict) else None
    return Fault(f"{fault.key}.{name}", fault.config) if name else fault


def raised_in(error: BaseException, configs: list[Any]) -> Fault | None:
    """The target in whose code an error arose, if no code of the framework ran after it.

    None where several targets could be meant, unless they were written in one place.
    """
    from espnet3.utils.recipe_places import place_of_key

    made = [(found, key, config) for config in configs for key, found in _loaded_targets(config)]
    if not made:
        return None
    for frame in _frames(error):
        here = [(thing, key, config) for thing, key, config in made if _belongs(frame, thing)]
        if here:
            thing, key, config = here[0]
            places = {
                place and (place.path, place.line, place.column) for place in (place_of_key(c, k) for _, k, c in here)
            }
            if len(places) > 1 or any(other is not thing for other, _, _ in here):
                return None
            return Fault(key, config, target=f"{thing.__module__}.{thing.__qualname__}")
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _FRAMEWORK:
            return None
    return None


def keep_origin(error: BaseException, config: Any) -> None:
    """Let an error know in which target of `config` it arose, before it is sent to a process that has not its frames."""
    if isinstance(error, UserError) or getattr(error, _AT, None) is not None:
        return
    fault = raised_in(error, [config])
    if fault is not None:
        _keep(error, _AT, fault.key)


# -- what an error knows ------------------------------------------------------------------------------------------------


def _keep(error: BaseException, name: str, value: Any) -> None:
    # An exception with __slots__ has no room.
    with suppress(AttributeError, TypeError):
        setattr(error, name, value)


def _chain(error: BaseException) -> list[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in found:
        found.append(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return found


def _config_of(chain: list[BaseException]) -> tuple[Any, tuple[str, str] | None]:
    for each in chain:
        if isinstance(each, UserError) and each.config is not None:
            return each.config, None
    for each in chain:
        kept = getattr(each, _CONFIG, None)
        if kept is not None:
            return kept[0], kept[1]
    return None, None


def _config_in_frames(chain: list[BaseException], configs: Mapping[str, Any]) -> Any:
    """The config whose part Hydra was making, or in which OmegaConf did not find something."""
    for each in reversed(chain):
        node = getattr(each, "parent_node", None)
        nodes = [node] if node is not None else []
        trace = each.__traceback__
        while trace is not None:
            module = trace.tb_frame.f_globals.get("__name__", "")
            if module == "hydra._internal.instantiate._instantiate2" and trace.tb_frame.f_code.co_name == "instantiate":
                nodes.append(trace.tb_frame.f_locals.get("config"))
            trace = trace.tb_next
        for node in reversed(nodes):
            root = node._get_root() if hasattr(node, "_get_root") else None
            for config in configs.values():
                if config is not None and config is root:
                    return config
    return None


def _keys_of(error: BaseException) -> Iterator[str]:
    """The keys that one error speaks of, the surest first."""
    key = getattr(error, "key", None)
    if isinstance(error, UserError) and key:
        yield key
    if getattr(error, _AT, None):
        yield getattr(error, _AT)
    text = str(error)
    full_key = getattr(error, "full_key", None)
    if type(error).__module__.startswith("omegaconf.") and isinstance(full_key, str) and full_key:
        yield full_key
    if type(error).__module__.startswith("hydra."):
        yield from re.findall(r"^full_key: (.+)$", text, re.MULTILINE)[-1:]
    if isinstance(error, UserError):
        leading = _LEADING_KEY.match(text)
        if leading:
            yield leading[1]
        yield from (each for each in _DOTTED_KEY.findall(text))


def _has(config: Any, key: str) -> bool:
    from espnet3.utils.config_utils import place_of

    return bool(place_of(config, key))


def _is_inside(key: str, other: str) -> bool:
    return key == other or key.startswith((f"{other}.", f"{other}["))


# -- where it was raised ------------------------------------------------------------------------------------------------


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of the error that came first, the deepest first."""
    first = _chain(error)[-1] if error.__traceback__ is None else error
    trace: TracebackType | None = first.__traceback__
    found = []
    while trace is not None:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    yield from reversed(found)


def _loaded_targets(config: Any) -> Iterator[tuple[str, Any]]:
    """The classes and functions that a config names and that are imported, each with its key."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
    stack: list[tuple[str, Any]] = [("", plain)]
    while stack:
        key, node = stack.pop()
        if isinstance(node, list):
            stack.extend((f"{key}[{index}]", value) for index, value in enumerate(node))
        if not isinstance(node, dict):
            continue
        stack.extend((f"{key}.{name}" if key else str(name), value) for name, value in node.items())
        named = {"": node.get("_target_"), "output_fn": node.get("output_fn")}
        if str(named[""]).startswith("hydra.utils.get_"):
            named[""] = node.get("path")
        if isinstance(node.get("data_src"), str):
            named["data_src"] = f"{node['data_src']}.Dataset"
        for name, path in named.items():
            found = _loaded(path) if isinstance(path, str) else None
            if found is not None and hasattr(found, "__qualname__"):
                yield ".".join(part for part in (key, name) if part), found


def _loaded(path: str) -> Any:
    """What a path names, without importing anything."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:length]))
        if found is not None:
            for name in parts[length:]:
                found = getattr(found, name, None)
            return found
    return None


def _belongs(frame: FrameType, thing: Any) -> bool:
    if isinstance(thing, type):
        if type(frame.f_locals.get("self")) is thing:
            return True
        name = thing.__qualname__ + "."
        return frame.f_globals.get("__name__") == thing.__module__ and frame.f_code.co_qualname.startswith(name)
    return frame.f_code is getattr(thing, "__code__", None)
