"""Rings through the keys that ESPnet3's defaults make of one another: `exp_dir` of `exp_tag`, and so on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.check.blocks import all_values
from esp3c.ir import LinkNode, MapNode, Node, Recipe, Text
from esp3c.schema.blocks import SCAFFOLD, SCAFFOLD_NAMES
from esp3c.source import Span

_DEFAULTS = {key.name: tuple(re.findall(r"\$\{(\w+)\}", key.default or "")) for key in SCAFFOLD}


def scaffold_rings(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], Span]]:
    """The names of each ring, and the value that closes it."""
    told: set[Span] = set()
    for root in (recipe.settings, *(config.root for config in recipe.configs.values())):
        written = _written(recipe.settings) | _written(root)
        for name, (span, _) in written.items():
            ring = _ring(name, written)
            if ring and span not in told:
                told.add(span)
                yield ring, span


def _written(root: MapNode) -> dict[str, tuple[Span, tuple[str, ...]]]:
    """The keys that the recipe sets itself, with the keys that their values name."""
    found: dict[str, tuple[Span, tuple[str, ...]]] = {}
    for entry in root.entries:
        if entry.name in SCAFFOLD_NAMES:
            found[entry.name] = (entry.value.span, tuple(_named(entry.value)))
    return found


def _named(node: Node) -> Iterator[str]:
    for each in all_values(node):
        for part in each.parts if isinstance(each, Text) else (each,):
            if isinstance(part, LinkNode) and part.place[0] in SCAFFOLD_NAMES:
                yield str(part.place[0])


def _ring(start: str, written: dict[str, tuple[Span, tuple[str, ...]]]) -> tuple[str, ...]:
    """The way from a key through what it is made of, back to it."""
    left: list[tuple[str, tuple[str, ...]]] = [(start, (start,))]
    seen: set[str] = set()
    while left:
        name, way = left.pop()
        asks = written[name][1] if name in written else _DEFAULTS.get(name, ())
        for each in asks:
            if each == start:
                # A ring of written names only is found where names are looked up.
                return way if any(other not in written for other in way) else ()
            if each not in seen:
                seen.add(each)
                left.append((each, (*way, each)))
    return ()
