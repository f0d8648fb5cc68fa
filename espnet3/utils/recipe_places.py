"""From a key of a config to the line in which its value was written: in the recipe, or in the YAML file.

A build leaves `.esp3c/manifest.json` beside what it wrote: the hash of each file and of the recipe, and for every value
its place in the recipe. A place is told only while both texts are the ones of that build.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MANIFEST = Path(".esp3c") / "manifest.json"


@dataclass(frozen=True)
class Place:
    """Where a value was written.

    Attributes:
        path: The file, or what was given on the command line ("--set training.seed=3").
        line, column: From 1, in characters.
        text: The line.
        length: How many characters of the line belong to the value.
        key: The key that was found there: the one asked for, or the nearest around it.
        yaml: The same value's file and line in the YAML ("conf/training.yaml:12"); empty where `path` is that file.
        note: Why it is not a place in the recipe; empty where it is one, or where there is none.
    """

    path: str
    line: int
    column: int
    text: str
    length: int
    key: str
    yaml: str = ""
    note: str = ""


def place_of_key(config: Any, key: str) -> Place | None:
    """Where the value of `key` in a loaded config was written; None where its file is not known.

    Args:
        config: What `load_and_merge_config` gave.
        key: A dotted key, as in "dataset.train[0].transform".
    """
    from espnet3.utils.config_utils import origin_of, text_read

    found = origin_of(config, key)
    if found is None:
        return None
    near, origin = found
    file = Path(origin.path)
    text = text_read(origin.path)
    if text is None:
        return None
    built = _place_in_recipe(file, text, [near])
    if isinstance(built, Place):
        return Place(**{**vars(built), "yaml": f"{origin.path}:{origin.line}"})
    lines = text.split("\n")
    line = lines[origin.line - 1].rstrip("\r") if origin.line <= len(lines) else ""
    last = near.rpartition(".")[2]
    whole = len(line.rstrip()) - (origin.column - 1)
    length = len(last) if line[origin.column - 1 :].startswith(last) else whole
    return Place(origin.path, origin.line, origin.column, line, max(1, length), near, note=built or "")


def place_of_name(file: str, name: str) -> Place | None:
    """Where the recipe says what `name` is in a generated Python module; None where that cannot be told."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    built = _place_in_recipe(path, text, [name])
    return built if isinstance(built, Place) else None


def _place_in_recipe(file: Path, text: str, keys: list[str]) -> Place | str | None:
    """The place in the recipe, the reason why it cannot be told, or None where the file was not built from one."""
    for folder, manifest in _manifests(file):
        name = file.resolve().relative_to(folder.resolve()).as_posix()
        entry = _dict(_dict(manifest.get("files")).get(name))
        if not entry:
            continue
        recipe = str(manifest.get("recipe", ""))
        if entry.get("sha256") != _digest(text):
            return f"{file.name} is not as it was built from {recipe}: it was edited, or the recipe was built again"
        path = Path(os.path.normpath(folder / str(manifest.get("recipe_dir", ".")) / recipe))
        for key in keys:
            value = _value(entry, key)
            if value is not None:
                return _place(value, path, str(manifest.get("recipe_sha256", "")), key)
        return None
    return None


def _manifests(file: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The manifests of the folders around a file, the nearest first."""
    for folder in list(file.absolute().parents)[:2]:
        try:
            read = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(read, dict):
            yield folder, read


def _value(entry: dict[str, Any], key: str) -> dict[str, Any] | None:
    """What the manifest says of a key, or of the nearest key around it; a target is where its path stands."""
    listed = [*_list(entry.get("blocks")), *_list(entry.get("values"))]
    known = {each["at"]: each for each in listed if isinstance(each, dict) and isinstance(each.get("at"), str)}
    while key:
        for name in (f"{key}._target_", key):
            if name in known:
                return known[name]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return None


def _place(value: dict[str, Any], path: Path, sha256: str, key: str) -> Place | str:
    name = str(value.get("recipe", "")).rsplit(":", 2)[0]
    if name.startswith("--set "):
        # The name of such a source is its text.
        text, shown = name.removeprefix("--set "), name
    else:
        shown = str(path)
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            return f"{path.name}, from which it was built, cannot be read"
        if _digest(text) != sha256:
            return f"{path.name} was changed since it was built, so its line is not shown; build it again"
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        return f"the manifest of {path.name} cannot be read; build it again"
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    shown_line = text[begin : len(text) if stop < 0 else stop].rstrip("\r")
    length = min(end, begin + len(shown_line.rstrip())) - start
    number = text.count("\n", 0, start) + 1
    return Place(shown, number, start - begin + 1, shown_line, max(1, length), key)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
