"""A graph as an SVG picture that stands alone: no script, no font, no other file; light or dark as its surroundings are.

Text of the recipe stands only in text nodes and is escaped. Every text says how long it is, so that it stays inside its box
whatever font there is.
"""

from __future__ import annotations

from html import escape

from esp3c.graph.layout import (
    DETAIL_SIZE,
    EM,
    LABEL_SIZE,
    NAME_SIZE,
    Box,
    Drawing,
    Point,
    Wire,
    columns,
    lay_out,
)
from esp3c.graph.model import Graph, Kind, Relation

_STYLE = """\
text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; }
.ground { fill: #ffffff; }
.heading { font-size: 11px; fill: #656d76; }
.name { font-size: 13px; font-weight: 600; }
.detail { font-size: 11px; fill: #57606a; }
.label { font-size: 10px; fill: #57606a; }
.node rect { stroke-width: 1.2; }
.dataset rect { fill: #e6f4ea; stroke: #4c8a63; }
.config rect { fill: #fff6dd; stroke: #a8812b; }
.stage rect { fill: #e3eefb; stroke: #3a6ea5; }
.files rect { fill: #f3effb; stroke: #7561ae; }
.machine rect { fill: #f3f4f6; stroke: #6e7781; }
.wire { fill: none; stroke-width: 1.4; }
.h0 { stroke: #3a6ea5; color: #3a6ea5; } .h1 { stroke: #a8812b; color: #a8812b; }
.h2 { stroke: #3f8f5f; color: #3f8f5f; } .h3 { stroke: #b04a6f; color: #b04a6f; }
.h4 { stroke: #7561ae; color: #7561ae; } .h5 { stroke: #4f8a99; color: #4f8a99; }
.next { stroke: #57606a; color: #57606a; stroke-width: 2; }
.writes { stroke: #7561ae; color: #7561ae; }
.extended { stroke-dasharray: 4 3; }
.tip { stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ground { fill: #0d1117; }
  .heading, .detail, .label { fill: #9da7b1; }
  .dataset rect { fill: #14261b; stroke: #5fae7d; }
  .config rect { fill: #2a2312; stroke: #c9a24b; }
  .stage rect { fill: #13233a; stroke: #6aa5e3; }
  .files rect { fill: #211b33; stroke: #a393dc; }
  .machine rect { fill: #1b2026; stroke: #8b949e; }
  .h0 { stroke: #6aa5e3; color: #6aa5e3; } .h1 { stroke: #c9a24b; color: #c9a24b; }
  .h2 { stroke: #5fae7d; color: #5fae7d; } .h3 { stroke: #df7fa3; color: #df7fa3; }
  .h4 { stroke: #a393dc; color: #a393dc; } .h5 { stroke: #7cbccb; color: #7cbccb; }
  .next { stroke: #9da7b1; color: #9da7b1; } .writes { stroke: #a393dc; color: #a393dc; }
}
"""
_HUES = 6
_RADIUS, _CORNER, _TIP = 7.0, 5.0, 7.0


def render_svg(graph: Graph) -> str:
    """The graph as an SVG document."""
    drawing = lay_out(graph)
    width, height = _number(drawing.width), _number(drawing.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img" aria-labelledby="graph-title graph-desc">',
        f'<title id="graph-title">{escape(f"The recipe {graph.title}")}</title>',
        f'<desc id="graph-desc">{escape(_described(graph))}</desc>',
        f"<style>\n{_STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]
    lines += [_text("heading", each.x, each.y, each.text, DETAIL_SIZE) for each in drawing.headings]
    lines += _wires(drawing)
    lines += [_box(box) for box in drawing.boxes]
    return "\n".join([*lines, "</svg>", ""])


def _described(graph: Graph) -> str:
    """What the picture shows, in words, for those who cannot see it."""
    names = {node.id: node.name for node in graph.nodes}
    kinds = {node.id: node.kind for node in graph.nodes}
    sentences = []
    for stage in graph.of(Kind.STAGE):
        parts = []
        needs = [names[each.source] for each in graph.related(Relation.REQUIRED_BY) if each.target == stage.id]
        reads = [names[each.source] for each in graph.related(Relation.READ_BY) if each.target == stage.id]
        leaves = [names[each.target] for each in graph.related(Relation.WRITES) if each.source == stage.id]
        on = [names[each.target] for each in graph.related(Relation.ON) if each.source == stage.id]
        for word, found in (("with", needs), ("reads", reads), ("leaves", leaves), ("on", on)):
            if found:
                parts.append(f"{word} {', '.join(found)}")
        sentences.append(f"{stage.name}{' ' if parts else ''}{'; '.join(parts)}.")
    uses = [edge for edge in graph.related(Relation.USED_BY) if kinds[edge.source] is Kind.DATASET]
    sentences += [f"Config {names[edge.target]} uses dataset {names[edge.source]}." for edge in uses]
    return "Stages in order: " + " ".join(sentences) if sentences else "It has no stages."


def _wires(drawing: Drawing) -> list[str]:
    lines: list[str] = []
    labels: list[str] = []
    for wire in drawing.wires:
        style = {Relation.NEXT: "next", Relation.WRITES: "writes"}.get(wire.edge.relation, f"h{wire.hue % _HUES}")
        dashed = " extended" if wire.edge.relation is Relation.EXTENDED_BY else ""
        lines.append(f'<path class="wire {style}{dashed}" d="{_path(wire.points)}"/>')
        lines.append(f'<path class="tip {style}" fill="currentColor" d="{_tip(wire)}"/>')
        if wire.label:
            labels.append(_text("label", *wire.at, wire.label, LABEL_SIZE))
    return lines + labels


def _path(points: tuple[Point, ...]) -> str:
    """A line through the points with rounded corners."""
    steps = [f"M{_number(points[0][0])} {_number(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_CORNER, _length(before, corner) / 2, _length(corner, after) / 2)
        begin, end = _towards(corner, before, radius), _towards(corner, after, radius)
        steps.append(f"L{_number(begin[0])} {_number(begin[1])}")
        steps.append(f"Q{_number(corner[0])} {_number(corner[1])} {_number(end[0])} {_number(end[1])}")
    last = _towards(points[-1], points[-2], _TIP - 1)
    return " ".join([*steps, f"L{_number(last[0])} {_number(last[1])}"])


def _tip(wire: Wire) -> str:
    end = wire.points[-1]
    base = _towards(end, wire.points[-2], _TIP)
    across = (_TIP / 2 if base[0] == end[0] else 0.0, _TIP / 2 if base[1] == end[1] else 0.0)
    corners = (end, (base[0] + across[0], base[1] + across[1]), (base[0] - across[0], base[1] - across[1]))
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in corners) + " Z"


def _length(one: Point, other: Point) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(one: Point, other: Point, distance: float) -> Point:
    """The point on the way from one to the other; the way is level or upright."""
    length = _length(one, other) or 1.0
    return one[0] + (other[0] - one[0]) * distance / length, one[1] + (other[1] - one[1]) * distance / length


def _box(box: Box) -> str:
    node = box.node
    whole = "\n".join((node.name, *node.details, *((f"on {box.on}",) if box.on else ())))
    lines = [
        f'<g class="node {node.kind}"><title>{escape(f"{node.kind} {whole}")}</title>',
        f'<rect x="{_number(box.x)}" y="{_number(box.y)}" width="{_number(box.width)}"'
        f' height="{_number(box.height)}" rx="{_number(_RADIUS)}"/>',
    ]
    y = box.y + 22
    for number, line in enumerate(box.lines):
        style, size = ("name", NAME_SIZE) if number == 0 else ("detail", DETAIL_SIZE)
        lines.append(_text(style, box.x + 12, y, line, size))
        y += 16
    return "\n".join([*lines, "</g>"])


def _text(style: str, x: float, y: float, text: str, size: float) -> str:
    length = _number(columns(text) * size * EM)
    return (
        f'<text class="{style}" x="{_number(x)}" y="{_number(y)}" textLength="{length}"'
        f' lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(text, quote=False)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
