"""The resolved value of what a name stands for."""

from __future__ import annotations

from esp3c.check.machines import followed
from esp3c.ir import MapNode, Node, ParallelNode, Place, Recipe, child
from esp3c.query.ways import Sort, Thing


def node_of(recipe: Recipe, thing: Thing) -> Node | None:
    """The value of a thing, behind the names that stand for it; None where it is not in the resolved recipe."""
    kind, name = thing.owner
    if thing.sort is Sort.LET:
        kind, name = "let", thing.name
    root = _root(recipe, kind, name)
    return _at(root, thing.place) if root is not None else None


def _root(recipe: Recipe, kind: str, name: str) -> Node | None:
    match kind:
        case "config":
            config = recipe.configs.get(name)
            return config.root if config is not None else None
        case "let":
            return recipe.lets[name][1] if name in recipe.lets else None
        case "recipe":
            return recipe.settings
        case "dataset":
            return recipe.datasets[name].settings if name in recipe.datasets else None
        case "parallel":
            value = recipe.parallels[name].value if name in recipe.parallels else None
            return value.settings if isinstance(value, ParallelNode) else None
        case "stage":
            return next((each.workload for each in recipe.stages if each.name == name), None)
    return None


def _at(root: Node, place: Place) -> Node | None:
    top = root if isinstance(root, MapNode) else MapNode((), root.span)
    node: Node | None = followed(top, root)
    for step in place:
        node = followed(top, child(node, step)) if node is not None else None
    return node
