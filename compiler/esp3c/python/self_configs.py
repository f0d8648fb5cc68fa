"""Which configs a method of a System reads, as `self.NAME_config`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from esp3c.python.reader import reader
from esp3c.record import record
from esp3c.world import World

_CONFIG = re.compile(r"(\w+)_config")
_BRANCHES = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match, ast.FunctionDef, ast.AsyncFunctionDef,
    ast.ClassDef,
)  # fmt: skip
_MAYBE = (
    ast.Lambda, ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Compare,
)  # fmt: skip


@record
class SelfConfigs:
    """What a method reads: `named` anywhere, and `needed`, of which it reads a key in any case, in order of the text."""

    named: frozenset[str] = frozenset()
    needed: tuple[str, ...] = ()


def self_configs(world: World, path: str, name: str) -> SelfConfigs:
    """The configs of a method that is the recipe's own; nothing where it cannot be read.

    A config that a class of the recipe puts there itself is not among those that are needed.
    """
    reading = reader(world)
    method = reading.method(path, name)
    body = reading.body(method.module, method.function) if method is not None and method.module.local else None
    if body is None or not body.args.args:
        return SelfConfigs()
    own = body.args.args[0].arg
    named = frozenset(_name(each, own) for each in ast.walk(body)) - {""}
    set_here = _set_by_classes(world, path)
    if set_here is None:
        return SelfConfigs(named)
    needed = (each for statement in _surely(body.body) for each in _read(statement, own))
    return SelfConfigs(named, tuple(dict.fromkeys(each for each in needed if each not in set_here)))


def _surely(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are run in any case, up to the first that may end the method."""
    for statement in statements:
        if isinstance(statement, ast.With | ast.AsyncWith):
            # What it opens may keep errors back, so what is behind it is as sure as what is in it.
            yield from (ast.Expr(each.context_expr) for each in statement.items)
            return
        if isinstance(statement, _BRANCHES):
            ends = (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)
            if any(isinstance(each, ends) for each in ast.walk(statement)):
                return
            continue
        yield statement
        if isinstance(statement, ast.Return | ast.Raise):
            return


def _read(node: ast.AST, own: str) -> Iterator[str]:
    """The configs of which a statement reads a key, whatever else is so."""
    if isinstance(node, _MAYBE):
        return
    if isinstance(node, ast.Attribute | ast.Subscript):
        name = _name(node.value, own)
        if name:
            yield name
    for child in ast.iter_child_nodes(node):
        yield from _read(child, own)


def _name(node: ast.AST, own: str) -> str:
    """`training` for `self.training_config`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == own:
        match = _CONFIG.fullmatch(node.attr)
        return match.group(1) if match is not None else ""
    return ""


def _set_by_classes(world: World, path: str) -> frozenset[str] | None:
    """The configs that the classes of the recipe put there themselves; None where that cannot be known."""
    reading = reader(world)
    found: set[str] = set()
    for owner in reading.bases(path).paths:
        module = reading.find(owner).module
        if module is None or not module.local:
            continue
        source = world.source(module)
        if source is None or "setattr(" in source.text or "__dict__" in source.text or "__getattr" in source.text:
            return None
        # A property, and what is assigned but for `self.export_config = export_config`, which hands on what is given.
        found.update(re.findall(r"\bdef (\w+)_config\(self\)", source.text))
        for name, value in re.findall(r"\.(\w+)_config\b[^\n=.()]*=(?!=)\s*(\w*)", source.text):
            if value != f"{name}_config":
                found.add(name)
    return frozenset(found)
