"""What a reference to another value stands for, beside the key that uses it."""

from __future__ import annotations

from esp3c.check.machines import followed
from esp3c.diagnostics import Label
from esp3c.ir import (
    CarriedNode,
    Entry,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    PythonNode,
    Recipe,
    Text,
    all_values,
    strip,
)
from esp3c.schema.blocks import SCAFFOLD_TEXTS


def scaffold_value(recipe: Recipe, link: LinkNode) -> Node | None:
    """What a key that every config has holds: what `recipe` sets, or the text of ESPnet3's defaults."""
    (name,) = link.place
    written = recipe.settings.get(str(name))
    if written is not None:
        value = strip(written)
        return None if isinstance(value, LinkNode) else value
    return Text((), link.span) if name in SCAFFOLD_TEXTS else None


def linked(recipe: Recipe, root: MapNode | None, node: Node) -> Node:
    """A value with each reference in it replaced by what it leads to, as far as that is known.

    What a reference leads to is left as it is: inside of that, other references are compared where they stand.
    """
    match node:
        case LinkNode():
            return _behind(recipe, root, node)
        case ListNode(items) if any(_has_link(item) for item in items):
            return ListNode(tuple(linked(recipe, root, item) for item in items), node.span)
        case MapNode(entries) if any(_has_link(entry.value) for entry in entries):
            made = (Entry(each.name, each.key_span, linked(recipe, root, each.value)) for each in entries)
            return MapNode(tuple(made), node.span)
        case CarriedNode(value=LinkNode() as link):
            behind = _behind(recipe, root, link)
            return behind if isinstance(behind, LinkNode) else CarriedNode(node.name, strip(behind), node.span)
        case _:
            return node


def name_of(used: Node, value: Node) -> CarriedNode | None:
    """The name under which `value` stands in `used`, of those in it the outermost; None where it stands there itself."""
    match used:
        case CarriedNode():
            return used
        case ListNode(items):
            inside = items
        case MapNode(entries):
            inside = tuple(entry.value for entry in entries)
        case _:
            return None
    for each in inside:
        if any(part is value for part in all_values(each)):
            return name_of(each, value)
    return None


def stands_at(used: CarriedNode | None, value: Node) -> tuple[Label, ...]:
    """Where the value behind a name stands, where that is in the recipe."""
    if used is None or value.span == used.span:
        return ()
    return (Label(value.span, "the value stands here"),)


def _has_link(node: Node) -> bool:
    match strip(node):
        case LinkNode():
            return True
        case ListNode(items):
            return any(_has_link(item) for item in items)
        case MapNode(entries):
            return any(_has_link(entry.value) for entry in entries)
        case _:
            return False


def _behind(recipe: Recipe, root: MapNode | None, link: LinkNode) -> Node:
    value = followed(root, link) if root is not None else link
    if isinstance(value, LinkNode) and value.scaffold:
        value = scaffold_value(recipe, value)
    if value is None or isinstance(value, LinkNode):
        return link
    if isinstance(value, PythonNode):
        # It is text in some places of the YAML, and the object itself in others.
        return link
    return CarriedNode(link.span.text, value, link.span)
