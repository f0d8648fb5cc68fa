"""What the methods of runners and providers give back, and an `__init__` that leaves out the one above it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from esp3c.check.flow_functions import Target, label_at, outcome_of, place_of
from esp3c.check.providers_pairs import Part, own_method, pairs, providers, runners
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import Recipe
from esp3c.python.body_values import Kind, Leaf
from esp3c.python.reader import Reader, reader
from esp3c.schema.contracts import BASE_RUNNER, ENVIRONMENT_PROVIDER
from esp3c.world import World


@explained("ESP0720", "an `__init__` that leaves out the one above")
def init_alone(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner or a provider has its own `__init__`, which never calls the one of espnet3.

        class LabelRunner(BaseRunner):
            def __init__(self, provider, beam = 4):
                self.beam = beam

    The runner then has no provider, and the provider no config. Begin with `super().__init__(provider)`, or hand on all that
    it takes: `def __init__(self, provider, beam = 4, **rest): super().__init__(provider, **rest)`.
    """
    reading = reader(world)
    for part, root, kept in _parts(recipe, reading):
        target = own_method(reading, part.path, "__init__")
        node = reading.body(target.module, target.function) if target is not None and target.owner != root else None
        if target is not None and node is not None and not _reaches(node, kept):
            yield Diagnostic(
                code_of(init_alone),
                f"`{target.name}` does not call `super().__init__`, so there is no `self.{kept}`",
                Label(part.span, "it cannot work without it"),
                label_at(place_of(reading, target), f"call `super().__init__({kept})`"),
            )


def _parts(recipe: Recipe, reading: Reader) -> Iterator[tuple[Part, str, str]]:
    for pair in pairs(recipe, reading):
        for part, root, kept in (
            (pair.runner, BASE_RUNNER, "provider"),
            (pair.provider, ENVIRONMENT_PROVIDER, "config"),
        ):
            if part is not None and part.path and reading.is_a(part.path, (root,)):
                yield part, root, kept


def _reaches(node: ast.AST, kept: str) -> bool:
    """Whether a body calls the `__init__` above, keeps what that keeps, or does what is not followed here."""
    for each in ast.walk(node):
        match each:
            case ast.Attribute(attr="__init__" | "__dict__" | "__setattr__"):
                return True
            case ast.Attribute(attr=name, ctx=ast.Store()) if name == kept:
                return True
            case ast.Call(func=ast.Name(id="setattr" | "vars")):
                return True
            case ast.Call(args=args) if any(isinstance(value, ast.Name) and value.id == "self" for value in args):
                return True
            case _:
                continue
    return False


@explained("ESP0721", "a method that gives nothing that can be used")
def no_result(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`forward`, `open_writers`, `build_dataset` or `build_model` gives back nothing, or `forward` is a coroutine or a generator.

        @staticmethod
        def open_writers(shard_dir, **env):
            {"text": (shard_dir / "text").open("w")}        # no `return`

    Each is used by what comes next: the result by `write_record`, the writers too, dataset and model by `forward`.
    """
    reading = reader(world)
    for _, runner in runners(recipe, reading):
        writes = own_method(reading, runner.path, "write_record")
        for name, number in (("forward", 1), ("open_writers", 0)):
            target = own_method(reading, runner.path, name)
            fault = _fault(reading, target, looks=name == "forward") if target is not None else ""
            if target is not None and fault == "nothing" and (writes is None or not _uses(reading, writes, number)):
                # Work that only has effects, and no writer that asks for more.
                fault = ""
            if target is not None and fault:
                yield _said(reading, runner, target, fault, "what it gives is what `write_record` gets")
    for provider in providers(recipe, reading):
        for name in ("build_dataset", "build_model"):
            target = own_method(reading, provider.path, name)
            fault = _fault(reading, target, looks=False) if target is not None else ""
            if target is not None and fault and reading.is_a(provider.path, (ENVIRONMENT_PROVIDER,)):
                yield _said(reading, provider, target, fault, "`forward` gets what it returns")


def _said(reading: Reader, part: Part, target: Target, fault: str, why: str) -> Diagnostic:
    message = {
        "nothing": f"`{target.name}` returns nothing",
        "coroutine": f"`{target.name}` is a coroutine, which nothing waits for",
        "generator": f"`{target.name}` is a generator, whose body does not run when it is called",
    }[fault]
    advice = "add `return`" if fault == "nothing" else "make it a plain function that returns its result"
    return Diagnostic(code_of(no_result), message, Label(part.span, why), label_at(place_of(reading, target), advice))


def _fault(reading: Reader, target: Target, *, looks: bool) -> str:
    node = reading.body(target.module, target.function)
    if looks and isinstance(node, ast.AsyncFunctionDef):
        return "coroutine"
    outcome = outcome_of(reading, target, {})
    if looks and outcome.why == "it is a generator" and not _consumed(reading, target):
        return "generator"
    if outcome.why or not outcome.returned or target.function.empty:
        return ""
    return "nothing" if all(each.value == Leaf(Kind.NONE) for each in outcome.returned) else ""


def _consumed(reading: Reader, target: Target) -> bool:
    """Whether hooks of the class's own may walk over what a generator gives."""
    return any(
        own_method(reading, target.cls, name) is not None for name in ("write_record", "reduce_state", "__call__")
    )


def _uses(reading: Reader, target: Target, number: int) -> bool:
    """Whether a hook surely takes its parameter of this number for something: `writers["text"]`, `for each in result`."""
    node = reading.body(target.module, target.function)
    if node is None or number >= len(target.positional):
        return False
    name = target.positional[number].name
    if any(isinstance(each, ast.Compare | ast.If | ast.IfExp | ast.BoolOp) for each in ast.walk(node)):
        return False
    for each in ast.walk(node):
        match each:
            case ast.Subscript(value=ast.Name(id=used)) | ast.Attribute(value=ast.Name(id=used)) if used == name:
                return True
            case ast.For(iter=ast.Name(id=used)) if used == name:
                return True
            case _:
                continue
    return False


RESULT_RULES = (init_alone, no_result)
