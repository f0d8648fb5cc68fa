"""What a shard's result depends on, part by part.

A shard that is found done is trusted only if the same work would be done again: the same items, the same runner and
provider, the same config, the same files behind the paths in the config, the same source of the recipe's classes and
functions that the config names, with what they import from the recipe. Each part has a name, so that a run can say
which of them is another now.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import CodeType
from typing import Any

import espnet3
from esp3rt.files import state_of
from espnet3.parallel._sources import sources_of, sources_of_class

# They say where the work is done, not what it is.
_PLACE_KEYS = ("parallel", "stage_parallel", "resume")
_ITEMS = "the items"
# How far into objects it is looked: what is deeper is seldom what tells them apart, and may lead round in circles.
_DEEPEST = 3
# A list of so many plain values is told by one hash, which takes a small part of the time.
_LONG = 1000


def inputs(items: Sequence[Any], config: object, parts: Mapping[str, object]) -> dict[str, str]:
    """A hash of each thing that a result depends on, by its name in words.

    Args:
        items: What the work goes through.
        config: The provider's config: an OmegaConf config, a mapping, or anything else that JSON or `repr`
            can tell. Each of its keys is a thing of its own, and so is each file that it names.
        parts: Further things, by name.
    """
    plain = _plain(config)
    if isinstance(plain, dict):
        settings = {
            f"the setting {key}": value
            for key, value in plain.items()
            if key not in _PLACE_KEYS and not _is_workload(value)
        }
    else:
        settings = {"the config": plain}
    classes = [value for value in parts.values() if isinstance(value, type)]
    named = {
        *_named_files(list(settings.values())),
        *_named_files(_plain(dict(parts))),
        *(path for cls in classes for path in sources_of_class(cls)),
    }
    files = {f"the file {path}": state_of(path) for path in sorted(named)}
    told = {name: _hash(value) for name, value in {**settings, **files, **parts}.items()}
    return {_ITEMS: hash_of_items(items), **told, "the version of espnet3": espnet3.__version__}


def _is_workload(value: object) -> bool:
    """Whether it describes a stage that is a runner: what matters of it, its runner and provider were given."""
    return isinstance(value, dict) and {"runner", "provider", "over"} == set(value)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """In words, what differs between the inputs of an earlier run and those of this one."""
    names = [*now, *(name for name in before if name not in now)]
    differ = [name for name in names if before.get(name) != now.get(name)]
    if not differ:
        return ""
    shown = ", ".join(differ[:3]) + (f" and {len(differ) - 3} more" if len(differ) > 3 else "")
    return f"{shown} {'is' if len(differ) == 1 and differ[0] != _ITEMS else 'are'} not what it was".replace(
        "are not what it was", "are not what they were"
    )


def hash_of_items(items: Sequence[Any]) -> str:
    """A hash of the list of items, in its order."""
    if _is_range(items):
        # A range of a million numbers is told by its ends.
        return hashlib.sha256(f"{items[0]} to {items[-1]}".encode()).hexdigest()
    digest = hashlib.sha256()
    for item in items:
        told = item if isinstance(item, str | int | float | tuple | None) else _plain(item)
        digest.update(repr(told).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _is_range(items: Sequence[Any]) -> bool:
    if not items or type(items[0]) is not int:
        return False
    if isinstance(items, range):
        return items.step == 1
    return items[-1] == items[0] + len(items) - 1 and items == list(range(items[0], items[0] + len(items)))


def _hash(value: object) -> str:
    text = json.dumps(_plain(value), sort_keys=True, default=_stable_name)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object, depth: int = 0) -> Any:
    if type(value).__module__.startswith("omegaconf."):
        from omegaconf import OmegaConf

        try:
            return _plain(OmegaConf.to_container(value, resolve=True))
        except Exception:  # noqa: BLE001 - a value that cannot be read yet is told by how it is written
            return _plain(OmegaConf.to_container(value, resolve=False))
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, depth) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > _LONG:
            with suppress(TypeError, ValueError):
                return hashlib.sha256(json.dumps(value, default=_refused).encode()).hexdigest()
        return [_plain(entry, depth) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_plain(entry, depth)) for entry in value)
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, bytes | bytearray):
        return hashlib.sha256(value).hexdigest()
    return _stable_name(value, depth)


def _stable_name(value: object, depth: int = 0) -> Any:
    """What tells an object from another of another run. Never `repr`: it may hold an address."""
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, partial):
        return ["partial", _stable_name(value.func), _plain(value.args), _plain(value.keywords)]
    if hasattr(value, "__qualname__"):
        return _name_of(value, depth)
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):
        return [str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()]
    attributes = getattr(value, "__dict__", {}) if depth < _DEEPEST else {}
    own = {name: _plain(entry, depth + 1) for name, entry in attributes.items() if not name.startswith("_")}
    return [_name_of(type(value), depth), own] if own else _name_of(type(value), depth)


def _name_of(value: Any, depth: int) -> Any:
    """The path of a class or function; of a function that was made in another one, also what it holds of it."""
    name = f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    code = getattr(value, "__code__", None)
    # The files that a name leads to tell the rest; a function that was made in another one has no such name.
    if code is None or "<" not in name or depth >= _DEEPEST:
        return name
    held = [_plain(cell.cell_contents, depth + 1) for cell in value.__closure__ or () if _is_filled(cell)]
    return [name, _code_hash(code), _plain(value.__defaults__ or ()), held]


def _code_hash(code: CodeType) -> str:
    constants = [_code_hash(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return hashlib.sha256(repr((code.co_code.hex(), constants, code.co_names)).encode()).hexdigest()


def _refused(value: object) -> None:
    raise TypeError


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry)


def _named_files(config: object) -> Iterator[str]:
    for text in _strings(config):
        if not text or len(text) > 4096 or "\n" in text or "\0" in text:
            continue
        if os.path.isfile(text):
            yield text
        elif "." in text:
            yield from sources_of(text)
