"""Places for the nodes and edges of a graph: columns of datasets, configs, stages and what stages leave, stages downwards.

Edges run only in the channels between the columns, the edges of one source in a lane of their own, and meet boxes at their
sides; so no edge crosses a box. Machines stand below, and a box that runs on one says so. All lengths are pixels.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from esp3c.graph.model import Edge, Graph, Kind, Node, Relation
from esp3c.record import mutable, record

NAME_SIZE, DETAIL_SIZE, LABEL_SIZE = 13.0, 11.0, 10.0
EM = 0.61
"""The width of a letter for a size of 1: a little more than the widest of the usual monospaced fonts has."""

_LONGEST, _LONGEST_LABEL, _LONGEST_MACHINE = 44, 24, 100
_PADDING, _MARGIN, _HEADING = 12.0, 24.0, 26.0
_NAME_LINE, _DETAIL_LINE = 18.0, 16.0
_GAP, _STAGE_GAP, _CHANNEL, _LANE, _PORT = 14.0, 28.0, 30.0, 11.0, 15.0
_FIRST_PORT = 18.0

Point: TypeAlias = tuple[float, float]
_Key: TypeAlias = tuple[str, str, Relation]


@mutable
class Box:
    """A node with the lines that are shown of it; `on` is the machine that the last line names."""

    node: Node
    lines: tuple[str, ...]
    on: str
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@record
class Wire:
    """An edge as a line through points, with the place where its label begins. `hue` tells the sources of a channel apart."""

    edge: Edge
    points: tuple[Point, ...]
    hue: int = 0
    label: str = ""
    at: Point = (0.0, 0.0)


@record
class Heading:
    text: str
    x: float
    y: float


@record
class Drawing:
    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    headings: tuple[Heading, ...]


def columns(text: str) -> int:
    """How many columns of a monospaced font a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def shortened(text: str, longest: int) -> str:
    """The text, cut where it would be too wide."""
    if columns(text) <= longest:
        return text
    kept, width = "", 1
    for char in text:
        width += columns(char)
        if width > longest:
            break
        kept += char
    return kept + "…"


def lay_out(graph: Graph) -> Drawing:
    """Places for everything in a graph."""
    return _Layout(graph).run()


@mutable
class _Trunk:
    """The edges of one source in a channel: out at `start`, along a lane, in at the ports of their targets."""

    source: str
    start: float
    ends: list[tuple[Edge, float]]
    hue: int
    lane: int = 0

    @property
    def span(self) -> tuple[float, float]:
        heights = [self.start, *(end for _, end in self.ends)]
        return min(heights), max(heights)


class _Layout:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        on = {edge.source: edge.target.partition(":")[2] for edge in graph.related(Relation.ON)}
        self.boxes = {node.id: _box(node, on.get(node.id, "")) for node in graph.nodes}
        self.ports: dict[_Key, float] = {}
        self.starts: dict[_Key, float] = {}

    def run(self) -> Drawing:
        bottom = self.place_stages()
        bottom = max(bottom, self.place_beside(Kind.CONFIG, Relation.REQUIRED_BY, bottom))
        bottom = max(bottom, self.place_beside(Kind.DATASET, Relation.USED_BY, bottom))
        self.left_ports(Kind.STAGE)
        self.left_ports(Kind.CONFIG)
        uses, extensions = self.trunks(Relation.USED_BY), self.trunks(Relation.EXTENDED_BY)
        needs, reads = self.trunks(Relation.REQUIRED_BY), self.trunks(Relation.READ_BY)

        headings: list[Heading] = []
        # Where the lanes of each channel begin.
        begin_uses = _CHANNEL / 2 + self.column(Kind.DATASET, "datasets", _MARGIN, headings)
        x = begin_uses + _LANE * _share_lanes(uses, downwards=False) - (0 if uses else _CHANNEL / 2)
        x += _LANE * _share_lanes(extensions, downwards=True) + (_CHANNEL / 2 if uses or extensions else 0)
        begin_extensions = x - _LANE
        begin_needs = _CHANNEL / 2 + self.column(Kind.CONFIG, "configs", x, headings)
        x = begin_needs + _LANE * _share_lanes(needs, downwards=False) + (_CHANNEL / 2 if needs else 0)
        begin_reads = self.column(Kind.STAGE, "stages", x, headings) + _CHANNEL / 2 + self.room_for_labels()
        x = begin_reads + _LANE * _share_lanes(reads, downwards=True) + _CHANNEL / 2
        width = self.column(Kind.FILES, "what they leave", x, headings) + _MARGIN
        if not self.of(Kind.FILES):
            width = begin_reads - _CHANNEL / 2 + _MARGIN

        wires = [
            *self.straight(),
            *(wire for trunk in uses for wire in self.across(trunk, begin_uses)),
            *(wire for trunk in extensions for wire in self.beside(trunk, begin_extensions)),
            *(wire for trunk in needs for wire in self.across(trunk, begin_needs)),
            *(wire for trunk in reads for wire in self.back(trunk, begin_reads)),
        ]
        width, bottom = self.machines(width, bottom, headings)
        return Drawing(width, bottom + _MARGIN, tuple(self.boxes.values()), tuple(wires), tuple(headings))

    def of(self, kind: Kind) -> list[Box]:
        return [self.boxes[node.id] for node in self.graph.of(kind)]

    def related(self, relation: Relation) -> list[Edge]:
        return self.graph.related(relation)

    # -- down ----------------------------------------------------------------------------------------------------------

    def place_stages(self) -> float:
        """Stages one below the other, each beside what it leaves; what was left by others stands above its reader."""
        readers: dict[str, list[str]] = {}
        for edge in self.related(Relation.READ_BY):
            readers.setdefault(edge.target, []).append(edge.source)
        left = {edge.source: edge.target for edge in self.related(Relation.WRITES)}
        waiting = [box for box in self.of(Kind.FILES) if box.node.id not in left.values()]
        y = bottom = _MARGIN + _HEADING
        for stage in self.of(Kind.STAGE):
            sources = readers.get(stage.node.id, [])
            for box in [each for each in waiting if each.node.id in sources]:
                waiting.remove(box)
                box.y = y
                y = bottom = box.bottom + _GAP
            stage.y = y
            for number, source in enumerate(sources):
                self.ports[(source, stage.node.id, Relation.READ_BY)] = y + _FIRST_PORT + _PORT * number
            out = y + _FIRST_PORT + _PORT * len(sources)
            if stage.node.id in left:
                files = self.boxes[left[stage.node.id]]
                files.y = out - _FIRST_PORT
                self.ports[(stage.node.id, files.node.id, Relation.WRITES)] = out
                bottom = files.bottom
            ports = len(sources) + (stage.node.id in left)
            stage.height = max(stage.height, 2 * _FIRST_PORT + _PORT * (ports - 1))
            bottom = max(bottom, stage.bottom)
            y = bottom + _STAGE_GAP
        return bottom

    def place_beside(self, kind: Kind, relation: Relation, limit: float) -> float:
        """A column whose boxes stand as near to the middle of what they lead to as their neighbours let them."""
        heights: dict[str, list[float]] = {}
        for edge in self.related(relation):
            heights.setdefault(edge.source, []).append(self.boxes[edge.target].middle)
        column = self.of(kind)
        for box in column:
            there = heights.get(box.node.id, [])
            box.y = sum(there) / len(there) - box.height / 2 if there else limit
            # Several lines may meet a box at its left side.
            meeting = sum(1 for edge in self.graph.edges if _meets_left(edge, box.node.id))
            box.height = max(box.height, _PORT * (meeting + 1))
        column.sort(key=lambda box: box.y)
        top = _MARGIN + _HEADING
        limit = max(limit, top + sum(box.height + _GAP for box in column) - _GAP)
        for box in column:
            box.y = max(box.y, top)
            top = box.bottom + _GAP
        for box in reversed(column):
            box.y = min(box.y, limit - box.height)
            limit = box.y - _GAP
        return column[-1].bottom if column else 0.0

    def left_ports(self, kind: Kind) -> None:
        for box in self.of(kind):
            meeting = [edge for edge in self.graph.edges if _meets_left(edge, box.node.id)]
            meeting.sort(key=lambda edge: (edge.relation is Relation.EXTENDED_BY, self.boxes[edge.source].middle))
            for number, edge in enumerate(meeting, 1):
                height = box.y + box.height * number / (len(meeting) + 1)
                key = (edge.source, edge.target, edge.relation)
                if edge.source == box.node.id:
                    self.starts[key] = height
                else:
                    self.ports[key] = height

    # -- across --------------------------------------------------------------------------------------------------------

    def column(self, kind: Kind, heading: str, x: float, headings: list[Heading]) -> float:
        """Puts a column at `x` and says where it ends."""
        column = self.of(kind)
        if not column:
            return x
        width = max([box.width for box in column] + [columns(heading) * DETAIL_SIZE * EM])
        for box in column:
            box.x, box.width = x, width
        headings.append(Heading(heading, x, _MARGIN + 8))
        return x + width

    def trunks(self, relation: Relation) -> list[_Trunk]:
        by_source: dict[str, _Trunk] = {}
        for edge in self.related(relation):
            key = (edge.source, edge.target, relation)
            box = self.boxes[edge.source]
            start = self.starts.get(key, box.bottom - 14 if relation is Relation.READ_BY else box.middle)
            # Each extension begins at a port of its own.
            name = f"{edge.source} {edge.target}" if relation is Relation.EXTENDED_BY else edge.source
            trunk = by_source.setdefault(name, _Trunk(edge.source, start, [], len(by_source)))
            trunk.ends.append((edge, self.ports[key]))
        if relation in (Relation.USED_BY, Relation.REQUIRED_BY):
            for trunk in by_source.values():
                box = self.boxes[trunk.source]
                # A line that can be straight is.
                level = [end for _, end in trunk.ends if box.y + 8 < end < box.bottom - 8]
                trunk.start = min(level, key=lambda end: abs(end - box.middle), default=trunk.start)
        return list(by_source.values())

    def room_for_labels(self) -> float:
        labels = [shortened(edge.label, _LONGEST_LABEL) for edge in self.related(Relation.READ_BY)]
        return max((columns(label) for label in labels), default=0) * LABEL_SIZE * EM

    def across(self, trunk: _Trunk, x: float) -> Iterable[Wire]:
        """From the right of the source into the left of each target."""
        lane = x + _LANE * trunk.lane
        begin = self.boxes[trunk.source].right
        for edge, end in trunk.ends:
            yield _wire(edge, (begin, trunk.start), lane, (self.boxes[edge.target].x, end), trunk.hue)

    def back(self, trunk: _Trunk, x: float) -> Iterable[Wire]:
        """From the left of the source into the right of each target."""
        lane = x + _LANE * trunk.lane
        for edge, end in trunk.ends:
            target = self.boxes[edge.target]
            label = shortened(edge.label, _LONGEST_LABEL)
            at = (target.right + 9, end - 3)
            side = self.boxes[trunk.source].x
            yield _wire(edge, (side, trunk.start), lane, (target.right, end), trunk.hue, label, at)

    def beside(self, trunk: _Trunk, x: float) -> Iterable[Wire]:
        """From the left of the source into the left of a target in the same column, whose place is just right of `x`."""
        lane, side = x - _LANE * trunk.lane, x + _LANE
        for edge, end in trunk.ends:
            yield _wire(edge, (side, trunk.start), lane, (side, end), trunk.hue)

    def straight(self) -> Iterable[Wire]:
        """From stage to stage, and from a stage to what it leaves."""
        for edge in self.related(Relation.NEXT):
            above, below = self.boxes[edge.source], self.boxes[edge.target]
            x = above.x + above.width / 2
            yield Wire(edge, ((x, above.bottom), (x, below.y)))
        for edge in self.related(Relation.WRITES):
            height = self.ports[(edge.source, edge.target, Relation.WRITES)]
            yield Wire(edge, ((self.boxes[edge.source].right, height), (self.boxes[edge.target].x, height)))

    def machines(self, width: float, bottom: float, headings: list[Heading]) -> tuple[float, float]:
        column = self.of(Kind.MACHINE)
        if not column:
            return width, bottom
        bottom += _STAGE_GAP
        headings.append(Heading("machines", _MARGIN, bottom + 8))
        bottom += _HEADING - 8
        for box in column:
            box.x, box.y = _MARGIN, bottom
            bottom = box.bottom + _GAP
        return max(width, max(box.right for box in column) + _MARGIN), bottom - _GAP


def _meets_left(edge: Edge, node: str) -> bool:
    if edge.relation is Relation.EXTENDED_BY:
        return node in (edge.source, edge.target)
    return edge.target == node and edge.relation in (Relation.USED_BY, Relation.REQUIRED_BY)


def _box(node: Node, on: str) -> Box:
    machine = node.kind is Kind.MACHINE
    longest = _LONGEST_MACHINE if machine else _LONGEST
    details = (*node.details, f"on {on}") if on else node.details
    lines = tuple(shortened(line, longest) for line in (node.name, *details))
    widths = [columns(lines[0]) * NAME_SIZE * EM, *(columns(line) * DETAIL_SIZE * EM for line in lines[1:])]
    height = _NAME_LINE + _DETAIL_LINE * (len(lines) - 1) + 2 * 9
    return Box(node, lines, on, max(widths) + 2 * _PADDING, height)


def _share_lanes(trunks: Sequence[_Trunk], *, downwards: bool) -> int:
    """Gives each trunk a lane in which it overlaps no other; returns how many lanes there are."""
    taken: list[list[tuple[float, float]]] = []
    for trunk in sorted(trunks, key=lambda each: each.start, reverse=not downwards):
        low, high = trunk.span
        lane = next(
            (
                number
                for number, spans in enumerate(taken)
                if all(high + _PORT < other_low or other_high + _PORT < low for other_low, other_high in spans)
            ),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        trunk.lane = lane
    return len(taken)


def _wire(edge: Edge, begin: Point, lane: float, end: Point, hue: int, label: str = "", at: Point = (0, 0)) -> Wire:
    if abs(begin[1] - end[1]) < 1 and begin[0] != end[0]:
        return Wire(edge, (begin, (end[0], begin[1])), hue, label, at)
    return Wire(edge, (begin, (lane, begin[1]), (lane, end[1]), end), hue, label, at)
