"""Finds what a dotted path names: the module on the way, and the definition in it.

Only the module that holds the definition is opened. The usual case is answered by a search for the defining line; only
where that finds nothing is the module parsed. What cannot be known (a compiled module, names made at run time, a
star import) is `UNKNOWN`, never wrong.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from esp3c.source import Source, Span
from esp3c.suggest import nearest
from esp3c.world import Module, ModuleKind, World


class Status(StrEnum):
    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a dotted path names.

    `module` is the deepest module on the way, `rest` the names behind it. When absent, `missing` is the first name that
    is not there and `near` are names that are there and look like it. `place` is the defining line where it is known.
    """

    path: str
    status: Status
    module: Module | None = None
    rest: tuple[str, ...] = ()
    missing: str = ""
    near: tuple[str, ...] = ()
    place: Span | None = None


def look_up(world: World, path: str) -> Lookup:
    """Resolves a dotted path to a definition without importing anything."""
    parts = path.split(".")
    for number, part in enumerate(parts):
        if keyword.iskeyword(part) or not part.isidentifier():
            return Lookup(path, Status.ABSENT, None, tuple(parts[number:]), part)
    module: Module | None = None
    depth = 0
    while depth < len(parts):
        deeper = world.module(".".join(parts[: depth + 1]))
        if deeper is None:
            break
        module, depth = deeper, depth + 1
    rest = tuple(parts[depth:])
    if module is None:
        near = nearest(parts[0], world.submodules(""))
        return Lookup(path, Status.ABSENT, None, rest, parts[0], tuple(near))
    if not rest:
        return Lookup(path, Status.FOUND, module)
    if module.kind is ModuleKind.OPAQUE:
        return Lookup(path, Status.UNKNOWN, module, rest)
    if module.kind is ModuleKind.NAMESPACE:
        near = nearest(rest[0], world.submodules(module.name))
        return Lookup(path, Status.ABSENT, module, rest, rest[0], tuple(near))
    source = world.source(module)
    if source is None:
        return Lookup(path, Status.UNKNOWN, module, rest)
    return _in_module(world, path, module, source, rest)


def _in_module(world: World, path: str, module: Module, source: Source, rest: tuple[str, ...]) -> Lookup:
    name = rest[0]
    quick = re.search(
        rf"^(?:async[ \t]+def|def|class)[ \t]+({re.escape(name)})\b|^({re.escape(name)})[ \t]*(?::[^=\n]+)?=[^=]",
        source.text,
        re.MULTILINE,
    )
    if quick is not None:
        start, end = quick.span(1) if quick.group(1) else quick.span(2)
        place = Span(source, start, end)
        if len(rest) == 1:
            return Lookup(path, Status.FOUND, module, rest, place=place)
        if quick.group(1) and quick.group().lstrip().startswith("class"):
            return _in_class(path, module, source, rest, place)
        return Lookup(path, Status.UNKNOWN, module, rest, place=place)
    names = bound_names(source)
    if names is None:
        return Lookup(path, Status.UNKNOWN, module, rest)
    if name in names:
        status = Status.FOUND if len(rest) == 1 else Status.UNKNOWN
        return Lookup(path, status, module, rest)
    if names.keys() & {"*", "__getattr__"} or "_import_structure" in names:
        return Lookup(path, Status.UNKNOWN, module, rest)
    near = nearest(name, [*(each for each in names if not each.startswith("_")), *world.submodules(module.name)])
    return Lookup(path, Status.ABSENT, module, rest, name, tuple(near))


def _in_class(path: str, module: Module, source: Source, rest: tuple[str, ...], place: Span) -> Lookup:
    tree = parse_module(source)
    if tree is None or len(rest) > 2:
        return Lookup(path, Status.UNKNOWN, module, rest, place=place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == rest[0]:
            members = dict(_bound(node.body))
            if rest[1] in members:
                return Lookup(path, Status.FOUND, module, rest, place=place)
            # A member may come from a base class or be set at run time.
            if node.bases or node.decorator_list or node.keywords:
                return Lookup(path, Status.UNKNOWN, module, rest, place=place)
            return Lookup(path, Status.ABSENT, module, rest, rest[1], tuple(nearest(rest[1], members)), place)
    return Lookup(path, Status.UNKNOWN, module, rest, place=place)


def parse_module(source: Source) -> ast.Module | None:
    """The syntax tree of a module, or None where its text is not Python (of this version)."""
    try:
        return ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def bound_names(source: Source) -> dict[str, int] | None:
    """The names that a module binds at its top level, with their lines; `*` for a star import. None if not Python."""
    tree = parse_module(source)
    return None if tree is None else dict(_bound(tree.body))


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.Import():
                for alias in node.names:
                    yield alias.asname or alias.name.split(".")[0], node.lineno
            case ast.ImportFrom():
                for alias in node.names:
                    yield alias.asname or alias.name, node.lineno
            case ast.Assign():
                for target in node.targets:
                    yield from _targets(target)
            case ast.AnnAssign() | ast.AugAssign():
                yield from _targets(node.target)
            case ast.If():
                yield from _bound(node.body)
                yield from _bound(node.orelse)
            case ast.Try():
                for part in (
                    node.body,
                    node.orelse,
                    node.finalbody,
                    *(handler.body for handler in node.handlers),
                ):
                    yield from _bound(part)
            case ast.With():
                yield from _bound(node.body)
            case ast.For() | ast.While():
                yield from _bound(node.body)
            case _:
                continue


def _targets(target: ast.expr) -> Iterator[tuple[str, int]]:
    match target:
        case ast.Name():
            yield target.id, target.lineno
        case ast.Tuple() | ast.List():
            for each in target.elts:
                yield from _targets(each)
        case _:
            return
