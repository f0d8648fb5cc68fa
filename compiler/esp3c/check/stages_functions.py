"""Stages: what the functions and methods of the recipe read of the configs that they are given."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, Config, LinkNode, MapNode, Node, PythonNode, Recipe, Stage, at, strip
from esp3c.python.find import Status
from esp3c.python.model import Function
from esp3c.python.reader import Reader, reader
from esp3c.schema.blocks import CONFIGS, OWN, SCAFFOLD_NAMES
from esp3c.source import Span
from esp3c.suggest import did_you_mean
from esp3c.world import Module, World

_TOLERANT = frozenset({"get", "pop", "setdefault", "keys", "items", "values", "copy", "update"})


@explained("ESP0610", "a stage reads a key that its config does not have")
@needs_whole_file
def function_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The function that a stage runs, or a method of the recipe's own System, reads a key that is not in the config.

        config export { path = "model.onnx" }            # and `export_config.opset` in the function
        stages { export_onnx requires export runs src.stages.export_onnx }

    Only keys of one's own are looked at; a key that the function asks for with `get`, or looks for first, may be absent.
    """
    reading = reader(world)
    for stage in recipe.stages:
        told: set[tuple[str, ...]] = set()
        for config, keys, label in _reads(recipe, stage, reading):
            missing = _missing(config, keys)
            if missing is None or keys[:missing] in told:
                continue
            told.add(keys[: missing + 1])
            block, span = _block(config, keys[:missing])
            name = keys[missing]
            near = did_you_mean(name, [entry.name for entry in block.entries])
            yield Diagnostic(
                code_of(function_key),
                f"stage `{stage.name}` reads `{config.name}.{'.'.join(keys[: missing + 1])}`, which is not set",
                Label(span, near or "missing in this block"),
                secondary=(Label(stage.name_span, "this stage reads it"), *((label,) if label is not None else ())),
            )


def _reads(recipe: Recipe, stage: Stage, reading: Reader) -> Iterator[tuple[Config, tuple[str, ...], Label | None]]:
    """The keys of each config that a stage's own Python reads, with the place in the Python."""
    if isinstance(stage.runs, PythonNode):
        found = reading.find(stage.runs.target.path)
        if (
            stage.runs.target.status is not Status.FOUND
            or not isinstance(found.definition, Function)
            or found.module is None
        ):
            return
        function, module = found.definition, found.module
        names = [each.name for each in function.parameters if each.kind in {"plain", "positional"}]
        roots: dict[tuple[str, ...], str] = {
            (name,): use.name for name, use in zip(names, stage.requires, strict=False)
        }
    elif stage.runs is None and stage.workload is None and recipe.system is not None:
        method = reading.method(recipe.system.path, stage.name)
        if method is None or not method.module.local:
            return
        function, module = method.function, method.module
        roots = {("self", f"{name}_config"): name for name in recipe.configs}
    else:
        return
    for keys, config, node in _chains(reading, module, function, roots):
        if config in recipe.configs:
            span = reading.span(module, node.lineno, node.col_offset, (node.end_col_offset or 0) - node.col_offset)
            yield recipe.configs[config], keys, Label(span, "read here") if span is not None else None


def _chains(
    reading: Reader, module: Module, function: Function, roots: dict[tuple[str, ...], str]
) -> Iterator[tuple[tuple[str, ...], str, ast.expr]]:
    """`config.a.b` and `config["a"]` in a function, where nothing in it asks first whether they are there."""
    body = reading.body(module, function)
    if body is None:
        return
    asked = {each.value for each in ast.walk(body) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    bound = [each.id for each in ast.walk(body) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    stood_for = _stood_for(body, bound)
    stored = set(bound) - set(stood_for)
    called = {id(each.func) for each in ast.walk(body) if isinstance(each, ast.Call)}
    guarded = {id(inner) for each in ast.walk(body) if isinstance(each, ast.Try) for inner in ast.walk(each)}
    for node in ast.walk(body):
        if (
            not isinstance(node, ast.Attribute | ast.Subscript)
            or not isinstance(node.ctx, ast.Load)
            or id(node) in guarded
        ):
            continue
        parts = _parts(node)
        if parts is None or parts[0] in stored:
            continue
        while parts[0] in stood_for:
            parts = (*stood_for[parts[0]], *parts[1:])
        if id(node) in called:
            parts = parts[:-1]
        for root, config in roots.items():
            keys = parts[len(root) :]
            by_item = isinstance(node, ast.Subscript)
            if parts[: len(root)] == root and keys and not set(keys) & _TOLERANT and (by_item or not set(keys) & asked):
                yield keys, config, node


def _stood_for(body: ast.FunctionDef | ast.AsyncFunctionDef, bound: list[str]) -> dict[str, tuple[str, ...]]:
    """`settings = self.training_config.export`: names that are given once, to a part of a config."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in body.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute() | ast.Subscript() as value):
                parts = _parts(value)
                if bound.count(name) == 1 and parts is not None and parts[0] != name:
                    found[name] = parts
    return found


def _parts(node: ast.expr) -> tuple[str, ...] | None:
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=value, attr=attr):
            inner = _parts(value)
            return (*inner, attr) if inner is not None else None
        case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
            inner = _parts(value)
            return (*inner, key) if inner is not None else None
        case _:
            return None


def _missing(config: Config, keys: tuple[str, ...]) -> int | None:
    """Which of the keys is the first that is surely not there."""
    block = CONFIGS.get(config.kind, OWN)
    if keys[0] in SCAFFOLD_NAMES or block.key(keys[0]) is not None:
        return None
    node: Node | None = config.root
    for position, key in enumerate(keys):
        node = strip(node) if node is not None else None
        if isinstance(node, LinkNode) and not node.scaffold:
            target = at(config.root, node.place)
            node = strip(target) if target is not None else None
        inside = node.arguments if isinstance(node, CallNode) else node
        if not isinstance(inside, MapNode):
            return None
        node = inside.get(key)
        if node is None:
            # `self.training_config.name`, of a well-known config: ESPnet3 may bring a default that is not known here.
            return position if position or not config.kind else None
    return None


def _block(config: Config, keys: tuple[str, ...]) -> tuple[MapNode, Span]:
    block, span = config.root, config.name_span
    for key in keys:
        entry = next((each for each in block.entries if each.name == key), None)
        inner = strip(entry.value) if entry is not None else None
        inside = inner.arguments if isinstance(inner, CallNode) else inner
        if entry is None or not isinstance(inside, MapNode):
            break
        block, span = inside, entry.key_span
    return block, span
