"""Stages: what the functions and methods of the recipe read of the configs that they are given."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import permutations

from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, Config, LinkNode, MapNode, Node, PythonNode, Recipe, Stage, Use, at, strip
from esp3c.python.find import Status
from esp3c.python.model import Function
from esp3c.python.reader import Found, Reader, reader
from esp3c.record import changed
from esp3c.schema.blocks import CONFIGS, OWN, SCAFFOLD_NAMES
from esp3c.source import Span
from esp3c.suggest import all_of, did_you_mean
from esp3c.world import Module, World

MOST_SWAPPED = 4
"""Of how many configs every order is tried."""

DEEPEST = 3
"""How many functions deep a config is followed that is handed on."""

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
        better = _better_order(recipe, stage, reading)
        if better is not None:
            yield Diagnostic(
                code_of(function_key),
                f"stage `{stage.name}` reads of each config what another one has",
                Label(stage.requires[0].span.to(stage.requires[-1].span), f"write `requires {', '.join(better)}`"),
                help=("the function gets its configs in the order of `requires`",),
            )
            continue
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


def _better_order(recipe: Recipe, stage: Stage, reading: Reader) -> tuple[str, ...] | None:
    """Another order of a stage's configs in which its function finds all that it reads, where this one has none of it."""
    given = tuple(use.name for use in stage.requires)
    if not 2 <= len(given) <= MOST_SWAPPED or _lacking(recipe, stage, reading, given) < 1:
        return None
    others = [each for each in permutations(given) if each != given and not _lacking(recipe, stage, reading, each)]
    return others[0] if len(others) == 1 else None


def _lacking(recipe: Recipe, stage: Stage, reading: Reader, order: tuple[str, ...]) -> int:
    swapped = changed(stage, requires=tuple(Use(name, stage.name_span) for name in order))
    return sum(_missing(config, keys) is not None for config, keys, _ in _reads(recipe, swapped, reading))


def keys_read(recipe: Recipe, world: World, config: str) -> Iterator[tuple[str, ...]]:
    """The keys that the recipe's own functions and methods read of a config, each with those on the way to it."""
    reading = reader(world)
    for stage in recipe.stages:
        for read, keys, _ in _reads(recipe, stage, reading):
            if read.name == config:
                yield keys


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
    made = {each.name for each in recipe.stages if each.workload is not None}
    question = ("reads", module.place, function.line, function.name, *sorted(roots.items()))
    for keys, config, node, where in reading.once(
        question, lambda: tuple(_followed(reading, module, function, roots, 0))
    ):
        if config in recipe.configs and keys[0] not in made:
            span = reading.span(where, node.lineno, node.col_offset, (node.end_col_offset or 0) - node.col_offset)
            yield recipe.configs[config], keys, Label(span, "read here") if span is not None else None


def _followed(
    reading: Reader, module: Module, function: Function, roots: dict[tuple[str, ...], str], depth: int
) -> Iterator[tuple[tuple[str, ...], str, ast.expr, Module]]:
    """What a function reads of its configs, and what the functions read that it hands them on to, whole."""
    for keys, config, node in _chains(reading, module, function, roots):
        yield keys, config, node, module
    body = reading.body(module, function) if depth < DEEPEST else None
    if body is None:
        return
    for call in ast.walk(body):
        if not isinstance(call, ast.Call):
            continue
        handed = [(position, _parts(each)) for position, each in enumerate(call.args)]
        named = [(each.arg, _parts(each.value)) for each in call.keywords if each.arg]
        if not any(parts in roots for _, parts in (*handed, *named)):
            continue
        found = _called(reading, module, body, call.func)
        if found is None:
            continue
        inner_module, inner = found
        names = [each.name for each in inner.parameters if each.kind in {"plain", "positional"}]
        inside: dict[tuple[str, ...], str] = {}
        for position, parts in handed:
            if parts in roots and position < len(names):
                inside[(names[position],)] = roots[parts]
        for name, parts in named:
            if parts in roots and name is not None:
                inside[(name,)] = roots[parts]
        yield from _followed(reading, inner_module, inner, inside, depth + 1)


def _called(
    reading: Reader, module: Module, body: ast.FunctionDef | ast.AsyncFunctionDef, callee: ast.expr
) -> tuple[Module, Function] | None:
    """The function of the recipe's own that a call in a function means, also where it is imported inside."""
    parts = _parts(callee)
    if parts is None or parts[0] == "self":
        return None
    path = ".".join(parts)
    for each in ast.walk(body):
        if isinstance(each, ast.ImportFrom) and not each.level and each.module:
            for alias in each.names:
                if (alias.asname or alias.name) == parts[0]:
                    return _own(reading.find(".".join((each.module, alias.name, *parts[1:]))))
    return _own(reading.resolve(module, path))


def _own(found: Found) -> tuple[Module, Function] | None:
    """A function of the recipe's own Python."""
    if not isinstance(found.definition, Function) or found.module is None or not found.module.local or found.owner:
        return None
    return found.module, found.definition


def _chains(
    reading: Reader, module: Module, function: Function, roots: dict[tuple[str, ...], str]
) -> Iterator[tuple[tuple[str, ...], str, ast.expr]]:
    """`config.a.b` and `config["a"]` in a function, where nothing in it asks first whether they are there."""
    body = reading.body(module, function)
    if body is None:
        return
    asked = set(_asked_for(body))
    bound = [each.id for each in ast.walk(body) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    stood_for = _stood_for(body, bound)
    stored = set(bound) - set(stood_for)
    called = {id(each.func) for each in ast.walk(body) if isinstance(each, ast.Call)}
    guarded = {id(inner) for each in ast.walk(body) if isinstance(each, ast.Try) for inner in ast.walk(each)}
    written = _written(body)
    for node in ast.walk(body):
        if (
            not isinstance(node, ast.Attribute | ast.Subscript)
            or not isinstance(node.ctx, ast.Load)
            or id(node) in guarded
        ):
            continue
        parts = _parts(node)
        if parts is None or parts[0] in stored or any(parts[: len(each)] == each for each in written):
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


def _written(body: ast.FunctionDef | ast.AsyncFunctionDef) -> set[tuple[str, ...]]:
    """`config.export.made = 1`: the keys that a function sets itself."""
    set_here = (
        _parts(each)
        for each in ast.walk(body)
        if isinstance(each, ast.Attribute | ast.Subscript) and isinstance(each.ctx, ast.Store)
    )
    return {parts for parts in set_here if parts is not None}


def _asked_for(body: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The names that a function looks for before it reads them: `"dtype" in config`, `hasattr(config, "dtype")`."""
    for each in ast.walk(body):
        match each:
            case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()]):
                yield name
            case ast.Call(
                func=ast.Name(id="hasattr" | "getattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                yield name
            case ast.Call(
                func=ast.Attribute(attr="get" | "setdefault" | "pop"), args=[ast.Constant(value=str(name)), *_]
            ):
                yield name
            case _:
                continue


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
            return position
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


@explained("ESP0611", "a stage's method takes arguments")
def method_arguments(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage is a method of the recipe's own System, and takes more than `self`.

        class DigitsSystem(ASRSystem):
            def average_weights(self, count): ...

    Stages are called with nothing. What they need is in their configs: `self.training_config.average_weights.count`.
    """
    reading = reader(world)
    for stage in recipe.stages:
        if stage.runs is not None or stage.workload is not None or recipe.system is None:
            continue
        method = reading.method(recipe.system.path, stage.name)
        if method is None or not method.module.local:
            continue
        odd = _odd_method(reading, method.module, method.function)
        if odd:
            span = reading.span(method.module, method.function.line, method.function.column, len(stage.name))
            yield Diagnostic(
                code_of(method_arguments),
                f"stage `{stage.name}` cannot be run: {odd}",
                Label(stage.name_span, "a stage is a plain method that takes `self`"),
                secondary=(Label(span, "this method"),) if span is not None else (),
            )
            continue
        if method.function.decorators:
            continue
        needed = [
            each
            for each in method.function.parameters[1:]
            if each.default is None and each.kind in {"plain", "keyword"}
        ]
        if needed:
            first = needed[0]
            span = reading.span(method.module, first.line, first.column, len(first.name))
            yield Diagnostic(
                code_of(method_arguments),
                f"stage `{stage.name}` is called without arguments, and its method takes {all_of(each.name for each in needed)}",
                Label(stage.name_span, "a stage reads its settings from its configs"),
                secondary=(Label(span, "its parameter"),) if span is not None else (),
            )


def _odd_method(reading: Reader, module: Module, function: Function) -> str:
    """Why a method is none that a stage can be, or nothing."""
    first = function.parameters[0].name if function.parameters else ""
    if "property" in function.decorators:
        return "its method is a property"
    if function.static and first == "self":
        return "its method is static, and takes `self`"
    body = reading.body(module, function)
    if isinstance(body, ast.AsyncFunctionDef) and not function.decorators:
        return "its method is `async`, and nothing waits for it"
    return ""
