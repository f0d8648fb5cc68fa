"""Runners: the mistakes in a `forward` that ESPnet3's guide to parallel work warns of.

A runner's static `forward` is called for each item, and gets what the provider's environment holds by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow_base import listed
from esp3c.check.flow_functions import Target, label_at, node_place, outcome_of, parameter_place, place_of
from esp3c.check.flow_steps import class_place
from esp3c.check.providers_bodies import built_model, free_self
from esp3c.check.providers_pairs import (
    Pair,
    Part,
    body_of,
    environment,
    judged,
    own_method,
    pairs,
    runners,
)
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Recipe
from esp3c.python.reader import Reader, reader
from esp3c.schema.contracts import (
    BASE_RUNNER,
    HOOKS,
    RUNNER_ENV,
    STATE_HOOKS,
)
from esp3c.suggest import did_you_mean
from esp3c.world import World


@explained("ESP0701", "a `forward` that is no static method")
def forward_not_static(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner's `forward` is an ordinary method.

        class LabelRunner(BaseRunner):
            def forward(self, idx, dataset, model, **env): …

    It runs on workers, where the runner itself does not exist. Write `@staticmethod` above it, drop `self`, and take what it
    needs from the provider's environment, by name.
    """
    reading = reader(world)
    for _, runner in runners(recipe, reading):
        target = own_method(reading, runner.path, "forward")
        if target is not None and not target.function.static:
            yield Diagnostic(
                code_of(forward_not_static),
                f"`{target.name}` must be a `@staticmethod`",
                Label(runner.span, "it runs where this object does not exist"),
                label_at(place_of(reading, target), "write `@staticmethod` above, and no `self`"),
            )


@explained("ESP0702", "a static `forward` that uses `self`")
def forward_self(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A static method of a runner or a provider uses `self`, which it does not have.

    In `forward` the first parameter is the item, whatever its name.

        @staticmethod
        def forward(idx, dataset, **env):
            return self.model(dataset[idx])

    Take what it needs from the provider's environment: `def forward(idx, dataset, model, **env)`.
    """
    reading = reader(world)
    for _, runner in runners(recipe, reading):
        target = own_method(reading, runner.path, "forward")
        if target is None or not target.function.static:
            continue
        first = target.parameters[0] if target.parameters else None
        if first is not None and first.name in {"self", "cls"}:
            yield Diagnostic(
                code_of(forward_self),
                f"the first parameter of `{target.name}` is the item to work on; here it is `{first.name}`",
                Label(runner.span, "a static method has no object"),
                label_at(parameter_place(reading, target, first), "leave it out"),
            )
            continue
    for part, names in _parts(recipe, reading):
        for name in names:
            target = own_method(reading, part.path, name)
            node = body_of(reading, target) if target is not None and target.function.static else None
            used = free_self(node) if node is not None else None
            if target is None or used is None:
                continue
            if target.parameters and target.parameters[0].name == "self":
                continue
            advice = (
                "leave out `@staticmethod`, and write `self` first"
                if name == "merge"
                else "take this from the environment, by name"
            )
            yield Diagnostic(
                code_of(forward_self),
                f"`{target.name}` is static, and uses `self`",
                Label(part.span, "a static method has no object"),
                label_at(node_place(reading, target.module, used), advice),
            )


def _parts(recipe: Recipe, reading: Reader) -> Iterator[tuple[Part, tuple[str, ...]]]:
    """Runners and providers, with the methods of theirs that may be static."""
    for pair, runner in runners(recipe, reading):
        yield runner, ("forward", "merge", *HOOKS)
        if pair.provider is not None and pair.provider.path:
            yield pair.provider, ("build_dataset", "build_model")


@explained("ESP0703", "a `forward` that takes no item")
def forward_item(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner's `forward` has no parameter for the item.

        @staticmethod
        def forward(**env): …

    It is called with the number of the item (or with a list of numbers, where the runner has a `batch_size`) first.
    """
    reading = reader(world)
    for _, runner in runners(recipe, reading):
        target = own_method(reading, runner.path, "forward")
        if target is not None and target.function.static and not target.positional and not target.has("args"):
            yield Diagnostic(
                code_of(forward_item),
                f"`{target.name}` takes no item",
                Label(runner.span, "each item is handed to it first"),
                label_at(place_of(reading, target), "its first parameter is `idx`"),
            )


@needs_whole_file
@explained("ESP0704", "a parameter that the environment does not have")
def env_names(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`forward`, or another function of a runner, has a parameter that the provider's environment has no key for.

        return {"ds": dataset, "net": model}                # the provider
        def forward(idx, dataset, model, **env): …          # the runner

    The environment is injected by name. Use the same names, or give the parameter a default.
    """
    reading = reader(world)
    for pair, runner in runners(recipe, reading):
        env = environment(reading, pair)
        if env is None or not env.closed:
            continue
        for name, given in {"forward": ("idx",), **HOOKS}.items():
            target = own_method(reading, runner.path, name)
            if target is None or (name == "forward" and not _takes_item(target)):
                continue
            known = {*env.names, *(RUNNER_ENV if name in STATE_HOOKS else ())}
            named = [each for each in target.parameters[len(given) :] if each.kind in {"plain", "keyword"}]
            absent = [each for each in named if each.default is None and each.name not in known]
            if not absent:
                continue
            names = [each.name for each in absent]
            unused = [each for each in env.names if each not in target.named]
            yield Diagnostic(
                code_of(env_names),
                f"`{target.name}` needs {listed(names)}, but {env.who} {listed(env.names)}",
                Label(runner.span, did_you_mean(names[0], unused) or "the environment is injected by name"),
                (
                    *label_at(parameter_place(reading, target, absent[0]), "this parameter"),
                    *((Label(pair.provider.span, "its provider"),) if pair.provider is not None else ()),
                    *_env_place(reading, pair),
                ),
            )
            break


def _takes_item(target: Target) -> bool:
    """Whether a `forward` is as it should be, up to its names: what else is wrong with it is said elsewhere."""
    first = target.parameters[0].name if target.parameters else ""
    return target.function.static and first not in {"", "self", "cls"}


def _env_place(reading: Reader, pair: Pair) -> tuple[Label, ...]:
    if pair.provider is None:
        return ()
    for name in ("build_env_local", "build_worker_setup_fn"):
        target = own_method(reading, pair.provider.path, name)
        if target is not None:
            outcome = outcome_of(reading, target, {})
            node = outcome.returned[0].node if len(outcome.returned) == 1 and name == "build_env_local" else None
            place = node_place(reading, target.module, node) if node is not None else None
            return label_at(place or place_of(reading, target), "the environment is made here")
    return ()


@needs_whole_file
@explained("ESP0705", "an environment with the name of a parameter that the runner gives itself")
def env_clash(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The provider's environment has a key that `forward` gets from the runner already.

        return {"idx": 0, "model": model}                   # the provider
        def forward(idx, model, **env): …                   # the runner

    With `**env` in its signature `forward` is handed all of the environment. Give the key another name.
    """
    reading = reader(world)
    for pair, runner in runners(recipe, reading):
        env = environment(reading, pair)
        target = own_method(reading, runner.path, "forward")
        if env is None or target is None or not target.function.static or not target.has("kwargs"):
            continue
        first = target.positional[0] if target.positional else None
        if first is not None and first.kind == "plain" and first.name in env.names:
            yield Diagnostic(
                code_of(env_clash),
                f"the environment has the key `{first.name}`, which `{target.name}` is given by the runner itself",
                Label(pair.provider.span if pair.provider is not None else runner.span, "give the key another name"),
                (*label_at(parameter_place(reading, target, first), "the item"), *_env_place(reading, pair)),
            )


@explained("ESP0706", "a model that is built for every item", Severity.WARNING)
def model_in_forward(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`forward` loads a checkpoint or makes a model, which it then does for every item.

        @staticmethod
        def forward(idx, dataset, checkpoint, **env):
            model = Recogniser.load_from_checkpoint(checkpoint)
            return model(dataset[idx])

    Build it in the provider: it is made once a process there, and handed to `forward` as `model`.
    """
    reading = reader(world)
    for _, runner in runners(recipe, reading):
        target = own_method(reading, runner.path, "forward")
        node = body_of(reading, target) if target is not None else None
        found = built_model(reading, target, node) if target is not None and node is not None else None
        if target is not None and found is not None:
            yield Diagnostic(
                code_of(model_in_forward),
                f"`{target.name}` builds what the provider should build once: {found[1]}",
                Label(runner.span, "its `forward` runs for each item"),
                label_at(node_place(reading, target.module, found[0]), "build this in the provider"),
            )


@explained("ESP0714", "a runner that is no runner")
def wrong_runner(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The class behind `runner` does not extend `espnet3.parallel.base_runner.BaseRunner`.

        inference { runner = src.inference.Recognizer() }

    For the stage `infer` extend `espnet3.systems.base.inference_runner.InferenceRunner`, which writes the SCP files; for
    other work `BaseRunner`.
    """
    reading = reader(world)
    for pair in pairs(recipe, reading):
        runner = pair.runner
        if runner is None or not runner.path or not judged(reading, runner.path):
            continue
        callable_itself = not pair.inference and reading.method(runner.path, "__call__") is not None
        if reading.is_a(runner.path, (BASE_RUNNER,)) is False and not callable_itself:
            yield Diagnostic(
                code_of(wrong_runner),
                f"`{runner.name}` is no runner: it does not extend `BaseRunner`",
                Label(runner.span, "a BaseRunner is wanted here"),
                label_at(class_place(reading, runner.path), "this class"),
            )


FORWARD_RULES = (forward_not_static, forward_self, forward_item, env_names, env_clash, model_in_forward, wrong_runner)
