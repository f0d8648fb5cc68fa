"""What each word of a recipe is, from its syntax tree: against it the syntaxes of editors are held."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.source import Source
from esp3c.syntax import ast
from esp3c.syntax.comments import comments
from esp3c.syntax.parse import parse
from esp3c.words import words

_WORDS = words()


def roles(source: Source) -> list[tuple[int, str]]:
    """Offsets with what begins there, in the order of the text."""
    file, wrong = parse(source)
    assert not wrong, wrong
    found = [(span.start, "comment") for span in comments(source)]
    for declaration in file.declarations:
        found.extend(_declaration(declaration))
    return sorted(found)


def _declaration(it: ast.Declaration) -> Iterator[tuple[int, str]]:
    known = isinstance(it, ast.ConfigDeclaration) and it.well_known
    yield it.span.start, "config" if known else "declaration"
    match it:
        case ast.RecipeDeclaration(name, block) | ast.DatasetDeclaration(name, block):
            yield name.span.start, "name"
            yield from _block(block)
        case ast.ConfigDeclaration(name, _, extends, block):
            if not known:
                yield name.span.start, "name"
            if extends:
                yield extends.span.start, "base"
            yield from _block(block)
        case ast.ParallelDeclaration(name, value):
            yield name.span.start, "machine"
            yield from _value(value, machine=True)
        case ast.LetDeclaration(name, value):
            yield name.span.start, "name"
            yield from _value(value)
        case ast.StagesDeclaration(stages):
            for stage in stages:
                yield from _stage(stage)


def _stage(it: ast.StageLine) -> Iterator[tuple[int, str]]:
    yield it.name.span.start, "stage" if it.name.text in _WORDS.stages else "own stage"
    yield from ((each.span.start, "required") for clause in it.requires for each in clause)
    yield from ((part.span.start, "runs") for path in it.runs for part in path.parts)
    yield from ((each.span.start, "on") for each in it.on)
    if it.block:
        yield from _block(it.block)


def _block(it: ast.Block) -> Iterator[tuple[int, str]]:
    for entry in it.entries:
        if isinstance(entry, ast.Setting) and entry.new:
            yield entry.span.start, "new"
        yield from (_key(part) for part in entry.key.parts)
        if isinstance(entry, ast.Setting):
            yield from _value(entry.value)
            continue
        yield entry.type.name.span.start, "type" if entry.type.name.text in _WORDS.types else "own type"
        for dim in entry.type.dims:
            yield dim.span.start, "dim" if isinstance(dim, ast.Name) else "number"


def _key(it: ast.Name) -> tuple[int, str]:
    if it.span.text.startswith('"'):
        return it.span.start, "quoted key"
    groups = {"block key": _WORDS.blocks, "hydra key": _WORDS.hydra_keys, "key": _WORDS.keys}
    return it.span.start, next((role for role, known in groups.items() if it.text in known), "own key")


def _value(it: ast.Value, machine: bool = False) -> Iterator[tuple[int, str]]:
    match it:
        case ast.Text(parts, span):
            yield span.start, "long text" if span.text.startswith('"""') else "text"
            yield from ((part.span.start, "interpolation") for part in parts if isinstance(part, ast.Interpolation))
        case ast.Number() | ast.Quantity():
            yield it.span.start, "number"
        case ast.Constant():
            yield it.span.start, "constant"
        case ast.ListValue(items):
            for item in items:
                yield from _value(item)
        case ast.Block():
            yield from _block(it)
        case ast.Reference(path, block):
            yield from ((part.span.start, "reference") for part in path.parts)
            if block:
                yield from _block(block)
        case ast.Call(path, arguments, partial, block):
            if partial:
                yield it.span.start, "partial"
            backend = machine and not partial and path.dotted in _WORDS.backends
            yield from ((part.span.start, "backend" if backend else "call") for part in path.parts)
            for argument in arguments:
                if argument.name:
                    yield _key(argument.name) if backend else (argument.name.span.start, "argument")
                yield from _value(argument.value)
            if block:
                yield from _block(block)
        case _:
            raise AssertionError(it)
