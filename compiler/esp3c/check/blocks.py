"""Walks the blocks of a recipe whose keys are known, beside what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from esp3c.ir import (
    CallNode,
    Config,
    DatasetNode,
    Entry,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    Recipe,
    Scalar,
    at,
    strip,
)
from esp3c.ir import all_values as all_values
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS, DATASET, ENTRY, OWN, RECIPE, WORKLOAD


def walk_blocks(recipe: Recipe) -> Iterator[tuple[MapNode, t.Block]]:
    """Every block whose keys are known, with what is known of it."""
    for _, node, block in rooted_blocks(recipe):
        yield node, block


def rooted_blocks(recipe: Recipe) -> list[tuple[MapNode | None, MapNode, t.Block]]:
    """Every block whose keys are known, behind the root of the config that it stands in (None: in no config)."""
    return recipe.once("blocks", lambda: list(_rooted_blocks(recipe)))


def _rooted_blocks(recipe: Recipe) -> Iterator[tuple[MapNode | None, MapNode, t.Block]]:
    yield None, recipe.settings, RECIPE
    for dataset in recipe.datasets.values():
        yield None, dataset.settings, DATASET
    for config in recipe.configs.values():
        for node, block in blocks_of(config):
            yield config.root, node, block
    for parallel in recipe.parallels.values():
        if isinstance(parallel.value, ParallelNode) and parallel.value.backend in BACKENDS:
            yield None, parallel.value.settings, BACKENDS[parallel.value.backend]
    for stage in recipe.stages:
        if stage.workload is not None:
            yield None, stage.workload, WORKLOAD


def blocks_of(config: Config) -> Iterator[tuple[MapNode, t.Block]]:
    """Every block of one config whose keys are known."""
    yield from _inside(config.root, CONFIGS.get(config.kind, OWN))


def _inside(node: MapNode, block: t.Block) -> Iterator[tuple[MapNode, t.Block]]:
    yield node, block
    for entry in node.entries:
        key = block.key(entry.name)
        if key is not None:
            yield from _below(strip(entry.value), key.type)


def settings_of(node: Node, block: t.Block) -> MapNode | None:
    """The settings of a block, also where it says the `_target_` that goes without saying."""
    if isinstance(node, CallNode) and block.target and node.target.path == block.target:
        return node.arguments
    return node if isinstance(node, MapNode) else None


def _below(node: Node, type: t.Type) -> Iterator[tuple[MapNode, t.Block]]:
    match type:
        case t.Either(options):
            for option in options:
                if shape_fits(node, option):
                    yield from _below(node, option)
                    return
        case t.Inside(block):
            settings = settings_of(node, block)
            if settings is not None:
                yield from _inside(settings, block)
        case t.MapOf(value):
            if isinstance(node, MapNode):
                for entry in node.entries:
                    yield from _below(strip(entry.value), value)
        case t.ListOf(item):
            if isinstance(node, ListNode):
                for each in node.items:
                    yield from _below(strip(each), item)
        case t.DatasetUse():
            if isinstance(node, DatasetNode) and node.extra.entries:
                yield node.extra, ENTRY
        case t.ParallelUse():
            if isinstance(node, ParallelNode) and not node.name and node.backend in BACKENDS:
                yield node.settings, BACKENDS[node.backend]
        case _:
            return


def shape_fits(node: Node, type: t.Type) -> bool:
    match type:
        case t.Inside(block):
            return settings_of(node, block) is not None
        case t.MapOf():
            return isinstance(node, MapNode)
        case t.ListOf():
            return isinstance(node, ListNode)
        case t.DatasetUse():
            return isinstance(node, DatasetNode)
        case t.ParallelUse():
            return isinstance(node, ParallelNode)
        case _:
            return False


def config_value(config: Config, dotted: str) -> Node | None:
    """The value at a dotted place of a config."""
    return at(config.root, tuple(dotted.split(".")))


@cache
def homes() -> dict[str, tuple[str, ...]]:
    """For each key, the blocks that have it."""
    homes: dict[str, list[str]] = {}
    seen: set[str] = set()

    def visit(type: t.Type, path: str) -> None:
        match type:
            case t.Inside(block):
                add(block, path)
            case t.Either(options):
                for option in options:
                    visit(option, path)
            case t.MapOf(value) | t.ListOf(value):
                visit(value, path)
            case _:
                return

    def add(block: t.Block, path: str) -> None:
        if path in seen:
            return
        seen.add(path)
        for key in block.keys:
            homes.setdefault(key.name, []).append(path)
            visit(key.type, f"{path}.{key.name}")

    for name, config in CONFIGS.items():
        add(config, name)
    add(RECIPE, "recipe")
    add(DATASET, "dataset")
    return {name: tuple(paths[:3]) for name, paths in homes.items()}


def set_entry(node: MapNode, name: str) -> Entry | None:
    """The entry of a key that has a value, if it has one."""
    for entry in node.entries:
        value = strip(entry.value)
        if entry.name == name and not (isinstance(value, Scalar) and value.value is None):
            return entry
    return None
