"""The shape of a config before its names are looked up: maps, calls, lists and leaves, with bases merged in.

Names can only be looked up once it is known what there is; and what there is depends on `extends` and on overrides.
So the tree is first brought into this form, in which a call's arguments are keys like those of a block.
"""

from __future__ import annotations

from enum import StrEnum

from esp3c.ir import BadOverride, Fact, Misplaced, Repeated, Step
from esp3c.record import changed, field, record
from esp3c.schema.blocks import HYDRA_KEYS
from esp3c.source import Span
from esp3c.suggest import nearest
from esp3c.syntax import ast


class Kind(StrEnum):
    LEAF = "leaf"
    MAP = "map"
    CALL = "call"
    LIST = "list"


@record
class Shape:
    """One value. `children` are the keys of a map or the arguments of a call (and of the block behind it)."""

    kind: Kind
    span: Span
    value: ast.Value
    children: dict[str, Shape] = field(default_factory=dict)
    keys: dict[str, Span] = field(default_factory=dict)
    items: tuple[Shape, ...] = ()
    path: ast.Path | None = None
    partial: bool = False
    positional: tuple[Shape, ...] = ()
    behind: frozenset[str] = frozenset()

    def step(self, step: Step) -> Shape | None:
        if isinstance(step, int):
            return self.items[step] if step < len(self.items) else None
        return self.children.get(step)


def shape_of(value: ast.Value, facts: list[Fact]) -> Shape:
    """The shape of a value as it stands; what the language has no place for becomes a fact."""
    match value:
        case ast.Block():
            return block_shape(value, facts)
        case ast.ListValue():
            items = tuple(shape_of(item, facts) for item in value.items)
            return Shape(Kind.LIST, value.span, value, items=items)
        case ast.Call():
            return _call_shape(value, facts)
        case ast.Reference(block=ast.Block() as block):
            inner = block_shape(block, facts)
            return Shape(
                Kind.CALL, value.span, value, dict(inner.children), dict(inner.keys), path=value.path,
                behind=frozenset(inner.children),
            )  # fmt: skip
        case _:
            return Shape(Kind.LEAF, value.span, value)


def block_shape(block: ast.Block, facts: list[Fact]) -> Shape:
    children: dict[str, Shape] = {}
    keys: dict[str, Span] = {}
    for entry in block.entries:
        if isinstance(entry, ast.Field):
            facts.append(Misplaced("field", entry.span, entry.key.dotted))
            continue
        if len(entry.key.parts) > 1:
            facts.append(Misplaced("dotted-key", entry.key.span, entry.key.dotted))
            continue
        if entry.new:
            facts.append(Misplaced("new", Span(entry.span.source, entry.span.start, entry.span.start + 3)))
        name = entry.key.parts[0]
        if name.text in keys:
            facts.append(Repeated(name.text, keys[name.text], name.span, "key"))
            continue
        keys[name.text] = name.span
        children[name.text] = shape_of(entry.value, facts)
    shape = Shape(Kind.MAP, block.span, block, children, keys)
    return _with_target(shape, facts) if "_target_" in children else shape


def _with_target(shape: Shape, facts: list[Fact]) -> Shape:
    """A block with an explicit `_target_` means the call of that target."""
    target = shape.children["_target_"].value
    path: ast.Path | None = None
    if isinstance(target, ast.Reference) and target.block is None:
        path = target.path
    elif isinstance(target, ast.Text) and target.plain is not None:
        path = path_in_text(target)
    if path is None:
        facts.append(Misplaced("target", target.span))
        return shape
    children = {name: child for name, child in shape.children.items() if name not in {"_target_", "_partial_"}}
    partial = shape.children.get("_partial_")
    if partial is not None and not (isinstance(partial.value, ast.Constant) and isinstance(partial.value.value, bool)):
        facts.append(Misplaced("partial", partial.span))
    return changed(
        shape,
        kind=Kind.CALL,
        children=children,
        path=path,
        partial=partial is not None and isinstance(partial.value, ast.Constant) and partial.value.value is True,
    )


def path_in_text(text: ast.Text) -> ast.Path | None:
    """The dotted path that a string spells, with a span for each part, or None."""
    plain = text.plain
    if plain is None or not plain or not all(part.isidentifier() for part in plain.split(".")):
        return None
    parts: list[ast.Name] = []
    at = text.span.start + 1
    for part in plain.split("."):
        parts.append(ast.Name(part, Span(text.span.source, at, at + len(part))))
        at += len(part) + 1
    return ast.Path(tuple(parts), Span(text.span.source, text.span.start + 1, text.span.end - 1))


def _call_shape(call: ast.Call, facts: list[Fact]) -> Shape:
    children: dict[str, Shape] = {}
    keys: dict[str, Span] = {}
    positional: list[Shape] = []
    for argument in call.arguments:
        shape = shape_of(argument.value, facts)
        if argument.name is None:
            facts.append(Misplaced("positional", argument.span, call.path.dotted))
            positional.append(shape)
            continue
        name = argument.name.text
        if name in keys:
            facts.append(Repeated(name, keys[name], argument.name.span, "argument"))
            continue
        keys[name], children[name] = argument.name.span, shape
    behind: frozenset[str] = frozenset()
    if call.block is not None:
        inner = block_shape(call.block, facts)
        behind = frozenset(inner.children)
        for name, shape in inner.children.items():
            if name in keys:
                facts.append(Repeated(name, keys[name], inner.keys[name], "argument"))
                continue
            keys[name], children[name] = inner.keys[name], shape
    return Shape(
        Kind.CALL, call.span, call, children, keys, path=call.path, partial=call.partial,
        positional=tuple(positional), behind=behind,
    )  # fmt: skip


def is_hydra_key(name: str) -> bool:
    return name in HYDRA_KEYS


def override(base: Shape, block: ast.Block, base_name: str, facts: list[Fact]) -> Shape:
    """`base` with the settings of `block` laid over it. A dotted key, or a block on a block, reaches inside."""
    # One copy for all settings of the block, however many there are.
    merged = changed(base, children=dict(base.children), keys=dict(base.keys))
    seen: dict[str, Span] = {}
    for entry in block.entries:
        if isinstance(entry, ast.Field):
            facts.append(Misplaced("field", entry.span, entry.key.dotted))
            continue
        dotted = entry.key.dotted
        if dotted in seen:
            facts.append(Repeated(dotted, seen[dotted], entry.key.span, "key"))
            continue
        seen[dotted] = entry.key.span
        _lay(merged, entry, entry.key.parts, base_name, facts)
    return merged


def override_one(
    shape: Shape, entry: ast.Setting, parts: tuple[ast.Name, ...], base_name: str, facts: list[Fact]
) -> Shape:
    """`shape` with one setting laid over it; `parts` are the keys on the way to it."""
    merged = changed(shape, children=dict(shape.children), keys=dict(shape.keys))
    _lay(merged, entry, parts, base_name, facts)
    return merged


def _lay(shape: Shape, entry: ast.Setting, parts: tuple[ast.Name, ...], base_name: str, facts: list[Fact]) -> None:
    """Changes the children of `shape`, which nothing else holds yet."""
    name, rest = parts[0], parts[1:]
    there = shape.children.get(name.text)
    if there is None and (rest or not entry.new):
        near = tuple(nearest(name.text, shape.children))
        facts.append(BadOverride(name.text, name.span, False, base_name, near))
        return
    if rest:
        assert there is not None
        if there.kind in {Kind.LEAF, Kind.LIST}:
            facts.append(BadOverride(rest[0].text, rest[0].span, False, f"{base_name}.{name.text}", ()))
            return
        new = override_one(there, entry, rest, f"{base_name}.{name.text}", facts)
    elif there is not None and entry.new:
        facts.append(BadOverride(name.text, name.span, True, base_name, ()))
        return
    elif (
        there is not None
        and isinstance(entry.value, ast.Block)
        and there.kind in {Kind.MAP, Kind.CALL}
        and not any(isinstance(each, ast.Setting) and each.key.dotted == "_target_" for each in entry.value.entries)
    ):
        new = override(there, entry.value, f"{base_name}.{name.text}", facts)
    else:
        new = shape_of(entry.value, facts)
    shape.children[name.text] = new
    shape.keys[name.text] = name.span
