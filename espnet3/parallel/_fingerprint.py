"""What a shard's result depends on, as one short text.

A shard that is found done is trusted only if the same work would be done again: the same items, the same
runner and provider, the same config, the same files behind the paths in the config, the same source of the
recipe's classes and functions that the config names, with what they import from the recipe.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from esp3rt.files import sha256_of
from espnet3.parallel._sources import sources_of

# Above this size a file is told by its size and time: reading a big checkpoint again costs more than it
# gains.
_HASHED_WHOLE = 64 * 2**20
# They say where the work is done, not what it is.
_PLACE_KEYS = ("parallel", "stage_parallel", "resume")


def fingerprint(items: Sequence[Any], config: object, parts: Mapping[str, object]) -> str:
    """A hash of the items, the config, the files that it names, and `parts`.

    Args:
        items: What `forward` is called with.
        config: The provider's config: an OmegaConf config, a mapping, or anything else that JSON or `repr`
            can tell.
        parts: Further things that the result depends on.
    """
    plain = _plain(config)
    if isinstance(plain, dict):
        plain = {key: value for key, value in plain.items() if key not in _PLACE_KEYS}
    files = {path: _file_state(path) for path in sorted(set(_named_files(plain)))}
    text = json.dumps(
        {"items": hash_of_items(items), "config": plain, "files": files, "parts": _plain(dict(parts))},
        sort_keys=True,
        default=_stable_name,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_items(items: Sequence[Any]) -> str:
    """A hash of the list of items, in its order."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr(item).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _plain(value: object) -> Any:
    if type(value).__module__.startswith("omegaconf."):
        from omegaconf import OmegaConf

        try:
            return _plain(OmegaConf.to_container(value, resolve=True))
        except Exception:  # noqa: BLE001 - a value that cannot be read yet is told by how it is written
            return _plain(OmegaConf.to_container(value, resolve=False))
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, str | int | float | bool | None):
        return value
    return _stable_name(value)


def _stable_name(value: object) -> str:
    # Never `repr`: it may hold an address, which differs from run to run.
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, partial):
        return f"partial({_stable_name(value.func)}, {_plain(value.args)}, {_plain(value.keywords)})"
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"


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


def _file_state(path: str) -> str:
    state = os.stat(path)
    if state.st_size <= _HASHED_WHOLE:
        return sha256_of(path)
    return f"{state.st_size} bytes, {state.st_mtime_ns}"
