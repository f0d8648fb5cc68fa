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
from enum import StrEnum

from esp3c.record import record
from esp3c.source import Source, Span
from esp3c.suggest import nearest
from esp3c.world import Module, ModuleKind, World

LONGEST = 50
"""How many parts a path may have; nothing real comes near it."""


class Status(StrEnum):
    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@record
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

    @property
    def is_module(self) -> bool:
        """Whether the whole path names a module, which can be neither called nor extended."""
        return self.status is Status.FOUND and not self.rest


def look_up(world: World, path: str) -> Lookup:
    """Resolves a dotted path to a definition without importing anything."""
    parts = path.split(".")
    for number, part in enumerate(parts):
        if keyword.iskeyword(part) or not part.isidentifier():
            return Lookup(path, Status.ABSENT, None, tuple(parts[number:]), part)
    if len(parts) > LONGEST:
        return Lookup(path, Status.ABSENT, None, tuple(parts), parts[0])
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
    if tree is None:
        return Lookup(path, Status.UNKNOWN, module, rest, place=place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == rest[0]:
            members = dict(_bound(node.body))
            if rest[1] in members:
                status = Status.FOUND if len(rest) == 2 else Status.UNKNOWN
                return Lookup(path, status, module, rest, place=place)
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
    """What the statements of a module or class bind, whatever they stand in: `if`, `try`, `with`, `for`, `match` …"""
    left: list[ast.AST] = list(reversed(body))
    while left:
        node = left.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
                # A function that says `global` binds for its module.
                yield from (
                    (name, each.lineno)
                    for each in ast.walk(node)
                    if isinstance(each, ast.Global)
                    for name in each.names
                )
            case ast.Import():
                yield from ((alias.asname or alias.name.split(".")[0], node.lineno) for alias in node.names)
            case ast.ImportFrom():
                yield from ((alias.asname or alias.name, node.lineno) for alias in node.names)
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name, node.lineno
                left.extend(ast.iter_child_nodes(node))
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case _:
                left.extend(reversed(list(ast.iter_child_nodes(node))))
