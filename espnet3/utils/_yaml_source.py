"""One YAML file, read with the place of every key.

The C loader reads, under OmegaConf's rules: a duplicate key is an error, `1e-3` is a number, a date is a
string.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from espnet3.utils.errors import ConfigError

_SELF_NAME = re.compile(r"(?<!\\)\$\{\s*self_name\s*:\s*\}")


@dataclass(frozen=True, slots=True)
class Origin:
    """The file, the line and the column (from 1) in which a key stands."""

    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class YamlSource:
    """The content of a YAML file and where each key of it stands.

    Attributes:
        path: The file.
        content: The mapping that the file holds; empty for an empty file.
        origins: For each key, written as OmegaConf writes it ("dataset.train[0].transform"), its place.
    """

    path: Path
    content: dict[str, Any]
    origins: dict[str, Origin]


# The text of every file as it was read: it may be another one when an error speaks of it.
_texts: dict[str, str] = {}


def text_read(path: str) -> str | None:
    """The text of the file `path` as `read_yaml` last read it, or None."""
    return _texts.get(path)


def read_yaml(path: Path, self_name: str | None = None) -> YamlSource:
    """Read `path`, with `${self_name:}` replaced by `self_name` (the stem of `path` where that is None).

    Raises:
        ConfigError: There is no such file, it is no YAML, a key stands twice, or it holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such config file{_neighbours(path)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder, not a config file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    _texts[str(path)] = text
    loader = _loader_class()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return YamlSource(path, {}, {})
        if not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1
            raise ConfigError(f"{path}:{line}: a config file holds keys and values at its top level")
        _replace_self_name(node, path.stem if self_name is None else self_name, set())
        content = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        context = f" ({error.context})" if error.context and error.problem_mark is not None else ""
        raise ConfigError(f"{path}{place}: {error.problem or error.context}{context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from None
    finally:
        loader.dispose()
    origins: dict[str, Origin] = {}
    _collect_origins(node, "", str(path), origins)
    return YamlSource(path, content, origins)


@cache
def _loader_class() -> Any:
    rules = get_yaml_loader()
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers = rules.yaml_implicit_resolvers
        yaml_constructors = rules.yaml_constructors

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if key.tag != yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG:
                    continue
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands here a second time", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    return Loader


def _replace_self_name(node: yaml.Node, name: str, seen: set[int]) -> None:
    # An alias is the same node again: without `seen`, a recursive one would never end.
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        node.value = _SELF_NAME.sub(lambda _: name, node.value)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _replace_self_name(value, name, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _replace_self_name(value, name, seen)


def _collect_origins(node: yaml.Node, prefix: str, path: str, origins: dict[str, Origin]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}.{key.value}" if prefix else str(key.value)
            if name not in origins:
                origins[name] = _origin(path, key)
                _collect_origins(value, name, path, origins)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            name = f"{prefix}[{index}]"
            if name not in origins:
                origins[name] = _origin(path, value)
                _collect_origins(value, name, path, origins)


def _origin(path: str, node: yaml.Node) -> Origin:
    return Origin(path, node.start_mark.line + 1, node.start_mark.column + 1)


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor the folder {path.parent})"
    found = sorted(entry.name for entry in path.parent.glob("*.y*ml"))
    return f"; {path.parent} has {', '.join(found)}" if found else ""
