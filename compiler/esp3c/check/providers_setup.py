"""Providers: the mistakes in how an environment is built that ESPnet3's guide to parallel work warns of.

`build_env_local` gives a dict; `build_worker_setup_fn` a function without arguments that gives one, on each worker.
"""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.flow_base import listed
from esp3c.check.flow_functions import label_at, node_place, outcome_of
from esp3c.check.flow_steps import class_place, no_dict, said
from esp3c.check.providers_pairs import (
    judged,
    own_method,
    providers,
    returned_at,
    worker_outcome,
)
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import Recipe
from esp3c.python.body_values import Dict, Local
from esp3c.python.reader import reader
from esp3c.schema.contracts import (
    ENVIRONMENT_PROVIDER,
)
from esp3c.world import World


@explained("ESP0707", "a setup that is no function")
def setup_function(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`build_worker_setup_fn` returns the environment itself, or nothing, instead of a function that builds it.

        def build_worker_setup_fn(self):
            return {"dataset": …, "model": …}

    The function is sent to the workers, and each builds its own environment with it:

        def build_worker_setup_fn(self):
            config = self.config
            def setup():
                return {"dataset": build_dataset(config), "model": build_model(config)}
            return setup
    """
    reading = reader(world)
    for provider in providers(recipe, reading):
        target = own_method(reading, provider.path, "build_worker_setup_fn")
        outcome = outcome_of(reading, target, {}) if target is not None else None
        if target is None or outcome is None or outcome.why or not outcome.returned:
            continue
        if all(isinstance(each.value, Dict) or no_dict(each.value) for each in outcome.returned):
            value = outcome.returned[0].value
            what = "the environment itself" if isinstance(value, Dict) else said(value)
            yield Diagnostic(
                code_of(setup_function),
                f"`{target.name}` returns {what}; it must return a function that builds the environment",
                Label(provider.span, "each worker builds its own environment with that function"),
                returned_at(
                    reading,
                    target,
                    outcome,
                    "put this into `def setup():` and return `setup`"
                    if isinstance(value, Dict)
                    else "return a function",
                ),
            )


@explained("ESP0708", "a setup function that takes arguments")
def setup_parameters(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The function that `build_worker_setup_fn` returns has parameters.

        def setup(config):
            return {"model": build_model(config)}
        return setup

    It is called without arguments, on a worker. What it needs, it takes from the function around it:
    `config = self.config` before `def setup():`.
    """
    reading = reader(world)
    for provider in providers(recipe, reading):
        target = own_method(reading, provider.path, "build_worker_setup_fn")
        outcome = outcome_of(reading, target, {}) if target is not None else None
        for each in outcome.returned if outcome is not None else ():
            if target is None or not isinstance(each.value, Local):
                continue
            arguments = each.value.node.args
            positional = [*arguments.posonlyargs, *arguments.args]
            needed = positional[: len(positional) - len(arguments.defaults)]
            needed += [a for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None]
            if needed:
                yield Diagnostic(
                    code_of(setup_parameters),
                    f"the function that `{target.name}` returns is called without arguments, but it needs "
                    + listed(argument.arg for argument in needed),
                    Label(provider.span, "a worker calls it"),
                    label_at(node_place(reading, target.module, needed[0]), "take this from the function around it"),
                )
                break


@explained("ESP0709", "an environment that is no dict")
def env_result(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`build_env_local`, or the function that `build_worker_setup_fn` returns, gives something other than a dict.

        def build_env_local(self):
            return build_dataset(self.config), build_model(self.config)

    An environment is a dict of names and objects: its names are the parameters of `forward`.
    """
    reading = reader(world)
    for provider in providers(recipe, reading):
        local = own_method(reading, provider.path, "build_env_local")
        setup = own_method(reading, provider.path, "build_worker_setup_fn")
        worker = worker_outcome(reading, setup) if setup is not None else None
        for target, outcome, name in (
            (local, outcome_of(reading, local, {}) if local is not None else None, "`{}`"),
            (setup, worker, "the function that `{}` returns"),
        ):
            if target is None or outcome is None or outcome.why or not outcome.returned:
                continue
            values = [each.value for each in outcome.returned]
            if all(no_dict(each) or isinstance(each, Local) for each in values):
                what = "a function" if isinstance(values[0], Local) else said(values[0])
                yield Diagnostic(
                    code_of(env_result),
                    f"{name.format(target.name)} gives {what}; an environment is a dict of names and objects",
                    Label(provider.span, "its names are the parameters of `forward`"),
                    returned_at(reading, target, outcome, "a dict is wanted"),
                )


@explained("ESP0715", "a provider that is no provider")
def wrong_provider(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The class behind `provider` does not extend `EnvironmentProvider`, and has no `build_env_local` either.

        inference { provider = src.inference.Recognizer() }

    Extend `espnet3.parallel.env_provider.EnvironmentProvider`, or for inference
    `espnet3.systems.base.inference_provider.InferenceProvider`.
    """
    reading = reader(world)
    for provider in providers(recipe, reading):
        if not judged(reading, provider.path) or reading.method(provider.path, "build_env_local") is not None:
            continue
        if reading.is_a(provider.path, (ENVIRONMENT_PROVIDER,)) is False:
            yield Diagnostic(
                code_of(wrong_provider),
                f"`{provider.name}` is no provider: it does not extend `EnvironmentProvider`",
                Label(provider.span, "an EnvironmentProvider is wanted here"),
                label_at(class_place(reading, provider.path), "this class"),
            )


SETUP_RULES = (setup_function, setup_parameters, env_result, wrong_provider)
