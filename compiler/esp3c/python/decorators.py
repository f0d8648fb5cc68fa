"""Whether a decorator leaves the parameters of a function, or of a class, as they are written."""

from __future__ import annotations

import ast

from esp3c.python.contents import overloaded
from esp3c.python.fields import kind_of
from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader
from esp3c.world import Module

KEEPING = frozenset({
    "staticmethod", "classmethod", "abstractmethod", "abstractclassmethod", "overload", "override", "final",
    "no_grad", "inference_mode", "enable_grad", "deprecated", "contextmanager", "asynccontextmanager", "lru_cache",
    "cache", "wraps", "rank_zero_only", "ignore", "unused", "export", "no_type_check", "disable", "singledispatch",
    "runtime_checkable", "dataclass_transform", "register_checkpoint_hooks", "auto_docstring", "add_start_docstrings",
    "add_end_docstrings", "add_start_docstrings_to_model_forward", "replace_return_docstrings",
    "jit", "script_method", "typechecked", "typed", "beartype", "jaxtyped", "total_ordering", "substitute_in_graph",
})  # fmt: skip
"""Decorators known by their last name: Python's own, torch's, Lightning's, those of run-time type checkers and of documentation."""


def unwrapped(reader: Reader, module: Module, function: Function) -> str:
    """Why the parameters of a decorated function may be others than those that are written; empty where they are not."""
    if overloaded(function):
        return ""
    for text in function.decorators:
        head = text.partition("(")[0]
        last = head.rpartition(".")[2]
        if last in KEEPING:
            continue
        if last in {"property", "cached_property", "setter", "getter"}:
            return f"`{function.name}` is a property"
        if not _keeps(reader, module, head):
            return f"it is decorated with `{head}`"
    return ""


def replaced(reader: Reader, module: Module, node: Class) -> str:
    """Why a decorated class may be made in another way than is written in it; empty where it may not."""
    of_fields = kind_of(reader, (), node, module)[1]
    for text in node.decorators:
        head = text.partition("(")[0]
        known = head.rpartition(".")[2] in KEEPING or text == of_fields
        if not known and not _gives_back(reader, module, head, "(" in text):
            return f"it is decorated with `{head}`"
    return ""


def _keeps(reader: Reader, module: Module, head: str) -> bool:
    """Whether a decorator's own text says that it passes the signature on, as `functools.wraps` does."""
    found, node = _written(reader, module, head)
    if found is None or node is None or not found.parameters:
        return False
    if any(_names_keywords(each) for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and each is not node):
        return False
    body = ast.unparse(node)
    return "wraps(" in body or "update_wrapper(" in body or f"return {found.parameters[0].name}\n" in body + "\n"


def _names_keywords(wrapper: ast.FunctionDef) -> bool:
    """Whether what stands around a function takes keywords of its own, or renames some."""
    kwargs = wrapper.args.kwarg.arg if wrapper.args.kwarg else ""
    for each in ast.walk(wrapper):
        match each:
            case (
                ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="pop"))
                | ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name)])
                | ast.Subscript(value=ast.Name(id=name))
            ) if name == kwargs:
                return True
    return bool(wrapper.args.kwonlyargs)


def _gives_back(reader: Reader, module: Module, head: str, called: bool) -> bool:
    """Whether a decorator's own text says that it returns a class as it got it. `called`: it is written with brackets."""
    _, node = _written(reader, module, head)
    inner = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and each is not node] if node else []
    decorating = (inner[0] if len(inner) == 1 else None) if called else node
    if node is None or decorating is None or not decorating.args.args:
        return False
    own = decorating.args.args[0].arg
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and each.attr in {"__init__", "__new__"}:
            return False
        if isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load) and _is(each.value, own):
            return False
        if isinstance(each, ast.Name) and (
            each.id == "setattr" or (each.id == own and isinstance(each.ctx, ast.Store))
        ):
            return False
    returns = [each.value for each in ast.walk(decorating) if isinstance(each, ast.Return)]
    return bool(returns) and all(isinstance(each, ast.Name) and each.id == own for each in returns)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _written(
    reader: Reader, module: Module, head: str
) -> tuple[Function | None, ast.FunctionDef | ast.AsyncFunctionDef | None]:
    found = reader.resolve(module, head)
    if found.module is None or not isinstance(found.definition, Function):
        return None, None
    return found.definition, reader.body(found.module, found.definition)
