"""Walks through plain containers: mappings and lists, as YAML and JSON have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each value below a node that is no container, with its key: `model.layers[2]`.

    A container that holds itself, which an alias in YAML can make, is not entered again.
    """
    yield from _leaves(node, key, frozenset())


def below(key: str, name: Any) -> str:
    """The key of an entry of the mapping at `key`."""
    return f"{key}.{name}" if key else str(name)


def at(config: Mapping[str, Any], key: str) -> Any:
    """The node at a dotted key of mappings; None where there is none."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _leaves(node: Any, key: str, above: frozenset[int]) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping | list):
        yield key, node
    elif id(node) not in above:
        inner = above | {id(node)}
        if isinstance(node, Mapping):
            for name, value in node.items():
                yield from _leaves(value, below(key, name), inner)
        else:
            for index, value in enumerate(node):
                yield from _leaves(value, f"{key}[{index}]", inner)
