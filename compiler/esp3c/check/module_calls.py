"""Whether objects of a module's class are what their class says: which parts they store, and what calling them does.

PyTorch lets both be changed from everywhere: hooks change what `forward` gets and returns, a decorator or a function that is
handed the object gives it other parts. All of that is written in words that can be looked for; where one stands, nothing is
known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from esp3c.check.flow_made import made_by
from esp3c.python.decorators import replaced
from esp3c.python.model import Class, Function
from esp3c.python.reader import STOPS, Reader
from esp3c.schema.contracts import MODULE
from esp3c.world import Module

_CALLING = re.compile(
    r"\b(?:register_(?:module_)?(?:full_)?forward\w*|_forward_(?:pre_)?hooks\w*|_call_impl|__call__)\b|\.forward\s*=[^=]"
)
"""Words of Python that changes what calling a module does."""

_STORING = re.compile(
    r"\b(?:setattr|__setattr__|__dict__|vars|add_module|register_\w+|_modules|_parameters|_buffers)\b"
)
"""Words of Python that gives an object parts under names that are not written as `self.name = …`."""

_HARMLESS = frozenset(
    {"super", "isinstance", "issubclass", "type", "id", "len", "repr", "str", "print", "hasattr", "getattr"}
)
"""Functions that change nothing of what they are given."""


def called_otherwise(reader: Reader, path: str) -> str:
    """Why calling an object of a class may be another thing than calling its `forward`; empty where it is not."""
    return reader.once(("called otherwise", path), lambda: _called_otherwise(reader, path))


def _called_otherwise(reader: Reader, path: str) -> str:
    found = reader.find(path)
    if isinstance(found.definition, Function) and found.module is not None and found.module.local:
        body = reader.body(found.module, found.definition)
        if body is not None and _CALLING.search(ast.unparse(body)):
            return f"`{found.definition.name}` changes what calling it does"
    for cls, module in _own_classes(reader, made_by(reader, path)):
        why = replaced(reader, module, cls)
        if why:
            return why
        if any(each.name in {"forward", "__call__"} for each in cls.attributes):
            return f"`{cls.name}` is called otherwise than by a method of its own"
        for method in cls.methods:
            body = reader.body(module, method)
            if method.name == "__call__":
                return f"`{cls.name}` has a `__call__` of its own"
            if body is None or _CALLING.search(ast.unparse(body)):
                return f"`{cls.name}.{method.name}` changes what calling it does"
    return ""


def stored_otherwise(reader: Reader, path: str) -> bool:
    """Whether objects of a class may store something that is not written as `self.name = …` in one of its methods."""
    return reader.once(("stored otherwise", path), lambda: _stored_otherwise(reader, path))


def _stored_otherwise(reader: Reader, path: str) -> bool:
    for cls, module in _own_classes(reader, path):
        if cls.keywords or replaced(reader, module, cls):
            return True
        for method in cls.methods:
            body = reader.body(module, method)
            if body is None or _STORING.search(ast.unparse(body)) or (not method.static and hands_on(body)):
                return True
    return False


def hands_on(body: ast.AST, name: str = "") -> bool:
    """Whether a method hands its object on, or a function the parameter `name`, to code that may change it."""
    if not isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    takes = [*body.args.posonlyargs, *body.args.args]
    receiver = name or (takes[0].arg if takes else "")
    plain: set[int] = set()
    for each in ast.walk(body):
        match each:
            case ast.Attribute(value=ast.Name() as owner) | ast.Return(value=ast.Name() as owner):
                plain.add(id(owner))
            case ast.Call(func=ast.Name(id=function), args=given) if function in _HARMLESS:
                plain.update(id(argument) for argument in given)
            case ast.Compare(left=left, comparators=others):
                plain.update(map(id, (left, *others)))
    return any(
        isinstance(each, ast.Name) and each.id == receiver and isinstance(each.ctx, ast.Load) and id(each) not in plain
        for each in ast.walk(body)
    )


def changes(body: ast.AST, name: str) -> bool:
    """Whether a function may change the module that is its parameter `name`."""
    stores = any(
        isinstance(each, ast.Attribute)
        and not isinstance(each.ctx, ast.Load)
        and isinstance(each.value, ast.Name)
        and each.value.id == name
        for each in ast.walk(body)
    )
    text = ast.unparse(body)
    return stores or hands_on(body, name) or _CALLING.search(text) is not None or _STORING.search(text) is not None


def _own_classes(reader: Reader, path: str) -> Iterator[tuple[Class, Module]]:
    """A class and those of its bases that stand in the recipe's own Python."""
    for owner in reader.bases(path).paths:
        if owner == MODULE or owner in STOPS:
            continue
        found = reader.find(owner)
        if isinstance(found.definition, Class) and found.module is not None and found.module.local:
            yield found.definition, found.module
