"""Names that functions of a module read and nothing binds: a NameError, when the line is reached."""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterator

from esp3c.python.contents import parse

_GIVEN = frozenset({*dir(builtins), "__file__", "__name__", "__doc__", "__spec__", "__loader__", "__package__", "__path__",
                    "__annotations__", "__builtins__", "__debug__", "__class__", "__qualname__", "__module__",
                    "__dict__"})  # fmt: skip


def undefined_names(text: str) -> Iterator[tuple[str, int, int]]:
    """Each such name once, with the line and the column of its first use.

    Silent for a module with a star import, and for one that makes names by `exec`, `globals()` or `vars()`.
    """
    tree = parse(text)
    if isinstance(tree, tuple) or _makes_names(tree):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            top = symtable.symtable(text, "<module>", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return
    bound = {
        each.get_name() for each in top.get_symbols() if each.is_assigned() or each.is_imported() or each.is_namespace()
    }
    declared: set[str] = set()
    read: set[str] = set()
    left = list(top.get_children())
    read.update(each.get_name() for each in top.get_symbols() if each.is_referenced())
    while left:
        table = left.pop()
        left.extend(table.get_children())
        for each in table.get_symbols():
            if each.is_declared_global() and each.is_assigned():
                declared.add(each.get_name())
            if each.is_global() and each.is_referenced():
                read.add(each.get_name())
    # Of a `self` that is no parameter, other rules say more.
    missing = read - bound - declared - _GIVEN - {"self"}
    left_out = _in_annotations(tree) | _caught(tree)
    for node in ast.walk(tree) if missing else ():
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node.id in missing
            and id(node) not in left_out
        ):
            missing.discard(node.id)
            yield node.id, node.lineno, node.col_offset


def _makes_names(tree: ast.Module) -> bool:
    for each in ast.walk(tree):
        match each:
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return True
            case ast.Call(func=ast.Name(id="exec" | "globals" | "vars" | "locals")):
                return True
            case ast.Call(func=ast.Name(id="setattr" | "delattr")):
                return True
            case _:
                continue
    return False


def _caught(tree: ast.Module) -> set[int]:
    """Names inside a `try` that goes on where one is missing."""
    found: set[int] = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.Try) and any(
            handler.type is None or any(name in ast.unparse(handler.type) for name in ("NameError", "Exception"))
            for handler in each.handlers
        ):
            found.update(id(inner) for statement in each.body for inner in ast.walk(statement))
    return found


def _in_annotations(tree: ast.Module) -> set[int]:
    """Names inside annotations, which Python need not look up."""
    found: set[int] = set()
    for each in ast.walk(tree):
        annotations: list[ast.expr | None] = []
        if isinstance(each, ast.arg | ast.AnnAssign):
            annotations.append(each.annotation)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            annotations.append(each.returns)
        for annotation in annotations:
            if annotation is not None:
                found.update(id(inner) for inner in ast.walk(annotation))
    return found
