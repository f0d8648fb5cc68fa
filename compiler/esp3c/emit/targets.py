"""Which Python a recipe's configs may make and call: what `run.py` lists as `TARGETS`.

Listed are the `_target_` of every call, the path that Hydra's look-up functions are given, the Python paths that stand
as plain values (`output_fn`), and the dataset modules. What ESPnet3's own defaults bring is known to ESPnet3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from esp3c.emit.nodes import YList, YMap, YNode, YScalar
from esp3c.ir import CallNode, CarriedNode, DatasetNode, ListNode, MapNode, Node, ParallelNode, PythonNode, Recipe
from esp3c.schema.safety import FINDERS

_NAMING = frozenset({"_target_", "data_src", "func", "output_fn", "provider", "runner", "task"})
"""Keys whose text is a path that ESPnet3 imports."""

_DEEPEST = 20
"""How many references a path is followed through."""

_REFERENCE = re.compile(r"\$\{([^{}:]+)\}")


def targets(recipe: Recipe, trees: Iterable[YMap]) -> tuple[str, ...]:
    """Every path that the recipe's configs name, sorted."""
    found: set[str] = set()
    for config in recipe.configs.values():
        found.update(_python(config.root))
    for stage in recipe.stages:
        if stage.workload is not None:
            found.update(_python(stage.workload))
    for tree in trees:
        found.update(_written(tree, tree))
    return tuple(sorted(found - FINDERS))


def _python(node: Node) -> Iterator[str]:
    """The paths of calls and Python names in a value."""
    match node:
        case CarriedNode(value=value):
            yield from _python(value)
        case PythonNode(target=target):
            yield target.path
        case ListNode(items=items):
            for item in items:
                yield from _python(item)
        case MapNode(entries=entries):
            for entry in entries:
                yield from _python(entry.value)
        case CallNode(target=target):
            yield target.path
            for part in (node.arguments, node.options, *node.positional):
                yield from _python(part)
        case DatasetNode():
            for part in (node.arguments, node.extra, *node.positional):
                yield from _python(part)
        case ParallelNode(settings=settings):
            yield from _python(settings)


def _written(node: YNode, root: YMap) -> Iterator[str]:
    """The paths that stand as text in the YAML."""
    match node:
        case YList(items):
            for item in items:
                yield from _written(item, root)
        case YMap(entries):
            found = dict(entries)
            for key, value in entries:
                if isinstance(value, YScalar):
                    looked_up = key == "path" and _text(found.get("_target_")) in FINDERS
                    if (key in _NAMING or looked_up) and isinstance(value.value, str):
                        yield _followed(value.value, root)
                else:
                    yield from _written(value, root)


def _text(node: YNode | None) -> str:
    return node.value if isinstance(node, YScalar) and isinstance(node.value, str) else ""


def _followed(text: str, root: YMap) -> str:
    """The text with the values of its references in their places, as far as they stand in the same config."""
    for _ in range(_DEEPEST):
        written = _REFERENCE.sub(lambda match: _text(_at(root, match.group(1))) or match.group(), text)
        if written == text:
            break
        text = written
    return text


def _at(root: YMap, place: str) -> YNode | None:
    node: YNode | None = root
    for step in place.replace("[", ".").replace("]", "").split("."):
        match node:
            case YMap(entries):
                node = dict(entries).get(step)
            case YList(items) if step.isdecimal() and int(step) < len(items):
                node = items[int(step)]
            case _:
                return None
    return node
