"""What the schema knows of a key by its place in the recipe: in a config, a dataset, a machine setting."""

from __future__ import annotations

from esp3c.ir import Place
from esp3c.query.occurrences import Index
from esp3c.query.ways import Sort, Thing
from esp3c.record import record
from esp3c.resolve.shapes import Kind, Shape
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS, DATASET, ENTRY, OWN, RECIPE, WORKLOAD


@record
class Described:
    """The block in which a key stands, and what is known of the key; None where nothing is.

    `type` is that of its value, also of an entry of a block of named ones (`test { seen = … }`).
    """

    block: t.Block | None = None
    key: t.Key | None = None
    type: t.Type | None = None


def described(index: Index, thing: Thing) -> Described:
    """What is known of the key of a value."""
    owner = index.owner(thing)
    if owner is None or thing.sort is not Sort.VALUE:
        return Described()
    return _at(index, _root(index, owner.kind, owner.name), owner.root, thing.place)


def _root(index: Index, kind: str, name: str) -> t.Block | None:
    match kind:
        case "recipe":
            return RECIPE
        case "dataset":
            return DATASET
        case "config":
            return CONFIGS.get(index.declarations.kinds.get(name, ""), OWN)
        case "stage":
            return WORKLOAD
    return None


def _at(index: Index, root: t.Block | None, shape: Shape, place: Place) -> Described:
    here, node = Described(type=t.Inside(root) if root is not None else None), shape
    for step in place:
        here = _into(index, here.type, node, step)
        deeper = node.step(step)
        if deeper is None:
            return here
        node = deeper
    return here


def _into(index: Index, type: t.Type | None, node: Shape, step: str | int) -> Described:
    if isinstance(step, int):
        item = next((each.item for each in options(type) if isinstance(each, t.ListOf)), None)
        # One dataset may stand where a list of them does.
        return Described(type=item)
    block = block_of(type)
    if node.kind is Kind.CALL:
        head = node.path.dotted if node.path is not None else ""
        if head in index.names.datasets:
            block = ENTRY if step in node.behind else None
        elif head in BACKENDS:
            block = BACKENDS[head]
        elif block is None or head != block.target:
            return Described()
    if block is None:
        named = next((each.value for each in options(type) if isinstance(each, t.MapOf)), None)
        return Described(type=named if node.kind is Kind.MAP else None)
    key = block.key(step)
    return Described(block, key, key.type if key is not None else None)


def options(type: t.Type | None) -> tuple[t.Type, ...]:
    return type.options if isinstance(type, t.Either) else (type,) if type is not None else ()


def block_of(type: t.Type | None) -> t.Block | None:
    return next((each.block for each in options(type) if isinstance(each, t.Inside)), None)
