"""The outline of a recipe: its declarations, their blocks and keys, and the stages."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax import ast

LONGEST = 60
"""How many characters of a value stand behind its name."""


class SymbolKind(StrEnum):
    RECIPE = "recipe"
    DATASET = "dataset"
    CONFIG = "config"
    PARALLEL = "parallel"
    LET = "let"
    STAGES = "stages"
    STAGE = "stage"
    BLOCK = "block"
    KEY = "key"
    FIELD = "field"


@record
class Symbol:
    """Something with a name: all of it, and the name itself, which stands inside of it."""

    name: str
    kind: SymbolKind
    detail: str
    whole: Span
    selected: Span
    children: tuple[Symbol, ...] = ()


def symbols(file: ast.File) -> tuple[Symbol, ...]:
    """The outline of a file, in the order of the text. Declarations without a name have that of their kind."""
    return tuple(map(_declaration, file.declarations))


def _declaration(each: ast.Declaration) -> Symbol:
    match each:
        case ast.RecipeDeclaration(name, block):
            return _named(name, SymbolKind.RECIPE, "recipe", each.span, _entries(block))
        case ast.DatasetDeclaration(name, block):
            return _named(name, SymbolKind.DATASET, "dataset", each.span, _entries(block))
        case ast.ConfigDeclaration(name, well_known, extends, block):
            detail = f"extends {extends.text}" if extends is not None else "" if well_known else "config"
            return _named(name, SymbolKind.CONFIG, detail, each.span, _entries(block))
        case ast.ParallelDeclaration(name, value):
            return _named(name, SymbolKind.PARALLEL, _shown(value), each.span, ())
        case ast.LetDeclaration(name, value):
            children = _entries(value) if isinstance(value, ast.Block) else ()
            return _named(name, SymbolKind.LET, _shown(value), each.span, children)
        case ast.StagesDeclaration(lines):
            word = Span(each.span.source, each.span.start, min(each.span.end, each.span.start + len("stages")))
            return Symbol("stages", SymbolKind.STAGES, "", each.span, word, tuple(map(_stage, lines)))


def _named(name: ast.Name, kind: SymbolKind, detail: str, whole: Span, children: tuple[Symbol, ...]) -> Symbol:
    inside = whole.start <= name.span.start and name.span.end <= whole.end
    return Symbol(name.text or kind.value, kind, detail, whole, name.span if inside else whole, children)


def _stage(line: ast.StageLine) -> Symbol:
    clauses = [
        *(f"requires {', '.join(name.text for name in names)}" for names in line.requires),
        *(f"runs {path.dotted}" for path in line.runs),
        *(f"on {name.text}" for name in line.on),
    ]
    children = _entries(line.block) if line.block is not None else ()
    return _named(line.name, SymbolKind.STAGE, " ".join(clauses), line.span, children)


def _entries(block: ast.Block) -> tuple[Symbol, ...]:
    return tuple(_inside(block))


def _inside(block: ast.Block) -> Iterator[Symbol]:
    for entry in block.entries:
        name = ast.Name(entry.key.dotted, entry.key.span)
        if isinstance(entry, ast.Field):
            detail = entry.type.span.text + (", optional" if entry.optional else "")
            yield _named(name, SymbolKind.FIELD, detail, entry.span, ())
            continue
        kept = _block_in(entry.value)
        children = _entries(kept) if kept is not None else ()
        kind = SymbolKind.BLOCK if isinstance(entry.value, ast.Block) else SymbolKind.KEY
        yield _named(
            name, kind, "" if isinstance(entry.value, ast.Block) else _shown(entry.value), entry.span, children
        )


def _block_in(value: ast.Value) -> ast.Block | None:
    match value:
        case ast.Block():
            return value
        case ast.Reference(block=block) | ast.Call(block=block):
            return block
    return None


def _shown(value: ast.Value) -> str:
    """A value on one line, and not too long."""
    match value:
        case ast.Block():
            return "{ … }" if value.entries else "{}"
        case ast.Call(path, arguments, partial):
            text = f"{'partial ' * partial}{path.dotted}({'…' if arguments else ''})"
        case _:
            text = " ".join(value.span.text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def matches(query: str, name: str) -> int | None:
    """How well a name fits what somebody typed, the less the better; None where it does not.

    The name begins with it, has it inside, or has its letters in this order.
    """
    wanted, there = query.casefold(), name.casefold()
    if there.startswith(wanted):
        return 0
    if wanted in there:
        return 1
    letters = iter(there)
    return 2 if all(letter in letters for letter in wanted) else None
