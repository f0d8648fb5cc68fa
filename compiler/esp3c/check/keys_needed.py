"""Keys: those without which a block says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from esp3c.check.blocks import set_entry, walk_blocks
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import MapNode, Recipe, Scalar, strip
from esp3c.schema.lightning import BATCHES, COUNTED_BY, ITER_FACTORY
from esp3c.source import Span
from esp3c.suggest import nearest
from esp3c.world import World


@explained("ESP0315", "a key that the block needs")
@needs_whole_file
def needed_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A block lacks the key that says what it is for.

        iter_factory { batches { type = "numel"  batch_size = 8 } }

    An `iter_factory` needs `batches`. Batches of the types `"unsorted"` and `"sorted"` count items, `batch_size`; those of
    the types `"length"` and `"numel"` count elements, `batch_bins`.
    """
    for node, block in walk_blocks(recipe):
        if block is ITER_FACTORY and set_entry(node, "batches") is None:
            unknown = [each for each in node.entries if block.key(each.name) is None]
            odd = [each for each in unknown if nearest(each.name, ["batches"]) or each.name.startswith("batch")]
            label = Label(odd[0].key_span, "did you mean `batches`?") if odd else Label(_start(node), "add `batches`")
            yield Diagnostic(
                code_of(needed_key), "`iter_factory` needs `batches`, which say how items form batches", label
            )
        if block is not BATCHES:
            continue
        written = set_entry(node, "type")
        value = strip(written.value) if written is not None else None
        kind = value.value if isinstance(value, Scalar) else "unsorted" if written is None else None
        wanted = COUNTED_BY.get(str(kind))
        if wanted is not None and set_entry(node, wanted) is None:
            other = next((each for each in COUNTED_BY.values() if each != wanted and set_entry(node, each)), None)
            entry = set_entry(node, other) if other is not None else None
            place = entry.key_span if entry is not None else written.value.span if written is not None else _start(node)
            label = Label(place, f"write `{wanted}`" if entry is not None else f"`{wanted}` is missing")
            yield Diagnostic(code_of(needed_key), f"batches of the type `{kind}` need `{wanted}`", label)


def _start(node: MapNode) -> Span:
    """The key before a block, or its first character."""
    text, start = node.span.source.text, node.span.start
    key = re.search(r"([\w.]+)\s*=?\s*$", text[:start])
    if key is not None and text[start : start + 1] == "{":
        return Span(node.span.source, key.start(1), key.end(1))
    return Span(node.span.source, start, start + 1)
