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
    """Each ring of values, from the value that stands first in it."""
    outgoing: dict[Place, list[LinkNode]] = {}
    inside: dict[Place, list[Place]] = {}
    for place, link in links(root):
        if link.scaffold:
            continue
        if place not in outgoing:
            for depth in range(len(place) + 1):
                inside.setdefault(place[:depth], []).append(place)
        outgoing.setdefault(place, []).append(link)

    def following(place: Place) -> Iterator[tuple[LinkNode, Place]]:
        for link in outgoing[place]:
            for next_place in inside.get(link.place, ()):
                yield link, next_place

    found: list[Cycle] = []
    reported: set[Place] = set()
    done: set[Place] = set()
    for start in outgoing:
        if start in done:
            continue
        # Depth first without recursion: `path` are the places that are being followed, `asks` the links between them.
        path, position, asks = [start], {start: 0}, list[LinkNode]()
        stack = [following(start)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                left = path.pop()
                del position[left]
                done.add(left)
                if asks:
                    asks.pop()
                continue
            link, place = step
            if place in position:
                chain = path[position[place] :]
                if not reported.issuperset(chain):
                    reported.update(chain)
                    names = tuple(".".join(map(str, each)) for each in chain)
                    spans = tuple(each.span for each in (*asks[position[place] :], link))
                    found.append(Cycle(names, spans, "value"))
            elif place not in done:
                position[place] = len(path)
                path.append(place)
                asks.append(link)
                stack.append(following(place))
    return found
