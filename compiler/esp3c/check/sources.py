"""Dataset entries that are written out as in ESPnet3's YAML: `{ data_src = …  data_src_args { … } }`."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.blocks import all_values
from esp3c.ir import Config, MapNode, Recipe, Scalar, strip
from esp3c.source import Span


def written_entries(recipe: Recipe) -> Iterator[tuple[Config, str, Span, MapNode]]:
    """Each entry that names a module of the recipe's or an installed one: config, module, place, arguments.

    A tag `recipe/task` stands for `egs3.recipe.task.dataset`.
    """
    for config in recipe.configs.values():
        for value in all_values(config.root):
            named = value.get("data_src") if isinstance(value, MapNode) else None
            source = strip(named) if named is not None else None
            if not isinstance(value, MapNode) or not isinstance(source, Scalar) or not isinstance(source.value, str):
                continue
            module = module_of(source.value)
            given = value.get("data_src_args")
            arguments = strip(given) if given is not None else MapNode((), value.span)
            if module is not None and isinstance(arguments, MapNode):
                yield config, module, source.span, arguments


def module_of(source: str) -> str | None:
    """The dotted module that a `data_src` means, or None where it is neither a tag nor a module."""
    parts = source.strip().split("/")
    if not all(part.isidentifier() for piece in parts for part in piece.split(".")):
        return None
    if len(parts) == 1:
        return parts[0]
    return f"egs3.{parts[0]}.{parts[1]}.dataset" if len(parts) == 2 else None
