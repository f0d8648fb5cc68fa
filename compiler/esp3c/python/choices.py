"""Which values a function takes for a parameter, where its first lines say so.

    if split not in ("train", "valid"):
        raise ValueError(…)

Also with a constant of the module, of another module, or of the class in the place of the tuple, and as an `assert`.
"""

from __future__ import annotations

import ast
import re

from esp3c.python.functions import text_of
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import Reader
from esp3c.world import Module

_FILLED = r"\b{}\s*(\[[^\]]*\]\s*=[^=]|\.(add|append|extend|insert|pop|remove|setdefault|update)\b|[|+]=)"
"""Where values are put into a collection, or taken out, behind the line in which it is written."""


def choices(reader: Reader, module: Module, function: Function, owner: str) -> dict[str, tuple[object, ...]]:
    """For each parameter that is compared with a closed set, the values of the set."""
    question = ("choices", module.place, function.line, function.name, owner)
    return reader.once(question, lambda: _choices(reader, module, function, owner))


def _choices(reader: Reader, module: Module, function: Function, owner: str) -> dict[str, tuple[object, ...]]:
    body = reader.body(module, function)
    if body is None:
        return {}
    names = {each.name for each in function.parameters}
    found: dict[str, tuple[object, ...]] = {}
    for statement in body.body:
        for name in [each for each in names if _assigns(statement, each)]:
            # From here on it is another value.
            names.discard(name)
        match statement:
            case ast.If(test=ast.Compare(left=ast.Name(id=name), ops=[ast.NotIn()], comparators=[allowed]), body=inner):
                if name in names and any(isinstance(each, ast.Raise) for each in inner):
                    values = _values(reader, module, owner, allowed)
                    if values is not None:
                        found[name] = values
            case ast.Assert(test=ast.Compare(left=ast.Name(id=name), ops=[ast.In()], comparators=[allowed])):
                if name in names:
                    values = _values(reader, module, owner, allowed)
                    if values is not None:
                        found[name] = values
        if any(isinstance(each, ast.Return) for each in ast.walk(statement)):
            # What comes behind is not always reached.
            break
    return found


def _assigns(statement: ast.stmt, name: str) -> bool:
    return any(
        isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
        for each in ast.walk(statement)
    )


def _values(reader: Reader, module: Module, owner: str, node: ast.expr) -> tuple[object, ...] | None:
    """The values of a closed set: written out, or under a name."""
    literal = _literal(node)
    if literal is not None:
        return literal
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
        return _values(reader, module, owner, node.func.value)
    text = text_of(node) if isinstance(node, ast.Name | ast.Attribute) else ""
    head, _, rest = text.partition(".")
    if head in {"self", "cls"} and rest and "." not in rest:
        for base in reader.bases(owner).paths:
            found = reader.find(base)
            if isinstance(found.definition, Class):
                for each in found.definition.attributes:
                    if each.name == rest:
                        return _parsed(each.value)
        return None
    if not text:
        return None
    found = reader.resolve(module, text)
    if not isinstance(found.definition, Value) or found.module is None:
        return None
    source = reader.world.source(found.module)
    if source is None or re.search(_FILLED.format(re.escape(found.definition.name)), source.text):
        return None
    return _parsed(found.definition.text)


def _parsed(text: str | None) -> tuple[object, ...] | None:
    if text is None:
        return None
    try:
        return _literal(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _literal(node: ast.expr) -> tuple[object, ...] | None:
    if (
        isinstance(node, ast.Call)
        and text_of(node.func) in {"frozenset", "set", "tuple", "list"}
        and len(node.args) == 1
    ):
        return _literal(node.args[0])
    if isinstance(node, ast.Dict):
        elements = [each for each in node.keys if each is not None]
        whole = len(elements) == len(node.keys)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        elements, whole = node.elts, True
    else:
        return None
    values = [each.value for each in elements if isinstance(each, ast.Constant)]
    return tuple(values) if whole and values and len(values) == len(elements) else None
