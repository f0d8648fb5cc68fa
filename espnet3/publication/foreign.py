"""YAML that somebody else wrote, read without giving it anything to work with.

A config of one's own may refer to the environment, to other files, to whatever a resolver does. One that comes with a bundle
may not: OmegaConf never interpolates it. References to `recipe_dir` and to other values of the same config are replaced
here, once, in the plain container; a text that has `${` after that is refused, so that nothing can read it again as
something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet3.publication.containers import below, leaves
from espnet3.utils.errors import ConfigError

# Bytes. A meta.yaml has some 120 bytes a file.
LARGEST_META = 16 * 2**20
LARGEST_CONFIG = 2 * 2**20
_DEEPEST = 50
_LONGEST_TEXT = 100_000
_SCALARS = (str, int, float, bool, type(None))
# After a backslash it would be text, to a reader who takes the backslash away once.
_REFERENCE = re.compile(r"(?<!\\)\$\{([^\W\d]\w*(?:\.\w+|\[\d+\])*)\}")


class BundleError(ConfigError):
    """A bundle is damaged, was changed, is none, or asks for what no bundle needs."""


def read_yaml(path: Path, largest: int) -> Any:
    """The content of a YAML file: mappings, lists, texts, numbers, truth values and nulls.

    An alias can make a file of a few lines as large as the memory, or a list that holds itself; no bundle has one.

    Args:
        path: The file.
        largest: The size in bytes above which it is not read.

    Raises:
        FileNotFoundError: There is none.
        BundleError: It is too large, is no YAML, has aliases, is nested too deep, or holds something else.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with path.open("rb") as handle:
            data = handle.read(largest + 1)
        if len(data) > largest:
            raise BundleError(f"{path} is larger than {largest} bytes, so it is not read")
        text = data.decode("utf-8")
        _refuse_structure(path, yaml.parse(text, loader))
        content = yaml.load(text, loader)
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    except BundleError:
        raise
    # Numbers and dates that no machine has are a ValueError of whatever makes them.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise BundleError(f"{path} is no YAML: {(str(error).splitlines() or [''])[0]}") from error
    _refuse_kinds(path, content, "")
    return content


def yaml_text(content: Mapping[str, Any]) -> str:
    """YAML that `read_yaml` reads: what stands in two places is written twice."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return str(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True))


def settled(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A bundle's config with its references replaced: `${recipe_dir}`, and the keys of single values of the same config.

    Args:
        config: As `read_yaml` gives it.
        folder: The bundle; what `${recipe_dir}` stands for.

    Raises:
        BundleError: A text refers to something else, or leads out of the bundle.
    """
    made = _Settling({**config, "recipe_dir": str(folder)}, folder).node()
    for key, value in leaves(made):
        if "${" in key or (isinstance(value, str) and "${" in value):
            raise BundleError(
                f"the inference config of {folder}: {key} refers to something outside of the bundle, or is a text with "
                "`${` in it, which no bundle may have; write it in another way and pack again"
            )
    return made


def stays_inside(folder: Path, path: Path) -> bool:
    """Whether a path, with all links followed, is in a bundle's folder.

    In the cache of a hub, the files of a snapshot are links to a folder `blobs` beside the snapshots.
    """
    home = Path(os.path.realpath(folder))
    place = Path(os.path.realpath(path))
    cached = home.parent.name == "snapshots" and place.parent == home.parent.parent / "blobs"
    return place.is_relative_to(home) or cached


class _Settling:
    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self._config = dict(config)
        self._folder = folder
        self._made: dict[str, Any] = {}
        self._open: list[str] = []
        self._values = dict(leaves(self._config))

    def node(self) -> dict[str, Any]:
        return {str(name): self._node(value, str(name)) for name, value in self._config.items()}

    def _node(self, node: Any, key: str) -> Any:
        if isinstance(node, Mapping):
            return {name: self._node(value, below(key, name)) for name, value in node.items()}
        if isinstance(node, list):
            return [self._node(value, f"{key}[{index}]") for index, value in enumerate(node)]
        return self._value(key) if isinstance(node, str) and "${" in node else node

    def _value(self, key: str) -> Any:
        if key in self._made:
            return self._made[key]
        value = self._values[key]
        if isinstance(value, str) and key != "recipe_dir":
            if key in self._open:
                raise self._refused(f"{key} refers to itself")
            self._open.append(key)
            value = self._text(value, key)
            self._open.pop()
        self._made[key] = value
        return value

    def _text(self, text: str, key: str) -> Any:
        whole = _REFERENCE.fullmatch(text)
        made = self._referred(whole[1], key) if whole else None
        if whole is None:
            parts = _REFERENCE.split(text)
            # Every second part is a name.
            made = "".join(str(self._referred(each, key)) if at % 2 else each for at, each in enumerate(parts))
            if len(made) > _LONGEST_TEXT:
                raise self._refused(f"{key} becomes longer than {_LONGEST_TEXT} characters")
        if isinstance(made, str):
            self._refuse_outside(made, key)
        return made

    def _referred(self, name: str, key: str) -> Any:
        if name not in self._values:
            raise self._refused(f"{key} refers to something outside of the bundle, or to no single value: {name}")
        return self._value(name)

    def _refuse_outside(self, text: str, key: str) -> None:
        before, found, after = text.partition(str(self._folder))
        if not found:
            return
        leads_up = ".." in after.replace("\\", "/").split("/")
        if leads_up or (not before and os.path.lexists(text) and not stays_inside(self._folder, Path(text))):
            raise self._refused(f"{key} leads out of the bundle: {text}")

    def _refused(self, what: str) -> BundleError:
        return BundleError(f"the inference config of {self._folder}: {what}")


def _refuse_structure(path: Path, events: Any) -> None:
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise BundleError(f"{path} has an alias, *{event.anchor}; a bundle's YAML is read without")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise BundleError(f"{path} is nested deeper than {_DEEPEST} levels, so it is not read")


def _refuse_kinds(path: Path, node: Any, key: str) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            if not isinstance(name, _SCALARS):
                raise BundleError(f"{path}: {key or 'a key'} has a {type(name).__name__} as a name")
            _refuse_kinds(path, value, below(key, name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _refuse_kinds(path, value, f"{key}[{index}]")
    elif not isinstance(node, _SCALARS):
        raise BundleError(f"{path}: {key} is a {type(node).__name__}; only texts, numbers, lists and mappings are read")
