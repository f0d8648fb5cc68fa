"""What the body of a runner's `forward` does that it should not: using `self`, building the model for every item."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from esp3c.check.flow_functions import Target
from esp3c.check.flow_made import made_by
from esp3c.python.body_kinds import dotted
from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader
from esp3c.schema.contracts import MODULE
from esp3c.world import Module

_LOADERS = frozenset({"load_from_checkpoint", "from_pretrained", "load_state_dict"})
_MAKERS = frozenset({"hydra.utils.instantiate", "instantiate"})
_LAYERS = tuple(
    f"torch.nn.modules.{each}."
    for each in ("linear", "conv", "rnn", "transformer", "sparse", "batchnorm", "normalization")
)
_KEEPING = frozenset({"cache", "lru_cache", "cached"})
_FILES = frozenset({"torch.load", "torch.jit.load"})


def free_self(node: ast.FunctionDef) -> ast.Name | None:
    """The first use of a `self` that is no parameter and no name of the function."""
    bound = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    bound |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    if "self" in bound:
        return None
    return next((each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == "self"), None)


def built_model(reader: Reader, target: Target, node: ast.FunctionDef) -> tuple[ast.Call, str] | None:
    """A call that builds or loads a model whenever `forward` runs, and what to say of it."""
    own = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    item = target.parameters[0].name if target.parameters else ""
    for call in _always(node.body):
        name = dotted(call.func) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
        last = name.rpartition(".")[2]
        if last in _LOADERS or (name in _MAKERS and "instantiate" not in own):
            return call, f"`{last}` is called for every item"
        if name in _FILES and not _of_the_item(call, own | {item}):
            return call, f"`{name}` is called for every item"
        made = _model(reader, target, name) if name and name.partition(".")[0] not in own else ""
        if made:
            return call, f"a `{made.rpartition('.')[2]}` is made for every item"
    return None


def _of_the_item(call: ast.Call, names: set[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in names for argument in call.args for each in ast.walk(argument))


def _model(reader: Reader, target: Target, name: str) -> str:
    """The torch module with weights that a call makes: one of the recipe's own, or a layer of torch's; or empty."""
    called = reader.resolve(target.module, name)
    if isinstance(called.definition, Function) and _keeps(reader, called.definition, called.module):
        return ""
    found = reader.find(made_by(reader, called.path))
    if not isinstance(found.definition, Class) or found.module is None:
        return ""
    if not found.module.local and not found.path.startswith(_LAYERS):
        return ""
    return found.path if reader.is_a(found.path, (MODULE,)) else ""


def _keeps(reader: Reader, function: Function, module: Module | None) -> bool:
    """Whether a function may give what it made before: it is decorated so, or puts it into a global name."""
    if any(each.partition("(")[0].rpartition(".")[2] in _KEEPING for each in function.decorators):
        return True
    body = reader.body(module, function) if module is not None else None
    return body is not None and any(isinstance(each, ast.Global) for each in ast.walk(body))


def _always(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """The calls that are made whenever a body runs: those under a condition may keep what they made."""
    left: list[ast.AST] = list(reversed(body))
    while left:
        node = left.pop()
        match node:
            case ast.If() | ast.IfExp() | ast.BoolOp() | ast.Try() | ast.Match() | ast.While():
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                continue
            case ast.Call():
                yield node
            case _:
                pass
        left.extend(reversed(list(ast.iter_child_nodes(node))))
