"""What is known of the values of a function while its body is read: dicts and their keys, lists, kinds of numbers.

A `Dict` says of each key whether it is surely there; where `closed`, there are no others. Dicts and lists are objects:
two names of one dict share it, and what one name changes the other sees. `fork` copies a state of names for a branch,
`join` brings branches together and stays on the safe side: what is not the same in all of them is no longer sure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol, TypeAlias

from esp3c.record import field, mutable, record


class Kind(StrEnum):
    """What a value is, as far as batching is concerned."""

    UNKNOWN = "unknown"
    ARRAY = "an array"  # numbers, at least one dimension
    TENSOR = "a tensor"  # numbers, any number of dimensions
    NUMBER = "a number"
    TEXT = "text"
    NONE = "None"


@record
class Leaf:
    kind: Kind
    constant: str | int | float | bool | None = None


UNKNOWN = Leaf(Kind.UNKNOWN)
NONE = Leaf(Kind.NONE)


@record
class Entry:
    value: Value
    sure: bool = True


@mutable
class Dict:
    """A dict. `origin` names the parameters that its keys came from.

    `summary`: it stands for each item of a list, so a change is a change of some. `shared`: there may be other ways to
    it, so that a change of another shared one may be a change of it.
    """

    fields: dict[str, Entry]
    closed: bool = True
    origin: frozenset[str] = frozenset()
    summary: bool = False
    shared: bool = False

    def put(self, key: str, value: Value, *, weak: bool = False) -> None:
        before = self.fields.get(key)
        if weak or self.summary:
            joined = value if before is None else join_values(before.value, value)
            self.fields[key] = Entry(joined, before is not None and before.sure)
        else:
            self.fields[key] = Entry(value)

    def remove(self, key: str, *, weak: bool = False) -> None:
        before = self.fields.get(key)
        if before is None:
            return
        if weak or self.summary:
            self.fields[key] = Entry(before.value, False)
        else:
            del self.fields[key]

    def absorb(self, other: Dict, *, weak: bool = False) -> None:
        """Takes over all keys of another dict, as `update` does."""
        for key, entry in other.fields.items():
            if entry.sure:
                self.put(key, entry.value, weak=weak)
            else:
                self.put(key, entry.value, weak=True)
        self.origin |= other.origin
        if not other.closed:
            self.loosen()

    def loosen(self) -> None:
        """From here on there may be other keys, and a known one may hold another value."""
        self.closed = False
        self.fields = {key: Entry(UNKNOWN, entry.sure) for key, entry in self.fields.items()}

    def havoc(self) -> None:
        """Anything may have been done to it."""
        self.closed = False
        self.fields = {key: Entry(UNKNOWN, False) for key in self.fields}

    def copy(self) -> Dict:
        return Dict(dict(self.fields), self.closed, self.origin)


@mutable
class Listing:
    """A list. `parts` are its items, or one that stands for all of them; `filled`: it is surely not empty."""

    parts: list[Value]
    filled: bool = False
    whole: bool = True

    def item(self) -> Value:
        """What any of the items is."""
        if not self.whole or not self.parts:
            return UNKNOWN
        if len(self.parts) == 1:
            only = self.parts[0]
            if isinstance(only, Dict):
                only.summary = True
            return only
        joined = self.parts[0]
        for part in self.parts[1:]:
            joined = join_values(joined, part)
        for part in self.parts:
            if isinstance(part, Dict):
                # What is done to the joined one is not seen in the parts.
                part.havoc()
        return joined


@record
class Several:
    """A tuple."""

    items: tuple[Value, ...]


@record
class Local:
    """A function made inside the function."""

    node: ast.FunctionDef | ast.Lambda


@record
class Made:
    """An object of a class, which is known by its path."""

    path: str


Value: TypeAlias = Leaf | Dict | Listing | Several | Local | Made
Env: TypeAlias = dict[str, Value]


class Scope(Protocol):
    """What the names of a body mean outside of it. `receiver` is the name of its `self`, or empty."""

    @property
    def receiver(self) -> str: ...

    def constant(self, dotted: str) -> str | None:
        """The text that a name of the module is bound to for good."""

    def callee(self, function: ast.expr) -> Callee | None:
        """The function that a call leads to, where its body is the only one that can be meant."""

    def made(self, dotted: str, imported: str | None) -> str:
        """The path of the class of what calling a name gives, or empty. `imported`: the path that the name stands for here."""


@record
class Callee:
    """`bound`: its first parameter is the object that it is called on."""

    node: ast.FunctionDef
    scope: Scope
    bound: bool


def leaf(constant: object) -> Leaf:
    match constant:
        case None:
            return NONE
        case str():
            return Leaf(Kind.TEXT, constant)
        case bool() | int() | float():
            return Leaf(Kind.NUMBER, constant)
        case _:
            return UNKNOWN


def fork(env: Mapping[str, Value]) -> Env:
    """A copy that can be changed alone; names of one object stay names of one object."""
    memo: dict[int, Value] = {}
    return {name: _copied(value, memo) for name, value in env.items()}


def _copied(value: Value, memo: dict[int, Value]) -> Value:
    if isinstance(value, Leaf | Local | Made):
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    if isinstance(value, Several):
        copied: Value = Several(tuple(_copied(item, memo) for item in value.items))
    elif isinstance(value, Listing):
        copied = memo[id(value)] = Listing([], value.filled, value.whole)
        copied.parts = [_copied(part, memo) for part in value.parts]
    else:
        copied = memo[id(value)] = Dict({}, value.closed, value.origin, value.summary, value.shared)
        copied.fields = {key: Entry(_copied(each.value, memo), each.sure) for key, each in value.fields.items()}
    memo[id(value)] = copied
    return copied


def join(envs: Iterable[Env]) -> Env | None:
    """What holds after any of several branches; None where none of them comes to an end."""
    joined: Env | None = None
    for env in envs:
        joined = env if joined is None else _Joining().envs(joined, env)
    return joined


def join_values(left: Value, right: Value) -> Value:
    return left if left is right else _Joining().values(left, right)


@mutable
class _Joining:
    pairs: dict[tuple[int, int], Value] = field(default_factory=dict)
    partners: dict[int, set[int]] = field(default_factory=dict)
    alive: list[Value] = field(default_factory=list)

    def envs(self, left: Env, right: Env) -> Env:
        out: Env = {}
        for name, value in left.items():
            if name in right:
                out[name] = self.values(value, right[name])
        for (a_id, b_id), value in self.pairs.items():
            # One object in a branch and two in the other: what is done through one name may miss the other.
            if len(self.partners[a_id]) > 1 or len(self.partners[b_id]) > 1:
                _lose(value)
        return out

    def values(self, left: Value, right: Value) -> Value:
        if isinstance(left, Leaf) and isinstance(right, Leaf):
            return left if left == right else Leaf(_common(left.kind, right.kind))
        pair = (id(left), id(right))
        if pair in self.pairs:
            return self.pairs[pair]
        for one, other in (pair, pair[::-1]):
            self.partners.setdefault(one, set()).add(other)
        self.alive += (left, right)
        self.pairs[pair] = joined = self._new(left, right)
        return joined

    def _new(self, left: Value, right: Value) -> Value:
        match left, right:
            case Dict(), Dict():
                closed = left.closed and right.closed
                origin = left.origin | right.origin
                fields: dict[str, Entry] = {}
                for key in dict.fromkeys((*left.fields, *right.fields)):
                    a, b = left.fields.get(key), right.fields.get(key)
                    if a is None or b is None:
                        one = a or b
                        assert one is not None
                        fields[key] = Entry(one.value if closed else UNKNOWN, False)
                    else:
                        fields[key] = Entry(self.values(a.value, b.value), a.sure and b.sure)
                return Dict(fields, closed, origin, left.summary or right.summary, left.shared or right.shared)
            case Listing(), Listing():
                parts = [*left.parts, *right.parts]
                merged: list[Value] = []
                for part in parts:
                    merged = [part] if not merged else [self.values(merged[0], part)]
                return Listing(merged, left.filled and right.filled, left.whole and right.whole)
            case Several(), Several() if len(left.items) == len(right.items):
                return Several(tuple(self.values(a, b) for a, b in zip(left.items, right.items, strict=True)))
            case (Local(), Local()) | (Made(), Made()) if left == right:
                return left
            case _:
                return UNKNOWN


def _lose(value: Value) -> None:
    if isinstance(value, Dict):
        value.havoc()
        value.shared = True
    elif isinstance(value, Listing):
        value.whole = False


def _common(left: Kind, right: Kind) -> Kind:
    if left == right:
        return left
    return Kind.TENSOR if {left, right} == {Kind.ARRAY, Kind.TENSOR} else Kind.UNKNOWN


def shape(env: Mapping[str, Value]) -> tuple[object, ...]:
    """What a state says, to compare two of them."""
    return tuple((name, _shape(value, 0)) for name, value in sorted(env.items()))


def _shape(value: Value, depth: int) -> object:
    if depth > 4:
        return "deep"
    match value:
        case Leaf() | Made():
            return value
        case Dict():
            inner = tuple((key, each.sure, _shape(each.value, depth + 1)) for key, each in sorted(value.fields.items()))
            return ("dict", value.closed, inner)
        case Listing():
            return ("list", value.filled, value.whole, tuple({_shape(part, depth + 1) for part in value.parts}))
        case Several():
            return ("tuple", tuple(_shape(item, depth + 1) for item in value.items))
        case _:
            return "function"
