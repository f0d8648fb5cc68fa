"""Whether a decorator leaves the parameters of a function as they are written."""

from __future__ import annotations

from esp3c.python.contents import overloaded
from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader
from esp3c.world import Module

KEEPING = frozenset({
    "staticmethod", "classmethod", "abstractmethod", "abstractclassmethod", "overload", "override", "final",
    "no_grad", "inference_mode", "enable_grad", "deprecated", "contextmanager", "asynccontextmanager", "lru_cache",
    "cache", "wraps", "rank_zero_only", "ignore", "unused", "export", "no_type_check", "disable", "singledispatch",
    "jit", "script_method", "typechecked", "typed", "beartype", "jaxtyped", "total_ordering", "substitute_in_graph",
})  # fmt: skip
"""Decorators known by their last name: Python's own, torch's, Lightning's and those of run-time type checkers."""


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


def _keeps(reader: Reader, module: Module, head: str) -> bool:
    """Whether a decorator's own text says that it passes the signature on, as `functools.wraps` does."""
    found = reader.resolve(module, head)
    if found.module is None or not isinstance(found.definition, Function | Class):
        return False
    source = reader.world.source(found.module)
    if source is None:
        return False
    definition = found.definition
    if isinstance(definition, Class):
        return False
    first, last = source.line_start(definition.line), definition.end_line
    end = source.line_start(last + 1) if last < source.line_count else len(source.text)
    body = source.text[first:end]
    returned_as_is = definition.parameters and f"return {definition.parameters[0].name}\n" in body + "\n"
    return "wraps(" in body or "update_wrapper(" in body or bool(returned_as_is)
