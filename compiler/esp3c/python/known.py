"""Values of Python expressions, as far as they follow from constants: what is not certain is None.

A `Known` value remembers the names of the parameters that it comes from, so that a refusal can be laid at their door.
Lists of a recipe are neither lists nor tuples when Python sees them, so nothing is said of their type.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from esp3c.record import record


@record
class Known:
    """A number, a text, a bool, None, a `Row`, a `Table` or an object; and the parameters that it was computed from."""

    value: object
    names: frozenset[str] = frozenset()


Maybe: TypeAlias = Known | None
"""A value, or None where it is not certain."""


@record
class Row:
    """A sequence or set. `kind` is `list`, `tuple`, `set`, or `recipe` for a list that stands in a recipe."""

    items: tuple[Maybe, ...]
    kind: str


@record
class Table:
    """A dict. `whole`: it has no other keys."""

    keys: tuple[Known, ...]
    values: tuple[Maybe, ...]
    whole: bool = True


LARGEST = 10**12
"""Numbers beyond this are not computed with."""

LONGEST_RANGE = 200

_NUMBERS: dict[str, Callable[[float, float], object]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
}
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}

_OF_ONE: dict[str, Callable[[float], float]] = {"abs": abs, "int": int, "float": float, "round": round}
_OF_MANY: dict[str, Callable[[list[float]], float]] = {"min": min, "max": max, "sum": sum}

_BUILTIN: dict[str, type | tuple[type, ...]] = {
    "int": int, "float": float, "str": str, "bool": bool, "complex": complex, "bytes": bytes,
    "Number": (int, float), "Real": (int, float), "Integral": int,
}  # fmt: skip
_HOLDING = frozenset({"list", "tuple", "set", "frozenset", "dict"})
_OBJECTS = frozenset({"Tensor", "Parameter", "Module", "ndarray", "dtype", "Path"})
"""Classes of which no plain value is one, by their last names."""


def truth(known: Maybe) -> bool | None:
    """Whether a value counts as true."""
    if known is None:
        return None
    if isinstance(known.value, Row):
        return bool(known.value.items)
    if isinstance(known.value, Table):
        return True if known.value.keys else (False if known.value.whole else None)
    return bool(known.value) if plain(known.value) else None


def names_of(*values: Maybe) -> frozenset[str]:
    return frozenset(name for each in values if each is not None for name in each.names)


def items_of(known: Maybe) -> tuple[Maybe, ...]:
    """What stands in a sequence; empty for anything else."""
    return known.value.items if known is not None and isinstance(known.value, Row) else ()


def plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not (abs(value) > LARGEST)


def compared(kind: str, left: Maybe, right: Maybe) -> Maybe:
    """`left < right` and the like; `kind` is the name of the operator's class in Python's trees.

    Where one side is not certain, nothing is: not even that they can be compared.
    """
    if left is None or right is None:
        return _within(left, right, negated=kind == "NotIn") if kind in {"In", "NotIn"} else None
    one, other, names = left.value, right.value, names_of(left, right)
    if kind in _ORDER:
        if _number(one) and _number(other):
            return Known(_ORDER[kind](one, other), names)  # type: ignore[arg-type]
        return None
    if kind in {"Is", "IsNot"}:
        if one is not None and other is not None and not (isinstance(one, bool) and isinstance(other, bool)):
            singles = isinstance(one, bool) or isinstance(other, bool)
            return Known(kind == "IsNot", names) if singles and plain(one) and plain(other) else None
        return Known((one is other) is (kind == "Is"), names)
    if kind in {"Eq", "NotEq"}:
        if plain(one) and plain(other):
            return Known((one == other) is (kind == "Eq"), names)
        return None
    return _within(left, right, negated=kind == "NotIn") if kind in {"In", "NotIn"} else None


def _within(item: Maybe, held: Maybe, *, negated: bool) -> Maybe:
    if item is None or held is None or not plain(item.value):
        return None
    names, value = names_of(item, held), held.value
    if isinstance(value, str):
        return Known((item.value in value) is not negated, names) if isinstance(item.value, str) else None
    among: tuple[Maybe, ...]
    if isinstance(value, Row):
        among, whole = value.items, True
    elif isinstance(value, Table):
        among, whole = value.keys, value.whole
    else:
        return None
    if any(each is not None and plain(each.value) and each.value == item.value for each in among):
        return Known(not negated, names)
    certain = whole and all(each is not None and plain(each.value) for each in among)
    return Known(negated, names | names_of(*among)) if certain else None


def computed(kind: str, left: Maybe, right: Maybe) -> Maybe:
    """`left + right` and the like, of numbers and of texts.

    Raises:
        ZeroDivisionError: As Python would.
    """
    if left is None or right is None:
        return None
    one, other, names = left.value, right.value, names_of(left, right)
    if isinstance(one, str) and isinstance(other, str):
        return Known(one + other, names) if kind == "Add" else None
    if kind in _NUMBERS and _number(one) and _number(other):
        return Known(_NUMBERS[kind](one, other), names)  # type: ignore[arg-type]
    return None


def item_of(held: Maybe, key: Maybe) -> Maybe:
    """`held[key]`; nothing is said where there is no such item."""
    if held is None or key is None:
        return None
    value = held.value
    if isinstance(value, Row) and value.kind != "set" and type(key.value) is int:
        inside = -len(value.items) <= key.value < len(value.items)
        found = value.items[key.value] if inside else None
        return Known(found.value, found.names | held.names) if found is not None else None
    if isinstance(value, Table) and plain(key.value):
        for number, each in enumerate(value.keys):
            if each.value == key.value and value.values[number] is not None:
                found = value.values[number]
                return Known(found.value, names_of(found, held, key)) if found is not None else None
    return None


def is_instance(known: Maybe, types: Iterable[str]) -> Maybe:
    """`isinstance(known, types)`, by the last names of the types."""
    if known is None:
        return None
    value, certain = known.value, True
    for each in types:
        if plain(value) and each in _BUILTIN:
            if isinstance(value, _BUILTIN[each]):
                return Known(True, known.names)
        elif isinstance(value, Row) and value.kind in _HOLDING and each in _HOLDING:
            if value.kind == each:
                return Known(True, known.names)
        elif isinstance(value, Table) and each == "dict":
            return Known(True, known.names)
        elif not (
            (plain(value) and (each in _HOLDING or each in _OBJECTS))
            or (isinstance(value, Row | Table) and (each in _BUILTIN or each in _OBJECTS))
        ):
            certain = False
    return Known(False, known.names) if certain else None


def called(name: str, given: list[Maybe]) -> Maybe:
    """What one of Python's own functions gives; None also for those that are not known here."""
    names = names_of(*given)
    if any(each is None for each in given) or not given:
        return None
    values = [each.value for each in given if each is not None]
    first = values[0]
    match name:
        case "len" if isinstance(first, Row) and first.kind != "set":
            return Known(len(first.items), names)
        case "len" if isinstance(first, Table) and first.whole:
            return Known(len(first.keys), names)
        case "len" if isinstance(first, str):
            return Known(len(first), names)
        case "range" if len(values) == 1 and type(first) is int and first <= LONGEST_RANGE:
            return Known(Row(tuple(Known(each) for each in range(first)), "range"), names)
        case "bool":
            return Known(truth(given[0]), names)
        case "callable" if plain(first):
            return Known(False, names)
        case "abs" | "int" | "float" | "round" if (
            len(values) == 1 and _number(first) and isinstance(first, int | float)
        ):
            if first != first or first in (float("inf"), float("-inf")):
                return None
            return Known(_OF_ONE[name](first), names)
        case "min" | "max" | "sum":
            numbers = list(_numbers(values))
            return Known(_OF_MANY[name](numbers), names) if numbers else None
        case "tuple" | "list" | "set" | "frozenset" if len(values) == 1 and isinstance(first, Row):
            return Known(Row(first.items, "set" if name == "frozenset" else name), names)
        case "tuple" | "list" | "set" | "frozenset" if len(values) == 1 and isinstance(first, Table) and first.whole:
            return Known(Row(first.keys, "set" if name == "frozenset" else name), names)
    return None


def _numbers(values: list[object]) -> Iterator[float]:
    """The numbers of `min(a, b)` or `min([a, b])`; none where one of them is anything else."""
    row = values[0]
    items = [each.value if each is not None else None for each in row.items] if isinstance(row, Row) else values
    if all(_number(each) for each in items) and (len(values) == 1) is isinstance(row, Row):
        yield from (each for each in items if isinstance(each, int | float))


def said(known: Known, name: str) -> Maybe:
    """What a method of a text or a dict gives that takes nothing."""
    value = known.value
    if isinstance(value, str) and name in {"lower", "upper", "strip", "title"}:
        return Known(getattr(value, name)(), known.names)
    if isinstance(value, Table) and name == "keys" and value.whole:
        return Known(Row(value.keys, "list"), known.names)
    return None
