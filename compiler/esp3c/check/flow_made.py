"""The class of what a call makes: the class itself, or what a class method or a factory function gives.

What the body makes is believed first, the annotation of what it returns where the body does not say it plainly. Where a
body chooses among classes when it runs, nothing is known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from esp3c.python.body_kinds import dotted
from esp3c.python.decorators import unwrapped
from esp3c.python.model import Class, Function
from esp3c.python.reader import Found, Reader
from esp3c.record import record
from esp3c.schema.contracts import MODULE
from esp3c.world import Module

_DEEPEST = 4
# Methods of a torch module that give it back.
_ITSELF = frozenset({
    "to", "eval", "train", "cuda", "cpu", "half", "float", "double", "bfloat16", "requires_grad_", "share_memory", "type",
})  # fmt: skip
_CHOICE = object()


def made_by(reader: Reader, path: str, depth: int = 0) -> str:
    """The path of the class whose object calling `path` gives; empty where that is not known."""
    found = reader.find(path)
    if isinstance(found.definition, Class):
        return found.path
    factory = _factory(reader, found, depth)
    return factory.result() if factory is not None else ""


def local_imports(body: list[ast.stmt], module: Module, *, package: bool) -> dict[str, str]:
    """What the imports inside a function bind, by the paths that they mean."""
    found: dict[str, str] = {}
    parts = module.name.split(".")
    for node in (each for statement in body for each in ast.walk(statement)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            up = parts[: len(parts) - node.level + package] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            for alias in node.names:
                found[alias.asname or alias.name] = f"{base}.{alias.name}"
    return found


def is_package(module: Module) -> bool:
    return module.place.replace("\\", "/").rpartition("/")[2].startswith("__init__.")


def _factory(reader: Reader, found: Found, depth: int) -> _Factory | None:
    function, module = found.definition, found.module
    if not isinstance(function, Function) or module is None or not module.local or len(found.overloads) > 1:
        return None
    if depth >= _DEEPEST or function.empty or function.abstract or unwrapped(reader, module, function):
        return None
    asked = receiver = ""
    if found.owner:
        if "classmethod" in function.decorators and function.parameters:
            receiver = function.parameters[0].name
        elif not function.static:
            return None
        asked = found.path.rpartition(".")[0]
    node = reader.body(module, function)
    if not isinstance(node, ast.FunctionDef) or any(
        isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(node)
    ):
        return None
    return _Factory(reader, module, function, node, asked, receiver, depth)


@record
class _Factory:
    """A function that may make objects. `asked` is the class that it is reached through, `receiver` its `cls`."""

    reader: Reader
    module: Module
    function: Function
    node: ast.FunctionDef
    asked: str
    receiver: str
    depth: int

    def result(self) -> str:
        returns = list(_own_returns(self.node.body))
        if not returns:
            return ""
        classes = {self.made(each.value, frozenset()) if each.value is not None else None for each in returns}
        if _CHOICE in classes:
            return ""
        known = {each for each in classes if isinstance(each, str)}
        if None not in classes:
            return known.pop() if len(known) == 1 else ""
        annotated = self.annotated()
        return annotated if known <= {annotated} else ""

    def made(self, value: ast.expr, seen: frozenset[str]) -> object:
        """The class of an expression's object; None where only an annotation could say it, or the mark of a choice."""
        match value:
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _ITSELF and not self.bound_name(inner):
                made = self.made(inner, seen)
                return made if isinstance(made, str) and self.reader.is_a(made, (MODULE,)) else None
            case ast.Call(func=ast.Name() | ast.Attribute() as function):
                return self.called(function)
            case ast.Call():
                return _CHOICE
            case ast.Name(id=name) if name not in seen:
                return self.local(name, seen | {name})
            case ast.IfExp(body=body, orelse=orelse):
                ways = {self.made(body, seen), self.made(orelse, seen)}
                return ways.pop() if len(ways) == 1 else _CHOICE
            case _:
                return None

    def bound_name(self, node: ast.expr) -> bool:
        """Whether a call's owner is a module or a class, not an object: `torch.float(…)`."""
        name = dotted(node)
        return name is not None and name.partition(".")[0] not in self.stored()

    def called(self, function: ast.expr) -> object:
        name = dotted(function)
        if name is None:
            return _CHOICE
        head, _, rest = name.partition(".")
        if head == self.receiver and head not in self.stored():
            return (made_by(self.reader, f"{self.asked}.{rest}", self.depth + 1) or None) if rest else self.asked
        imports = local_imports(self.node.body, self.module, package=is_package(self.module))
        if head in imports:
            path = ".".join(part for part in (imports[head], rest) if part)
        elif head in self.stored() or head in {
            each.arg for each in ast.walk(self.node.args) if isinstance(each, ast.arg)
        }:
            return _CHOICE
        else:
            found = self.reader.resolve(self.module, name)
            if found.definition is None:
                return _CHOICE if name.rpartition(".")[2] in {"instantiate", "getattr", "type"} else None
            path = found.path
        return made_by(self.reader, path, self.depth + 1) or None

    def local(self, name: str, seen: frozenset[str]) -> object:
        """What a name of the function holds, where all its assignments make objects of one class."""
        assigned: list[ast.expr | None] = []
        for each in ast.walk(self.node):
            match each:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    assigned.append(value)
                case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                    assigned.append(value)
                case _:
                    continue
        stores = [e for e in ast.walk(self.node) if isinstance(e, ast.Name) and e.id == name and not _loads(e)]
        if not assigned or len(stores) != len(assigned):
            return None
        made = {self.made(each, seen) for each in assigned if each is not None and not self.keeps(each, name)}
        return made.pop() if len(made) == 1 else _CHOICE

    def keeps(self, value: ast.expr, name: str) -> bool:
        """Whether a value is the object of a name itself: `model.to(device)`."""
        match value:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attribute)):
                return owner == name and attribute in _ITSELF
            case _:
                return False

    def stored(self) -> set[str]:
        return {each.id for each in ast.walk(self.node) if isinstance(each, ast.Name) and not _loads(each)}

    def annotated(self) -> str:
        """The class of the annotation, where it is one of the recipe's own that is no mere outline."""
        text = (self.function.returns or "").strip().strip("\"'")
        if text.rpartition(".")[2] == "Self":
            return self.asked
        if not text or not all(part.isidentifier() for part in text.split(".")):
            return ""
        found = self.reader.resolve(self.module, text)
        if not isinstance(found.definition, Class) or found.module is None or not found.module.local:
            return ""
        outline = any(each.abstract or (each.empty and each.name != "__init__") for each in found.definition.methods)
        return "" if outline else found.path


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _own_returns(body: list[ast.stmt]) -> Iterator[ast.Return]:
    left: list[ast.AST] = list(body)
    while left:
        each = left.pop()
        if isinstance(each, ast.Return):
            yield each
        elif not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(each))
