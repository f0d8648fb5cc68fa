"""Places for the nodes and edges of a graph: four columns (datasets, configs, stages, what stages leave), stages downwards.

Edges run only in the channels between columns, each source in a lane of its own, and enter boxes from the side; so no edge
crosses a box. Machines stand below; the stages that run on one carry its name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from esp3c.graph.model import Edge, Graph, Kind, Node, Relation
from esp3c.record import mutable, record

# In pixels. A column of text is a little wider than the widest of the usual monospaced fonts has it.
NAME_COLUMN, DETAIL_COLUMN = 8.0, 6.7
NAME_SIZE, DETAIL_SIZE = 13, 11
_LONGEST = 44
_PADDING, _MARGIN = 12.0, 24.0
_NAME_LINE, _DETAIL_LINE = 20.0, 16.0
_ROW_GAP, _STACK_GAP, _STAGE_GAP = 18.0, 12.0, 26.0
_LANE, _CHANNEL = 12.0, 28.0
_HEADING = 34.0
_TAG_GAP = 14.0

Point = tuple[float, float]


@mutable
class Box:
    """A node with its lines as they are shown, and its place. `tag` is the machine of a stage."""

    node: Node
    lines: tuple[str, ...]
    tag: str
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


@record
class Wire:
    """An edge as a line of points. `hue` counts the sources of its channel."""

    edge: Edge
    points: tuple[Point, ...]
    hue: int


@record
class Heading:
    text: str
    x: float


@record
class Drawing:
    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    headings: tuple[Heading, ...]


def columns(text: str) -> int:
    """How many columns of a monospaced font a text takes at most."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """The text, cut where it would make its box too wide."""
    if columns(text) <= longest:
        return text
    kept = ""
    for char in text:
        if columns(kept + char) > longest - 1:
            break
        kept += char
    return kept + "…"


def lay_out(graph: Graph) -> Drawing:
    """Places for everything of a graph."""
    tags = {edge.source: edge.target.partition(":")[2] for edge in graph.related(Relation.ON)}
    boxes = {node.id: _box(node, tags.get(node.id, "")) for node in graph.nodes}
    of = {kind: [boxes[node.id] for node in graph.of(kind)] for kind in Kind}
    files_of = {
        stage.node.id: [
            boxes[edge.target] for edge in graph.related(Relation.WRITES) if edge.source == stage.node.id
        ]
        for stage in of[Kind.STAGE]
    }
    written = {id(box) for row in files_of.values() for box in row}
    # What an earlier stage left that is not shown here stands above the first stage.
    loose = [box for box in of[Kind.FILES] if id(box) not in written]
    bottom = _place_stages(of[Kind.STAGE], files_of, loose)
    bottom = max(bottom, _place_beside(of[Kind.CONFIG], _neighbours(graph, boxes, Relation.REQUIRED_BY)))
    bottom = max(bottom, _place_beside(of[Kind.DATASET], _neighbours(graph, boxes, Relation.USED_BY)))

    order = (Kind.DATASET, Kind.CONFIG, Kind.STAGE, Kind.FILES)
    channels = {
        Kind.DATASET: graph.related(Relation.USED_BY) + graph.related(Relation.EXTENDED_BY),
        Kind.CONFIG: graph.related(Relation.REQUIRED_BY),
        Kind.STAGE: graph.related(Relation.READ_BY),
    }
    x = _MARGIN
    starts: dict[Kind, float] = {}
    headings = []
    for kind in order:
        column = of[kind]
        if column:
            width = max(box.width for box in column)
            for box in column:
                box.x, box.width = x, width
            headings.append(Heading(_HEADINGS[kind], x))
            x += width
        starts[kind] = x
        if kind is not Kind.FILES:
            lanes = len({edge.source for edge in channels[kind]})
            labels = max((columns(shortened(edge.label, 24)) for edge in channels[kind]), default=0)
            further = any(of[each] for each in order[order.index(kind) + 1 :])
            if further and (column or lanes):
                x += _CHANNEL + _LANE * lanes + (labels + 1) * DETAIL_COLUMN * bool(labels)
    width = x + _MARGIN
    wires = [*_down(graph, boxes)]
    wires += _across(channels[Kind.DATASET], boxes, starts[Kind.DATASET])
    wires += _across(channels[Kind.CONFIG], boxes, starts[Kind.CONFIG])
    wires += _across(graph.related(Relation.WRITES), boxes, starts[Kind.STAGE])
    wires += _back(channels[Kind.STAGE], boxes, of[Kind.FILES])
    if of[Kind.MACHINE]:
        bottom += _ROW_GAP
        headings_below = bottom
        for box in of[Kind.MACHINE]:
            box.x, box.y = _MARGIN, bottom + _HEADING - 10
            bottom += box.height + _STACK_GAP
            width = max(width, box.right + _MARGIN)
        bottom += _HEADING - 10
        headings.append(Heading(f"machines\0{headings_below}", _MARGIN))
    return Drawing(width, bottom + _MARGIN, tuple(boxes.values()), tuple(wires), tuple(headings))


_HEADINGS = {Kind.DATASET: "datasets", Kind.CONFIG: "configs", Kind.STAGE: "stages", Kind.FILES: "what they leave"}
