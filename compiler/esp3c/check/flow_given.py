"""Calls that stand around another one: functions that give back what they are given, and modules that hand a batch on.

`load_pretrained(model = Net())` is a `Net`, and a wrapper whose `forward(self, **batch)` does nothing but call the model
that it was made with takes what that model takes. Both are believed only where they are written plainly.
"""

from __future__ import annotations

import ast

from esp3c.check.flow_base import follow
from esp3c.check.flow_functions import method_of, plain_function
from esp3c.check.flow_made import made_by
from esp3c.check.module_calls import called_otherwise, changes, stored_otherwise
from esp3c.ir import CallNode, Config, Node
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import Found, Reader

_DEEPEST = 6


def behind(reader: Reader, config: Config, call: CallNode) -> CallNode:
    """The call whose object a call gives: itself, or what stands inside functions that give it back."""
    for _ in range(_DEEPEST):
        inner = _given(config, call, given_back(reader, call.target.path))
        if inner is None:
            return call
        call = inner
    return call


def trained(reader: Reader, config: Config, call: CallNode) -> CallNode:
    """The call whose object gets the batches that the object of a call is given."""
    for _ in range(_DEEPEST):
        call = behind(reader, config, call)
        inner = _given(config, call, _handed_on(reader, call.target.path))
        if inner is None:
            return call
        call = inner
    return call


def given_back(reader: Reader, path: str) -> str:
    """The parameter whose value calling a function gives; empty where there is none, or it is not known."""
    found = reader.find(path)
    target = plain_function(reader, found)
    if target is None:
        return ""
    names = [each.name for each in target.function.parameters]
    return _by_type(reader, found) or (_by_body(reader, found, names) if target.module.local else "")


def _given(config: Config, call: CallNode, name: str) -> CallNode | None:
    node: Node | None = follow(config, call.arguments.get(name)) if name and not call.partial else None
    return node if isinstance(node, CallNode) and not node.partial else None


def _by_type(reader: Reader, found: Found) -> str:
    """`def load(model: M, …) -> M`: only what was given can be of the type of every caller."""
    function, module = found.definition, found.module
    if not isinstance(function, Function) or module is None or not (function.returns or "").isidentifier():
        return ""
    bound = reader.resolve(module, function.returns or "").definition
    if not isinstance(bound, Value) or (bound.text or "").partition("(")[0].rpartition(".")[2] != "TypeVar":
        return ""
    same = [each.name for each in function.parameters if each.annotation == function.returns]
    if len(same) != 1 or not module.local:
        return same[0] if len(same) == 1 else ""
    node = reader.body(module, function)
    return same[0] if node is not None and not changes(node, same[0]) else ""


def _by_body(reader: Reader, found: Found, names: list[str]) -> str:
    """`return model`, and the name is never given another value."""
    function, module = found.definition, found.module
    node = reader.body(module, function) if module is not None and isinstance(function, Function) else None
    if not isinstance(node, ast.FunctionDef):
        return ""
    inside = [each for statement in node.body for each in ast.walk(statement)]
    returned = {ast.unparse(each.value) if each.value else "" for each in inside if isinstance(each, ast.Return)}
    if len(returned) != 1 or any(isinstance(each, ast.Yield | ast.YieldFrom) for each in inside):
        return ""
    name = returned.pop()
    stored = any(isinstance(each, ast.Name) and each.id == name and not _loads(each) for each in inside)
    return name if name in names and not stored and not changes(node, name) else ""


def _handed_on(reader: Reader, path: str) -> str:
    """The parameter of a wrapper's class that gets whatever its `forward` is given; empty where that is not plain."""
    made = made_by(reader, path)
    if not made or made != reader.find(path).path:
        return ""
    attribute = _called_with_all(reader, made)
    found = reader.find(made)
    if attribute and (called_otherwise(reader, made) or stored_otherwise(reader, made)):
        return ""
    if not attribute or not isinstance(found.definition, Class) or found.module is None or not found.module.local:
        return ""
    if len(reader.bases(made).paths) > 1 and "__init__" not in {each.name for each in found.definition.methods}:
        return ""
    stored: list[tuple[str, ast.expr | None, ast.FunctionDef]] = []
    for method in found.definition.methods:
        node = reader.body(found.module, method)
        if isinstance(node, ast.FunctionDef):
            stored += [(method.name, value, node) for value in _stored(node, attribute)]
    if len(stored) != 1 or stored[0][0] != "__init__":
        return ""
    _, value, node = stored[0]
    names = {each.arg for each in (*node.args.args[1:], *node.args.kwonlyargs)}
    if not isinstance(value, ast.Name) or value.id not in names:
        return ""
    changed = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == value.id]
    return value.id if all(_loads(each) for each in changed) else ""


def _called_with_all(reader: Reader, made: str) -> str:
    """The attribute in `def forward(self, **batch): return self.model(**batch)`."""
    target = method_of(reader, made, "forward")
    node = reader.body(target.module, target.function) if target is not None and target.module.local else None
    if target is None or target.owner != made or not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return ""
    takes = node.args
    if len(takes.args) != 1 or takes.vararg or takes.kwonlyargs or takes.posonlyargs or takes.kwarg is None:
        return ""
    said = [each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    match said:
        case [
            ast.Return(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=receiver), attr=attribute),
                    args=[],
                    keywords=[ast.keyword(arg=None, value=ast.Name(id=given))],
                )
            )
        ] if receiver == takes.args[0].arg and given == takes.kwarg.arg:
            return attribute
        case _:
            return ""


def _stored(node: ast.FunctionDef, attribute: str) -> list[ast.expr | None]:
    """What a method puts into an attribute of its object; None for what is not a plain assignment."""
    receiver = node.args.args[0].arg if node.args.args else ""
    plain: dict[int, ast.expr | None] = {}
    for each in ast.walk(node):
        match each:
            case ast.Assign(targets=[ast.Attribute() as place], value=value):
                plain[id(place)] = value
            case ast.AnnAssign(target=ast.Attribute() as place, value=ast.expr() as value):
                plain[id(place)] = value
    return [
        plain.get(id(each))
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and each.attr == attribute
        and not isinstance(each.ctx, ast.Load)
        and isinstance(each.value, ast.Name)
        and each.value.id == receiver
    ]


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)
