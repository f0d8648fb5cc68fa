"""Machine settings as text, as they stand in the recipe."""

from __future__ import annotations

from esp3c.ir import MapNode, Node, PythonNode, strip

_LONGEST_VALUE = 60


def machine_text(backend: str, settings: MapNode) -> str:
    """`slurm(partition = "gpu", time = 4h)`, on one line."""
    return f"{backend}({', '.join(f'{entry.name} = {value_text(entry.value)}' for entry in settings.entries)})"


def value_text(node: Node) -> str:
    """A value as it stands in the recipe, on one line and not too long."""
    value = strip(node)
    if isinstance(value, PythonNode):
        return value.target.path
    text = " ".join(value.span.text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
