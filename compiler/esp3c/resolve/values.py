"""Values: from shapes to the resolved tree. Each name becomes a link, a carried value, a declaration, or Python."""

from __future__ import annotations

import re
from typing import TypeAlias

from esp3c.ir import (
    BrokenNode,
    CallNode,
    CarriedNode,
    Cycle,
    DatasetNode,
    Entry,
    Fact,
    LinkNode,
    ListNode,
    MapNode,
    Misplaced,
    Node,
    NotText,
    ParallelNode,
    Place,
    PythonNode,
    Resolver,
    Scalar,
    Shadowed,
    Step,
    Text,
    Undefined,
    strip,
)  # fmt: skip
from esp3c.python.find import Lookup, Status, look_up
from esp3c.record import record
from esp3c.resolve.scopes import Declared, Elsewhere, Meaning, Names, Owner, Scaffold, Target
from esp3c.resolve.shapes import Kind, Shape, is_hydra_key
from esp3c.schema.backends import BACKENDS
from esp3c.source import Span
from esp3c.suggest import nearest
from esp3c.syntax import ast
from esp3c.world import World

RESOLVERS = (
    "oc.env", "oc.select", "oc.decode", "oc.create", "oc.deprecated", "oc.dict.keys", "oc.dict.values",
    "self_name", "load_line", "now", "hydra",
)  # fmt: skip

MOST_CARRIED = 100_000
"""How many values all names of a recipe together may stand for."""

DEEPEST = 50
"""How deep inside each other values may be when a name stands for them, and where it stands."""

MOST_SEARCHES = 50
"""For how many undefined names of a recipe the nearest ones are looked for."""

_NOT_IN_INTERPOLATIONS = re.compile(r"""[\s\\${}()\[\]:."']""")


def _spelled(step: Step) -> bool:
    """Whether OmegaConf can spell a key inside `${…}`; if not, the value itself is written where it is asked for."""
    return isinstance(step, int) or not _NOT_IN_INTERPOLATIONS.search(step)


_DOTTED = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


_Key: TypeAlias = tuple[str, str, Place]


@record
class _Measured:
    """A value with the number of values in it, and how deep they stand inside each other, names written out."""

    node: Node
    size: int
    depth: int


class Values:
    """Resolves the values of one recipe. What is wrong goes to `facts`."""

    def __init__(self, names: Names, world: World, facts: list[Fact]) -> None:
        self.names = names
        self.world = world
        self.facts = facts
        self._python: dict[str, Lookup] = {}
        self._carried: dict[_Key, _Measured] = {}
        self._busy: list[tuple[_Key, str, Span]] = []
        self._sizes: dict[int, _Measured] = {}
        self._size = 0
        self._depth = 0
        self._searches = 0

    def python(self, path: str) -> Lookup:
        if path not in self._python:
            self._python[path] = look_up(self.world, path)
        return self._python[path]

    def map(self, shape: Shape, owner: Owner, place: Place = (), *, carry: bool = False) -> MapNode:
        """The keys of a block, or the arguments of a call, without Hydra's own keys."""
        entries = tuple(
            Entry(name, shape.keys[name], self.node(child, owner, (*place, name), carry=carry))
            for name, child in shape.children.items()
            if not (shape.kind is Kind.CALL and is_hydra_key(name))
        )
        return MapNode(entries, shape.span)

    def node(self, shape: Shape, owner: Owner, place: Place, *, carry: bool = False) -> Node:
        """One value at `place` of `owner`. With `carry`, links to the same owner are carried over too."""
        self._depth += 1
        try:
            return self._node(shape, owner, place, carry=carry)
        finally:
            self._depth -= 1

    def _node(self, shape: Shape, owner: Owner, place: Place, *, carry: bool) -> Node:
        match shape.kind:
            case Kind.MAP:
                return self.map(shape, owner, place, carry=carry)
            case Kind.LIST:
                items = tuple(
                    self.node(item, owner, (*place, number), carry=carry) for number, item in enumerate(shape.items)
                )
                return ListNode(items, shape.span)
            case Kind.CALL:
                return self.call(shape, owner, place, carry=carry)
        value = shape.value
        match value:
            case ast.Number():
                return Scalar(value.value, value.span)
            case ast.Quantity():
                return Scalar(value.value, value.span, value.dimension)
            case ast.Constant():
                return Scalar(value.value, value.span)
            case ast.Text():
                return self.text(value, owner, place, carry=carry)
            case ast.Reference():
                return self.reference(value.path, owner, place, carry=carry)
            case _:
                return BrokenNode(value.span)

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, shape: Shape, owner: Owner, place: Place, *, carry: bool) -> Node:
        assert shape.path is not None
        head = shape.path.dotted
        positional = tuple(self.node(item, owner, place, carry=carry) for item in shape.positional)
        if head in self.names.datasets:
            self.names.used.add(("dataset", head))
            arguments = self.map(shape, owner, place, carry=carry)
            inside = tuple(entry for entry in arguments.entries if entry.name not in shape.behind)
            behind = tuple(entry for entry in arguments.entries if entry.name in shape.behind)
            return DatasetNode(
                head,
                shape.path.span,
                MapNode(inside, shape.span),
                positional,
                MapNode(behind, shape.span),
                shape.span,
            )
        arguments = self.map(shape, owner, place, carry=carry)
        if head in BACKENDS:
            return ParallelNode("", head, arguments, shape.span)
        if isinstance(shape.value, ast.Reference):
            # `name { … }`: only a dataset takes a block.
            meaning = self.names.look_up(tuple(part.text for part in shape.path.parts), owner, place)
            kind = "block-behind" if meaning is not None or self._is_python(head) else ""
            if kind:
                self.facts.append(Misplaced(kind, shape.path.span, head))
                return BrokenNode(shape.span)
        if shape.behind:
            self.facts.append(Misplaced("block-behind", shape.path.span, head))
        target = self.python(head)
        if target.status is Status.ABSENT or target.is_module:
            self._undefined(shape.path, owner, place, "call")
        options = MapNode(
            tuple(
                Entry(name, shape.keys[name], self.node(child, owner, (*place, name), carry=carry))
                for name, child in shape.children.items()
                if is_hydra_key(name)
            ),
            shape.span,
        )
        return CallNode(target, shape.path.span, arguments, positional, shape.partial, options, shape.span)

    def _is_python(self, dotted: str) -> bool:
        return "." in dotted and self.python(dotted).status is not Status.ABSENT

    # -- names ------------------------------------------------------------------------------------------------------

    def reference(self, path: ast.Path, owner: Owner, place: Place, *, carry: bool) -> Node:
        parts = tuple(part.text for part in path.parts)
        meaning = self.names.look_up(parts, owner, place)
        node = self.meant(meaning, path.dotted, path.span, owner, carry=carry)
        if node is not None:
            return node
        if len(parts) > 1:
            target = self.python(path.dotted)
            if target.status is not Status.ABSENT:
                return PythonNode(target, path.span)
        self._undefined(path, owner, place, "name")
        return BrokenNode(path.span)

    def meant(self, meaning: Meaning, name: str, span: Span, owner: Owner, *, carry: bool) -> Node | None:
        match meaning:
            case Target():
                if meaning.shadowed is not None:
                    near = meaning.shape.span
                    self.facts.append(Shadowed(name.split(".")[0], span, near, meaning.shadowed))
                same = meaning.owner.kind == owner.kind and meaning.owner.name == owner.name
                if same and owner.is_config and not carry and all(_spelled(step) for step in meaning.place):
                    return LinkNode(meaning.place, span)
                return self.carried(meaning, name, span)
            case Scaffold():
                return LinkNode((meaning.name,), span, scaffold=True)
            case Elsewhere(config, key):
                self.facts.append(Misplaced("elsewhere", span, f"{config}.{key}"))
                return BrokenNode(span)
            case Declared(kind="dataset"):
                empty = MapNode((), span)
                return DatasetNode(meaning.name, span, empty, (), empty, span)
            case Declared(kind="parallel"):
                return self.parallel_use(meaning.name, span)
            case Declared():
                self.facts.append(Misplaced("config-as-value", span, meaning.name))
                return BrokenNode(span)
        return None

    def parallel_use(self, name: str, span: Span) -> Node:
        owner = self.names.parallels[name]
        node = strip(self.carried(Target(owner, (), owner.root), name, span))
        if isinstance(node, ParallelNode):
            return ParallelNode(name, node.backend, node.settings, span)
        return BrokenNode(span)

    def carried(self, target: Target, name: str, span: Span) -> Node:
        """What a name stands for. A value that would need itself, or would be too large to write, is broken."""
        key = (target.owner.kind, target.owner.name, target.place)
        known = self._carried.get(key)
        if known is None:
            for position, (busy, _, _) in enumerate(self._busy):
                # A value inside itself is a cycle as well as a value that is itself.
                if busy[:2] == key[:2] and busy[2][: len(key[2])] == key[2]:
                    chain = self._busy[position:]
                    # The first was asked for from outside; the ring is what asks from inside.
                    spans = (*(each[2] for each in chain[1:]), span)
                    self.facts.append(Cycle(tuple(each[1] for each in chain), spans, "value"))
                    return BrokenNode(span)
            if self._depth > DEEPEST:
                return self._too_much(name, span)
            self._busy.append((key, name, span))
            try:
                node = self.node(target.shape, target.owner, target.place, carry=True)
            finally:
                self._busy.pop()
            known = self._carried[key] = _Measured(node, *self._measure(node))
            self._sizes[id(node)] = known
        if known.size > MOST_CARRIED or known.depth > DEEPEST:
            return self._too_much(name, span)
        if not self._busy:
            before, self._size = self._size, self._size + known.size
            if self._size > MOST_CARRIED:
                # Once is enough: which of the names is the one too many is chance.
                return self._too_much(name, span) if before <= MOST_CARRIED else BrokenNode(span)
        return CarriedNode(name, known.node, span)

    def _too_much(self, name: str, span: Span) -> Node:
        self.facts.append(Misplaced("too-much", span, name))
        return BrokenNode(span)

    def _measure(self, node: Node) -> tuple[int, int]:
        match node:
            case CarriedNode(value=value):
                known = self._sizes.get(id(value))
                return (known.size, known.depth) if known is not None else (1, 1)
            case MapNode(entries):
                inner = [self._measure(entry.value) for entry in entries]
            case ListNode(items):
                inner = [self._measure(item) for item in items]
            case Text(parts):
                inner = [self._measure(part) for part in parts if isinstance(part, CarriedNode)]
            case CallNode():
                inner = [self._measure(node.arguments), self._measure(node.options)]
            case DatasetNode():
                inner = [self._measure(node.arguments), self._measure(node.extra)]
            case ParallelNode():
                inner = [self._measure(node.settings)]
            case _:
                inner = []
        return 1 + sum(size for size, _ in inner), 1 + max((depth for _, depth in inner), default=0)

    def _near(self, parts: tuple[str, ...], owner: Owner, place: Place) -> tuple[str, ...]:
        # Each search compares with every name in sight; nobody reads more than the first of them.
        self._searches += 1
        return self.names.near(parts, owner, place) if self._searches <= MOST_SEARCHES else ()

    def _undefined(self, path: ast.Path, owner: Owner, place: Place, what: str) -> None:
        parts = tuple(part.text for part in path.parts)
        near = list(self._near(parts, owner, place)) if what == "name" else []
        lookup = self.python(path.dotted) if len(parts) > 1 or what == "call" else None
        if lookup is not None and lookup.near:
            position = len(parts) - len(lookup.rest)
            near += [".".join((*parts[:position], each, *parts[position + 1 :])) for each in lookup.near]
        if what == "call" and len(parts) == 1:
            near += nearest(parts[0], [*self.names.datasets, *BACKENDS])
        self.facts.append(Undefined(path.dotted, path.span, tuple(dict.fromkeys(near)), lookup, what))

    # -- text -------------------------------------------------------------------------------------------------------

    def text(self, text: ast.Text, owner: Owner, place: Place, *, carry: bool) -> Node:
        plain = text.plain
        if plain is not None:
            return Scalar(plain, text.span)
        parts: list[str | LinkNode | CarriedNode | Resolver | BrokenNode] = []
        for part in text.parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            node = self.interpolation(part, owner, place, carry=carry, alone=len(text.parts) == 1)
            parts.append(node)
        if len(parts) == 1 and isinstance(parts[0], LinkNode | CarriedNode):
            # `"${optimizer.lr}"` alone is the value itself, with its type.
            return parts[0]
        return Text(tuple(parts), text.span)

    def interpolation(
        self, part: ast.Interpolation, owner: Owner, place: Place, *, carry: bool, alone: bool
    ) -> LinkNode | CarriedNode | Resolver | BrokenNode:
        name = part.expression
        if ":" in name:
            resolver = name.split(":", 1)[0].strip()
            if resolver not in RESOLVERS:
                near = tuple(nearest(resolver, RESOLVERS))
                self.facts.append(Undefined(resolver, part.span, near, None, "resolver"))
            return Resolver(name, part.span)
        if not _DOTTED.fullmatch(name):
            self.facts.append(Misplaced("interpolation", part.span, name))
            return BrokenNode(part.span)
        parts = tuple(name.split("."))
        meaning = self.names.look_up(parts, owner, place)
        node = self.meant(meaning, name, part.span, owner, carry=carry)
        if node is None:
            near = self._near(parts, owner, place)
            self.facts.append(Undefined(name, part.span, near, None, "interpolation"))
            return BrokenNode(part.span)
        value = strip(node)
        if alone and isinstance(node, CarriedNode):
            return node
        if (
            isinstance(meaning, Target)
            and isinstance(node, LinkNode)
            and not alone
            and meaning.shape.kind is not Kind.LEAF
        ):
            self.facts.append(NotText(name, part.span, meaning.shape.span))
            return BrokenNode(part.span)
        if isinstance(node, LinkNode | BrokenNode):
            return node
        if isinstance(node, CarriedNode) and isinstance(value, Scalar | Text | LinkNode | BrokenNode):
            return node
        if isinstance(value, PythonNode):
            return CarriedNode(name, Scalar(value.target.path, value.span), part.span)
        self.facts.append(NotText(name, part.span, value.span))
        return BrokenNode(part.span)
