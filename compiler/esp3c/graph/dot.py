"""A graph in Graphviz's DOT language. Every name of the recipe stands in a quoted label, in which Graphviz reads nothing."""

from __future__ import annotations

from esp3c.graph.model import Edge, Graph, Kind, Node, Relation

_SHAPES = {
    Kind.DATASET: 'shape=cylinder, fillcolor="#e6f2ea"',
    Kind.CONFIG: 'shape=note, fillcolor="#fdf3dc"',
    Kind.STAGE: 'shape=box, style="filled,rounded", fillcolor="#dfeaf8"',
    Kind.FILES: 'shape=folder, fillcolor="#f1eefa"',
    Kind.MACHINE: 'shape=component, fillcolor="#eeeeee"',
}
_STYLES = {
    Relation.NEXT: "weight=10, penwidth=1.6",
    Relation.EXTENDED_BY: 'style=dashed, label="extended by"',
    Relation.ON: 'style=dotted, label="on"',
}
_RANKS = (Kind.DATASET, Kind.CONFIG, Kind.STAGE)


def render_dot(graph: Graph) -> str:
    """The graph as a DOT file."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes, 1)}
    lines = [
        f"digraph {quoted(graph.title)} {{",
        f"  graph [rankdir=LR, fontname=Helvetica, label={quoted(graph.title)}, labelloc=t];",
        "  node [style=filled, color=gray40, fontname=Helvetica, fontsize=11];",
        "  edge [color=gray40, fontname=Helvetica, fontsize=9];",
    ]
    for kind in _RANKS:
        names = [ids[node.id] for node in graph.of(kind)]
        if names:
            lines.append(f"  {{ rank=same; {'; '.join(names)}; }}")
    lines += [f"  {ids[node.id]} [label={_label(node)}, {_SHAPES[node.kind]}];" for node in graph.nodes]
    lines += [f"  {ids[edge.source]} -> {ids[edge.target]}{_style(edge)};" for edge in graph.edges]
    return "\n".join([*lines, "}", ""])


def quoted(text: str) -> str:
    """Text as a DOT string that shows just this text."""
    # Graphviz reads HTML entities, backslash escapes and quotes in its strings, and nothing else.
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _label(node: Node) -> str:
    # The line break is DOT's own escape, put between lines that are escaped already.
    return '"' + "\\n".join(quoted(line)[1:-1] for line in (node.name, *node.details)) + '"'


def _style(edge: Edge) -> str:
    style = _STYLES.get(edge.relation, "")
    if edge.label:
        style = f"label={quoted(edge.label)}"
    return f" [{style}]" if style else ""
