"""The runners and providers of a recipe, and the environment that a runner's functions will be given."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from esp3c.check.flow_base import follow, is_null
from esp3c.check.flow_functions import Target, label_at, method_of, node_place, outcome_of, place_of, scope_of
from esp3c.check.flow_made import made_by
from esp3c.check.providers_params import params_of
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, MapNode, Node, PythonNode, Recipe, strip
from esp3c.python.bodies import Outcome, interpret_local
from esp3c.python.body_values import Dict, Local, Value
from esp3c.python.model import Class
from esp3c.python.reader import Reader
from esp3c.record import field, record
from esp3c.schema.contracts import (
    BASE_RUNNER,
    INFER_PARAMS,
    INFERENCE_ENV,
    INFERENCE_OPTIONS,
    INFERENCE_PROVIDER,
    INFERENCE_RUNNER,
    PARALLEL_PROVIDER,
)
from esp3c.source import Span

OWN = frozenset({BASE_RUNNER, INFERENCE_RUNNER})
OWN_PROVIDERS = frozenset({INFERENCE_PROVIDER, PARALLEL_PROVIDER})


@record
class Part:
    """A runner or a provider: its class, and the settings that it is made with."""

    path: str
    span: Span
    settings: MapNode

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@record
class Pair:
    """A runner and the provider that it works with; one of them may be espnet3's own, which is None here.

    `inference`: the stage `infer` makes them; else `runner` and `provider` are a workload of a stage line.
    """

    runner: Part | None
    provider: Part | None
    inference: bool


@record
class Env:
    """The names that a provider gives, and what is known of its values. `who` begins a sentence; `closed`: no others."""

    names: tuple[str, ...]
    closed: bool
    who: str
    labels: tuple[Label, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)


def pairs(recipe: Recipe, reader: Reader) -> Iterator[Pair]:
    """Every runner and provider that the recipe names."""
    for config in recipe.configs.values():
        if config.kind == "inference":
            runner, provider = (_part(reader, config, config.root.get(key)) for key in ("runner", "provider"))
            if runner is not None or provider is not None:
                yield Pair(runner, provider, inference=True)
    for stage in recipe.stages:
        if stage.workload is not None:
            runner, provider = (_part(reader, None, stage.workload.get(key)) for key in ("runner", "provider"))
            if runner is not None or provider is not None:
                yield Pair(runner, provider, inference=False)


def _part(reader: Reader, config: Config | None, node: Node | None) -> Part | None:
    node = follow(config, node) if config is not None else strip(node) if node is not None else None
    if node is None or is_null(node):
        return None
    match node:
        case CallNode(partial=False):
            found = reader.find(made_by(reader, node.target.path) or node.target.path)
            span, settings = node.head, node.arguments
        case PythonNode():
            found = reader.find(node.target.path)
            span, settings = node.span, MapNode((), node.span)
        case _:
            return Part("", node.span, MapNode((), node.span))
    return Part(found.path if isinstance(found.definition, Class) else "", span, settings)


def judged(reader: Reader, path: str) -> bool:
    """Whether a class says anything: one of which every method is empty is a stand-in."""
    found = reader.find(path).definition
    return isinstance(found, Class) and (not found.methods or any(not each.empty for each in found.methods))


def own_method(reader: Reader, path: str, name: str) -> Target | None:
    """A method that a class of the recipe, and not espnet3, gives itself."""
    target = method_of(reader, path, name) if path else None
    return (
        target
        if target is not None and target.owner not in OWN | OWN_PROVIDERS and not target.function.abstract
        else None
    )


def environment(reader: Reader, pair: Pair) -> Env | None:
    """What the provider of a pair gives to its runner, where that is known."""
    runner, provider = pair.runner, pair.provider
    options: frozenset[str] = frozenset()
    if runner is not None:
        method = reader.method(runner.path, "options") if runner.path else None
        if method is not None and method.owner not in OWN:
            return None
        if method is not None and method.owner == INFERENCE_RUNNER:
            options = INFERENCE_OPTIONS
    if provider is None:
        names = sorted(INFERENCE_ENV | INFER_PARAMS | options)
        return Env(tuple(names), True, "espnet3's own provider gives") if pair.inference else None
    env = _given_by(reader, provider, pair)
    if env is None:
        return None
    return Env(tuple(dict.fromkeys((*env.names, *sorted(options)))), env.closed, env.who, env.labels, env.values)


def _given_by(reader: Reader, provider: Part, pair: Pair) -> Env | None:
    if not provider.path:
        return None
    local = method_of(reader, provider.path, "build_env_local")
    if local is None:
        return None
    if local.owner == PARALLEL_PROVIDER:
        setup = method_of(reader, provider.path, "build_worker_setup_fn")
        if setup is not None and setup.owner != PARALLEL_PROVIDER:
            return _env_of(provider, worker_outcome(reader, setup))
    if local.owner in OWN_PROVIDERS:
        params = params_of(reader, provider.path, provider.settings, inference=pair.inference, own=OWN_PROVIDERS)
        if params is None:
            return None
        names = (*sorted(INFERENCE_ENV), *(name for name in params.fields if name not in INFERENCE_ENV))
        return Env(names, params.closed, f"`{provider.name}` gives")
    setup = method_of(reader, provider.path, "build_worker_setup_fn")
    if setup is not None and _calls_setup(reader, local):
        return _env_of(provider, worker_outcome(reader, setup))
    return _env_of(provider, outcome_of(reader, local, {}))


def _calls_setup(reader: Reader, local: Target) -> bool:
    """Whether `build_env_local` is `return self.build_worker_setup_fn()()`."""
    node = body_of(reader, local)
    match node.body[-1] if node is not None else None:
        case ast.Return(
            value=ast.Call(
                func=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="build_worker_setup_fn"), args=[]),
                args=[],
            )
        ):
            return True
        case _:
            return False


def _env_of(provider: Part, outcome: Outcome | None) -> Env | None:
    value = outcome.value if outcome is not None else None
    if not isinstance(value, Dict):
        return None
    values = {name: entry.value for name, entry in value.fields.items()}
    return Env(tuple(value.fields), value.closed, f"`{provider.name}` gives", values=values)


def worker_outcome(reader: Reader, setup: Target) -> Outcome | None:
    """What the function does that `build_worker_setup_fn` returns; None where it is not one function of its own."""
    outcome = outcome_of(reader, setup, {})
    if outcome.why or len(outcome.returned) != 1 or not isinstance(outcome.returned[0].value, Local):
        return None
    return interpret_local(outcome.returned[0], scope_of(reader, setup))


def runners(recipe: Recipe, reading: Reader) -> Iterator[tuple[Pair, Part]]:
    for pair in pairs(recipe, reading):
        if pair.runner is not None and pair.runner.path and reading.is_a(pair.runner.path, (BASE_RUNNER,)):
            yield pair, pair.runner


def providers(recipe: Recipe, reading: Reader) -> Iterator[Part]:
    for pair in pairs(recipe, reading):
        if pair.provider is not None and pair.provider.path:
            yield pair.provider


def body_of(reading: Reader, target: Target) -> ast.FunctionDef | None:
    node = reading.body(target.module, target.function)
    return node if isinstance(node, ast.FunctionDef) else None


def returned_at(reading: Reader, target: Target, outcome: Outcome, text: str) -> tuple[Label, ...]:
    node = outcome.returned[0].node
    place = node_place(reading, target.module, node) if isinstance(node, ast.Return) else place_of(reading, target)
    return label_at(place, text)
