"""Cycles among the links of one config: values that need each other could never be worked out."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.ir import (
    CallNode,
    CarriedNode,
    Cycle,
    DatasetNode,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    Place,
    Text,
)  # fmt: skip


def links(node: Node, place: Place = ()) -> Iterator[tuple[Place, LinkNode]]:
    """Every link inside a value, with the place at which it stands."""
    match node:
        case LinkNode():
            yield place, node
        case Text(parts):
            for part in parts:
                if isinstance(part, LinkNode):
                    yield place, part
        case MapNode(entries):
            for entry in entries:
                yield from links(entry.value, (*place, entry.name))
        case ListNode(items):
            for number, item in enumerate(items):
                yield from links(item, (*place, number))
        case CallNode():
            yield from links(node.arguments, place)
        case DatasetNode():
            yield from links(node.arguments, place)
            yield from links(node.extra, place)
        case ParallelNode():
            yield from links(node.settings, place)
        case CarriedNode():
            return
        case _:
            return


def cycles(root: MapNode) -> list[Cycle]:
    """Each cycle once, from the value that stands first in it."""
    outgoing: dict[Place, list[LinkNode]] = {}
    inside: dict[Place, list[Place]] = {}
    for place, link in links(root):
        if link.scaffold:
            continue
        if place not in outgoing:
            for depth in range(len(place) + 1):
                inside.setdefault(place[:depth], []).append(place)
        outgoing.setdefault(place, []).append(link)
    found: list[Cycle] = []
    done: set[Place] = set()
    for start in outgoing:
        if start in done:
            continue
        # Depth first without recursion; `path` holds the links that are being followed.
        path: list[tuple[Place, LinkNode]] = []
        on_path: dict[Place, int] = {}
        stack: list[tuple[Place, LinkNode, bool]] = [(start, link, False) for link in outgoing[start]]
        while stack:
            place, link, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.pop(place, None)
                done.add(place)
                continue
            if place in done:
                continue
            stack.append((place, link, True))
            on_path[place] = len(path)
            path.append((place, link))
            for following in inside.get(link.place, ()):
                if following in on_path:
                    chain = path[on_path[following] :]
                    names = tuple(".".join(map(str, each)) for each, _ in chain)
                    found.append(Cycle(names, tuple(each.span for _, each in chain), "value"))
                    done.update(each for each, _ in chain)
                elif following not in done:
                    stack.extend((following, each, False) for each in outgoing[following])
    return found
