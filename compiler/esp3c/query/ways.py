"""What each part of a dotted name stands for: `training`, `training.model`, `training.model.vocab_size`.

`resolve.scopes` says which value a whole name means; here the way to it is kept. The order in which blocks and
declarations are asked is that of `Names.look_up`.
"""

from __future__ import annotations

from enum import StrEnum

from esp3c.ir import Place
from esp3c.record import record
from esp3c.resolve.scopes import MAX_HOPS, Names, Owner, walk
from esp3c.resolve.shapes import Kind, Shape
from esp3c.syntax import ast

PathParts = tuple[str, ...]


class Sort(StrEnum):
    RECIPE = "recipe"
    CONFIG = "config"
    DATASET = "dataset"
    PARALLEL = "parallel"
    LET = "let"
    STAGE = "stage"  # a stage line
    METHOD = "method"  # a stage of the system, as `runs` names it
    VALUE = "value"  # a key, an argument or an item of a list, at `place` of its `owner`
    COMMON = "common"  # a key that every config has
    FIELD = "field"  # of the sample of the dataset `owner`
    PYTHON = "python"  # the dotted path `name`
    BACKEND = "backend"
    UNKNOWN = "unknown"


DECLARED = frozenset({Sort.RECIPE, Sort.CONFIG, Sort.DATASET, Sort.PARALLEL, Sort.LET})
"""What a declaration makes."""


@record
class Thing:
    """What a name stands for. `owner` is the kind and the name of what a value belongs to, as in `resolve.scopes.Owner`."""

    sort: Sort
    name: str
    owner: tuple[str, str] = ("", "")
    place: Place = ()


@record
class Value:
    """A value of the recipe, with the place at which it stands."""

    owner: Owner
    place: Place
    shape: Shape


@record
class Way:
    """Where the parts of a name lead to: one thing for each. `value` is the last one, if it is a value."""

    things: tuple[Thing, ...]
    value: Value | None


def of_value(owner: Owner, place: Place) -> Thing:
    """The thing at a place of an owner; the owner itself for the empty place."""
    if not place:
        return of_owner(owner)
    return Thing(Sort.VALUE, str(place[-1]), (owner.kind, owner.name), place)


def of_owner(owner: Owner) -> Thing:
    sorts = {"config": Sort.CONFIG, "let": Sort.LET, "dataset": Sort.DATASET, "parallel": Sort.PARALLEL}
    return Thing(sorts.get(owner.kind, Sort.STAGE if owner.kind == "stage" else Sort.RECIPE), owner.name)


def way(names: Names, parts: PathParts, owner: Owner, place: Place) -> Way | None:
    """What the parts of a name lead to, as the value at `place` of `owner` asks; None where it means nothing of the recipe."""
    return _way(names, parts, owner, place, frozenset())


_Busy = frozenset[tuple[str, str, Place]]


def _way(names: Names, parts: PathParts, owner: Owner, place: Place, busy: _Busy) -> Way | None:
    for depth in range(len(place) - 1, -1, -1):
        block = walk(owner.root, place[:depth])
        if block is None or block.kind not in {Kind.MAP, Kind.CALL}:
            continue
        found = _down(names, Value(owner, place[:depth], block), parts, place, busy)
        if found is not None:
            return found
    return _declared(names, parts, owner, busy)


def _declared(names: Names, parts: PathParts, owner: Owner, busy: _Busy) -> Way | None:
    head, rest = parts[0], parts[1:]
    if head in names.lets:
        return _behind(names, names.lets[head], rest, busy)
    if not rest and head in names.common():
        return Way((common(names, head),), None)
    if head in names.configs:
        root = names.configs[head]
        if not rest:
            return Way((of_owner(root),), None)
        found = _behind(names, root, rest, busy)
        if found is not None or len(rest) != 1 or rest[0] not in names.common():
            return found
        return Way((of_owner(root), common(names, rest[0])), None)
    if head == "recipe" and names.recipe is not None and rest:
        return _behind(names, names.recipe, rest, busy)
    for sort, table in ((Sort.DATASET, names.datasets), (Sort.PARALLEL, names.parallels)):
        if not rest and head in table:
            return Way((Thing(sort, head),), None)
    return None


def common(names: Names, key: str) -> Thing:
    """A key that every config has: that of the `recipe` block, where it is set there."""
    if names.recipe is not None and key in names.recipe.root.children:
        return of_value(names.recipe, (key,))
    return Thing(Sort.COMMON, key)


def _behind(names: Names, owner: Owner, rest: PathParts, busy: _Busy) -> Way | None:
    """The parts behind the name of a declaration."""
    found = _down(names, Value(owner, (), owner.root), rest, None, busy)
    return Way((of_owner(owner), *found.things), found.value) if found is not None else None


def _down(names: Names, value: Value, parts: PathParts, asking: Place | None, busy: _Busy) -> Way | None:
    owner, here, node = value.owner, value.place, value.shape
    things: list[Thing] = []
    for position, part in enumerate(parts):
        if node.kind is Kind.LEAF and isinstance(node.value, ast.Reference):
            # The name of another value: its parts are those of that one.
            key = (owner.kind, owner.name, here)
            if key in busy or len(busy) >= MAX_HOPS:
                return None
            named = tuple(each.text for each in node.value.path.parts)
            meant = _way(names, named, owner, here, busy | {key})
            if meant is None or meant.value is None:
                return None
            found = _down(names, meant.value, parts[position:], None, busy | {key})
            return Way((*things, *found.things), found.value) if found is not None else None
        step: str | int = int(part) if node.kind is Kind.LIST and part.isdecimal() else part
        deeper = node.step(step)
        if deeper is None:
            return None
        here, node = (*here, step), deeper
        things.append(of_value(owner, here))
    # A value does not mean itself, nor what it stands in.
    if asking is not None and here == asking[: len(here)]:
        return None
    return Way(tuple(things), Value(owner, here, node))
