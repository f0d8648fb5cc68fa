"""A graph as a Mermaid flowchart, which Git forges and many editors show inside Markdown."""

from __future__ import annotations

from esp3c.graph.model import Graph, Kind, Node, Relation

_SHAPES = {
    Kind.DATASET: ("[(", ")]"),
    Kind.CONFIG: ("[", "]"),
    Kind.STAGE: ("([", "])"),
    Kind.FILES: ("[/", "/]"),
    Kind.MACHINE: ("[[", "]]"),
}
_CLASSES = {
    Kind.DATASET: "fill:#e6f2ea,stroke:#4c8a63,color:#1f2328",
    Kind.CONFIG: "fill:#fdf3dc,stroke:#a8812b,color:#1f2328",
    Kind.STAGE: "fill:#dfeaf8,stroke:#3a6ea5,color:#1f2328",
    Kind.FILES: "fill:#f1eefa,stroke:#6f5fa8,color:#1f2328",
    Kind.MACHINE: "fill:#eeeeee,stroke:#666666,color:#1f2328",
}
_ARROWS = {Relation.NEXT: "==>", Relation.EXTENDED_BY: "-.->", Relation.ON: "-.->"}
_WORDS = {Relation.EXTENDED_BY: "extended by", Relation.ON: "on"}


def render_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes, 1)}
    lines = ["flowchart LR", f"  accTitle: {escaped(graph.title)}"]
    lines += [f"  {ids[node.id]}{_shape(node)}:::{node.kind}" for node in graph.nodes]
    for edge in graph.edges:
        word = escaped(edge.label) if edge.label else _WORDS.get(edge.relation, "")
        label = f'|"{word}"|' if word else ""
        lines.append(f"  {ids[edge.source]} {_ARROWS.get(edge.relation, '-->')}{label} {ids[edge.target]}")
    lines += [f"  classDef {kind} {style}" for kind, style in _CLASSES.items() if graph.of(kind)]
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """Text for a quoted label. What Mermaid, Markdown or HTML could read anything into is written as a character code."""
    return "".join(char if char.isalnum() or char in " _.,/()=-" else f"#{ord(char)};" for char in text)


def _shape(node: Node) -> str:
    begin, end = _SHAPES[node.kind]
    return f'{begin}"{"<br/>".join(escaped(line) for line in (node.name, *node.details))}"{end}'
