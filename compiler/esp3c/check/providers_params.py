"""The `params` of a provider: what a recipe gives, and what the provider's own `__init__` makes of it.

espnet3's providers for a dataset and a model hand every entry of `params` to `forward`, beside these two.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from esp3c.check.flow_base import is_null, text_of
from esp3c.check.flow_functions import Target, method_of, scope_of
from esp3c.ir import MapNode, Node, Scalar, strip
from esp3c.python.bodies import interpret
from esp3c.python.body_values import NONE, UNKNOWN, Dict, Entry, Value, leaf
from esp3c.python.reader import Reader
from esp3c.schema.contracts import INFER_PARAMS

_LATER = frozenset({"params", "_local_env"})


def params_of(reader: Reader, path: str, settings: MapNode, *, inference: bool, own: Collection[str]) -> Dict | None:
    """The names in a provider's `params`; None where they are not known. `own` are espnet3's own providers."""
    given: dict[str, Value] = {entry.name: _value(entry.value) for entry in settings.entries}
    if inference:
        given["params"] = Dict({name: Entry(UNKNOWN) for name in sorted(INFER_PARAMS)})
    method = reader.method(path, "__init__")
    if method is None:
        return None
    if method.owner in own:
        return _dict(given.get("params", NONE))
    target = method_of(reader, path, "__init__")
    handed = _handed_on(reader, target, given) if target is not None else None
    return _dict(handed) if handed is not None else None


def _dict(value: Value) -> Dict | None:
    if value == NONE:
        return Dict({})
    return value if isinstance(value, Dict) else None


def _value(node: Node) -> Value:
    node = strip(node)
    match node:
        case MapNode(entries):
            return Dict({entry.name: Entry(_value(entry.value)) for entry in entries})
        case Scalar() if not is_null(node):
            return leaf(node.value)
        case _ if is_null(node):
            return NONE
        case _:
            text = text_of(node)
            return UNKNOWN if text is None else leaf(text)


def _handed_on(reader: Reader, target: Target, given: dict[str, Value]) -> Value | None:
    """What an `__init__` hands on to the one above as `params`; None where that is not plain to see."""
    node = reader.body(target.module, target.function)
    if not isinstance(node, ast.FunctionDef):
        return None
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and _is_init(each)]
    stored = [each for each in ast.walk(node) if isinstance(each, ast.Attribute) and each.attr in _LATER]
    at = next((n for n, each in enumerate(node.body) if isinstance(each, ast.Expr) and each.value in calls), None)
    if len(calls) != 1 or stored or at is None:
        return None
    call = calls[0]
    arguments = call.args[1:] if _by_name(call) else call.args
    if any(isinstance(each, ast.Starred) for each in arguments) or any(each.arg is None for each in call.keywords):
        return None
    named = next((each.value for each in call.keywords if each.arg == "params"), None)
    params = arguments[1] if len(arguments) > 1 else named
    if params is None:
        return NONE
    # The rest of the body does not matter: what is handed on here is what the environment gets.
    returned = ast.copy_location(ast.Return(params), call)
    body = ast.FunctionDef(node.name, node.args, [*node.body[:at], returned], [], None, None, lineno=node.lineno)
    outcome = interpret(body, scope_of(reader, target), {**_defaults(node), **given})
    return None if outcome.why else outcome.value


def _defaults(node: ast.FunctionDef) -> dict[str, Value]:
    """The parameters that a recipe may leave out: `None` is `None`, of the others nothing is known."""
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs = [*zip(positional[::-1], node.args.defaults[::-1], strict=False)]
    pairs += [(arg, value) for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value]
    return {arg.arg: NONE for arg, value in pairs if isinstance(value, ast.Constant) and value.value is None}


def _is_init(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"


def _by_name(call: ast.Call) -> bool:
    """Whether it is `Base.__init__(self, …)`, which is handed the object first."""
    match call.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
            return False
        case _:
            return True
