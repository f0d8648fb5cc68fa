"""The names of the numbers that a callback of one's own logs, as far as its text says them."""

from __future__ import annotations

import ast

from esp3c.check.flow_made import made_by
from esp3c.python.model import Class
from esp3c.python.reader import Reader

_LIGHTNING = ("lightning.", "pytorch_lightning.", "lightning_fabric.")
_PLAIN = frozenset({"object", "builtins.object", "abc.ABC", "typing.Generic"})
_HANDED = frozenset({"trainer", "pl_module", "module", "model"})
_OPEN = frozenset({"log_dict", "callback_metrics", "logged_metrics", "fit_loop", "_logger_connector"})


def logged_by(reader: Reader, path: str) -> frozenset[str] | None:
    """What a callback logs; None where it may log under names that are not known."""
    if path.startswith(_LIGHTNING):
        return frozenset()
    made = made_by(reader, path)
    if made.startswith(_LIGHTNING):
        return frozenset()
    names: set[str] = set()
    for owner in reader.bases(made).paths if made else ():
        if owner.startswith(_LIGHTNING):
            return frozenset(names)
        found = reader.find(owner)
        if owner in _PLAIN:
            continue
        if not isinstance(found.definition, Class) or found.module is None or not found.module.local:
            return None
        for method in found.definition.methods:
            node = reader.body(found.module, method)
            logged = _names(node) if node is not None else None
            if logged is None:
                return None
            names |= logged
    return None


def _names(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str] | None:
    names: set[str] = set()
    # Whatever they are called, the first two parameters of a hook are the trainer and the module.
    hook = node.name.startswith("on_") or node.name in {"setup", "teardown"}
    handed = _HANDED | {each.arg for each in (*node.args.posonlyargs, *node.args.args)[1:3] if hook}
    for each in ast.walk(node):
        match each:
            case ast.Attribute(attr=attribute) if attribute in _OPEN:
                return None
            case ast.Call(func=ast.Attribute(attr="log"), args=args, keywords=keywords):
                first = args[0] if args else next((k.value for k in keywords if k.arg == "name"), None)
                if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                    return None
                names.add(first.value)
            case ast.Call(func=function, args=args, keywords=keywords) if not _own(function):
                if any(_is_handed(value, handed) for value in (*args, *(keyword.value for keyword in keywords))):
                    return None
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) if _is_handed(value, handed):
                return None
            case ast.Constant(value=str() as text) if text in _OPEN:
                return None
            case _:
                continue
    return names


def _is_handed(value: ast.expr, handed: frozenset[str]) -> bool:
    """Whether a value is the trainer or the module: whoever gets it may log."""
    inner = value.value if isinstance(value, ast.Starred) else value
    return (isinstance(inner, ast.Name) and inner.id in handed) or (
        isinstance(inner, ast.Attribute) and inner.attr in {"log", "lightning_module", "trainer"}
    )


def _own(function: ast.expr) -> bool:
    """Whether a call logs nothing by itself: it leads to another method of the object, which is read too, or looks only."""
    match function:
        case ast.Name(id="isinstance" | "print" | "type" | "id"):
            return True
        case ast.Attribute(value=ast.Name(id="self")) | ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
            return True
        case _:
            return False
