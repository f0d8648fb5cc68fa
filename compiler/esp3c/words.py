"""All words that the language and its schema have: the one source of what editors colour and complete.

The syntaxes below `grammar/` are made from these lists (`grammar/make_editors.py`), and the Pygments lexer reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.record import record
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS, DATASET, HYDRA_KEYS, OWN, RECIPE, SAMPLE_TYPES, WORKLOAD
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.syntax.grammar import CLAUSES, CONSTANTS, DECLARATIONS, WELL_KNOWN
from esp3c.syntax.literals import UNITS


@record
class Words:
    """Each list is sorted, without repetition, but for those whose order means something.

    `declarations` begin a declaration with a name of one's own (`stages` has none), `well_known` begin a config.
    `clauses` stand on a stage line. `modifiers` stand before or behind a name. `blocks` are the keys that may have a block
    behind them, `keys` all others; `types` are those of a field of `sample`.
    """

    declarations: tuple[str, ...]
    well_known: tuple[str, ...]
    clauses: tuple[str, ...]
    modifiers: tuple[str, ...]
    constants: tuple[str, ...]
    units: tuple[str, ...]
    backends: tuple[str, ...]
    stages: tuple[str, ...]
    types: tuple[str, ...]
    blocks: tuple[str, ...]
    keys: tuple[str, ...]
    hydra_keys: tuple[str, ...]


MODIFIERS = ("extends", "new", "partial")


def words() -> Words:
    """The words of this version of the language."""
    found = list(_keys())
    blocks = {key.name for key in found if _has_block(key.type)} | {"sample"}
    return Words(
        declarations=DECLARATIONS,
        well_known=WELL_KNOWN,
        clauses=CLAUSES,
        modifiers=MODIFIERS,
        constants=CONSTANTS,
        units=tuple(UNITS),
        backends=tuple(BACKENDS),
        stages=tuple(KNOWN_STAGES),
        types=SAMPLE_TYPES,
        blocks=tuple(sorted(blocks)),
        keys=tuple(sorted({key.name for key in found} - blocks)),
        hydra_keys=HYDRA_KEYS,
    )


def _keys() -> Iterator[t.Key]:
    """Every key of every block that the schema has."""
    left: list[t.Block] = [RECIPE, DATASET, *CONFIGS.values(), OWN, WORKLOAD, *BACKENDS.values()]
    seen: set[int] = set()
    while left:
        block = left.pop()
        if id(block) in seen:
            continue
        seen.add(id(block))
        for key in block.keys:
            yield key
            left.extend(_blocks_in(key.type))


def _blocks_in(type: t.Type) -> Iterator[t.Block]:
    match type:
        case t.Inside(block):
            yield block
        case t.Either(options):
            for option in options:
                yield from _blocks_in(option)
        case t.ListOf(value) | t.MapOf(value):
            yield from _blocks_in(value)
        case _:
            return


def _has_block(type: t.Type) -> bool:
    match type:
        case t.Inside() | t.MapOf():
            return True
        case t.Either(options):
            return any(map(_has_block, options))
        case _:
            return False
