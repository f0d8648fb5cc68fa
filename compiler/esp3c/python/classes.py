"""The methods of a class and of the classes that it extends, read from their source text."""

from __future__ import annotations

import ast

from esp3c.python.find import parse_module
from esp3c.record import record
from esp3c.source import Source
from esp3c.world import Module, ModuleKind, World

_MOST_STEPS = 32


@record
class ClassFacts:
    """What is known of a class. `root` is the first of the wanted bases that it extends.

    `complete` is false where some base could not be read: the class may then have more methods than are listed.
    """

    methods: frozenset[str]
    root: str | None
    complete: bool


def class_facts(world: World, path: str, roots: frozenset[str]) -> ClassFacts:
    """Follows a class through imports and bases until it reaches one of `roots`, whose methods are not read."""
    methods: set[str] = set()
    root: str | None = None
    complete = True
    queue, seen = [path], set[str]()
    while queue and len(seen) < _MOST_STEPS:
        current = queue.pop(0)
        if current in seen or current == "object":
            continue
        seen.add(current)
        if current in roots:
            root = root or current
            continue
        found = _find_class(world, current)
        if found is None:
            complete = False
            continue
        if isinstance(found, str):
            queue.append(found)
            continue
        module, node, tree = found
        methods.update(each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
        for base in node.bases:
            dotted = _dotted(base)
            if dotted is None:
                complete = False
            else:
                queue.append(_absolute(dotted, module, tree))
    return ClassFacts(frozenset(methods), root, complete and not queue)


def _find_class(world: World, path: str) -> tuple[Module, ast.ClassDef, ast.Module] | str | None:
    """The class itself, or the path that it is imported from, or None."""
    module_name, _, name = path.rpartition(".")
    module = world.module(module_name) if module_name else None
    if module is None or module.kind is not ModuleKind.SOURCE:
        return None
    source: Source | None = world.source(module)
    tree = parse_module(source) if source is not None else None
    if tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node, tree
    imported = _absolute(name, module, tree)
    return imported if imported != path else None


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Subscript):
        return _dotted(node.value)
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def _absolute(dotted: str, module: Module, tree: ast.Module) -> str:
    """The full path of a name as this module sees it."""
    head, _, rest = dotted.partition(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == head:
                    origin = _origin(node, module)
                    return ".".join(part for part in (origin, alias.name, rest) if part)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname == head:
                    return ".".join(part for part in (alias.name, rest) if part)
                if alias.asname is None and alias.name.split(".")[0] == head:
                    return dotted
    return f"{module.name}.{dotted}"


def _origin(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) - node.level + (1 if module.place.endswith("__init__.py") else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])
