"""Every Python object that a recipe names, wherever it stands, under the path where it is defined."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.ir import (
    CallNode,
    DatasetNode,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    PythonNode,
    Recipe,
    Scalar,
    Text,
)  # fmt: skip
from esp3c.python.find import Lookup, look_up
from esp3c.python.model import Imported, Value
from esp3c.python.reader import reader
from esp3c.source import Span
from esp3c.world import World

MOST_NAMES = 10
"""Through how many names of one's own modules a path is followed."""


def values_of(recipe: Recipe) -> list[Node]:
    """Every value that stands in the recipe, each where it stands: what a name stands for is not looked at again."""
    return recipe.once("values", lambda: list(_standing(recipe)))


def _standing(recipe: Recipe) -> Iterator[Node]:
    roots: list[Node] = [recipe.settings]
    roots += [config.root for config in recipe.configs.values()]
    roots += [dataset.settings for dataset in recipe.datasets.values()]
    roots += [parallel.value for parallel in recipe.parallels.values()]
    roots += [value for _, value in recipe.lets.values()]
    for stage in recipe.stages:
        roots += [each for each in (stage.workload, stage.runs) if isinstance(each, MapNode | PythonNode)]
    left = roots[::-1]
    while left:
        node = left.pop()
        yield node
        left.extend(_inside(node))


def _inside(node: Node) -> list[Node]:
    match node:
        case MapNode(entries):
            return [entry.value for entry in entries]
        case ListNode(items):
            return list(items)
        case CallNode():
            return [node.arguments, node.options, *node.positional]
        case DatasetNode():
            return [node.arguments, node.extra, *node.positional]
        case ParallelNode(name=""):
            return [node.settings]
        case _:
            return []


def objects_of(recipe: Recipe) -> Iterator[tuple[Lookup, Span, CallNode | None]]:
    """Every Python object that is named, with its place, and the call where it is called."""
    if recipe.system is not None:
        yield recipe.system.target, recipe.system.span, None
    for node in values_of(recipe):
        if isinstance(node, CallNode):
            yield node.target, node.head, node
        elif isinstance(node, PythonNode):
            yield node.target, node.span, None


def paths_of(world: World, target: Lookup) -> tuple[str, ...]:
    """The path as it is written, and those to which the recipe's own modules hand it on: `from os import system`."""
    return reader(world).once(("paths", target.path), lambda: tuple(_paths_of(world, target)))


def _paths_of(world: World, target: Lookup) -> Iterator[str]:
    yield target.path
    for _ in range(MOST_NAMES):
        following = _handed_on(world, target)
        if following is None:
            return
        yield following
        target = look_up(world, following)


def _handed_on(world: World, target: Lookup) -> str | None:
    if target.module is None or not target.module.local or not target.rest:
        return None
    contents = reader(world).contents(target.module)
    if contents is None:
        return None
    named = {each.name: each for each in contents.definitions}
    first, *rest = target.rest
    found = named.get(first)
    path: str | None = None
    if isinstance(found, Imported):
        path = found.path
    elif isinstance(found, Value) and found.text is not None:
        # `call = subprocess.call`
        head, _, tail = found.text.partition(".")
        imported = named.get(head)
        if isinstance(imported, Imported) and found.text.replace(".", "").isidentifier():
            path = ".".join(part for part in (imported.path, tail) if part)
    elif found is None and len(contents.stars) == 1:
        path = f"{contents.stars[0]}.{first}"
    return ".".join([path, *rest]) if path is not None else None


def literal(node: Node | None) -> str | None:
    """The text of a value that is nothing but text."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.value
    if isinstance(node, Text) and all(isinstance(part, str) for part in node.parts):
        return "".join(part for part in node.parts if isinstance(part, str))
    return None
