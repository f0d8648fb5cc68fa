"""Providers and runners: every mistake that ESPnet3's guide to parallel work warns of.

A runner's static `forward` is called for each item, and gets what the provider's environment holds by name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from esp3c.check.flow_base import listed
from esp3c.check.flow_functions import Target, label_at, node_place, outcome_of, parameter_place, place_of
from esp3c.check.flow_steps import class_place, no_dict, said
from esp3c.check.providers_bodies import built_model, free_self
from esp3c.check.providers_pairs import OWN, Pair, Part, environment, judged, own_method, pairs, worker_outcome
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Recipe, strip
from esp3c.python.bodies import Outcome
from esp3c.python.body_values import Dict, Kind, Leaf, Local
from esp3c.python.model import Class
from esp3c.python.reader import Reader, reader
from esp3c.schema.contracts import (
    BASE_RUNNER,
    ENVIRONMENT_PROVIDER,
    HOOKS,
    INFERENCE_RUNNER,
    RUNNER_ENV,
    STATE_HOOKS,
    WRITER_HOOKS,
)
from esp3c.suggest import did_you_mean
from esp3c.world import World


def _runners(recipe: Recipe, reading: Reader) -> Iterator[tuple[Pair, Part]]:
    for pair in pairs(recipe, reading):
        if pair.runner is not None and pair.runner.path and reading.is_a(pair.runner.path, (BASE_RUNNER,)):
            yield pair, pair.runner


def _providers(recipe: Recipe, reading: Reader) -> Iterator[Part]:
    for pair in pairs(recipe, reading):
        if pair.provider is not None and pair.provider.path:
            yield pair.provider


def _body(reading: Reader, target: Target) -> ast.FunctionDef | None:
    node = reading.body(target.module, target.function)
    return node if isinstance(node, ast.FunctionDef) else None


@explained("ESP0701", "a `forward` that is no static method")
def forward_not_static(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner's `forward` is an ordinary method.

        class LabelRunner(BaseRunner):
            def forward(self, idx, dataset, model, **env): …

    It runs on workers, where the runner itself does not exist. Write `@staticmethod` above it, drop `self`, and take what it
    needs from the provider's environment, by name.
    """
    reading = reader(world)
    for _, runner in _runners(recipe, reading):
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
    """A static `forward` names `self`: as its first parameter, which is the item, or in its body, where there is none.

        @staticmethod
        def forward(idx, dataset, **env):
            return self.model(dataset[idx])

    Take what it needs from the provider's environment: `def forward(idx, dataset, model, **env)`.
    """
    reading = reader(world)
    for _, runner in _runners(recipe, reading):
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
        node = _body(reading, target)
        used = free_self(node) if node is not None else None
        if used is not None:
            yield Diagnostic(
                code_of(forward_self),
                f"`{target.name}` is static, and uses `self`",
                Label(runner.span, "a static method has no object"),
                label_at(node_place(reading, target.module, used), "take this from the environment, by name"),
            )


@explained("ESP0703", "a `forward` that takes no item")
def forward_item(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner's `forward` has no parameter for the item.

        @staticmethod
        def forward(**env): …

    It is called with the number of the item (or with a list of numbers, where the runner has a `batch_size`) first.
    """
    reading = reader(world)
    for _, runner in _runners(recipe, reading):
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
    for pair, runner in _runners(recipe, reading):
        env = environment(reading, pair)
        if env is None or not env.closed:
            continue
        for name, given in {"forward": 1, **HOOKS}.items():
            target = own_method(reading, runner.path, name)
            if target is None or (name == "forward" and not target.function.static):
                continue
            known = {*env.names, *(RUNNER_ENV if name in STATE_HOOKS else ())}
            named = [each for each in target.parameters[given:] if each.kind in {"plain", "keyword"}]
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
    for pair, runner in _runners(recipe, reading):
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
    for _, runner in _runners(recipe, reading):
        target = own_method(reading, runner.path, "forward")
        node = _body(reading, target) if target is not None else None
        found = built_model(reading, target, node) if target is not None and node is not None else None
        if target is not None and found is not None:
            yield Diagnostic(
                code_of(model_in_forward),
                f"`{target.name}` builds what the provider should build once: {found[1]}",
                Label(runner.span, "its `forward` runs for each item"),
                label_at(node_place(reading, target.module, found[0]), "build this in the provider"),
            )


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
    for provider in _providers(recipe, reading):
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
                _returned(reading, target, outcome, "put this into `def setup():` and return `setup`"),
            )


def _returned(reading: Reader, target: Target, outcome: Outcome, text: str) -> tuple[Label, ...]:
    node = outcome.returned[0].node
    place = node_place(reading, target.module, node) if isinstance(node, ast.Return) else place_of(reading, target)
    return label_at(place, text)


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
    for provider in _providers(recipe, reading):
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
    for provider in _providers(recipe, reading):
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
                    _returned(reading, target, outcome, "this is returned"),
                )


@needs_whole_file
@explained("ESP0710", "writer hooks without a folder to write to")
def writers_without_folder(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner has writer hooks, and its workload gives it no `output_dir`.

        label_all { runner = src.label.TextRunner()  provider = src.label.Provider()  over = training.dataset.train }

    Without a folder the results come back as a list, and the hooks are never called. Say where they write:
    `src.label.TextRunner(output_dir = "${exp_dir}/labels")`.
    """
    reading = reader(world)
    for pair, runner in _runners(recipe, reading):
        if _no_folder(reading, pair, runner):
            hooks = [each for each in WRITER_HOOKS if own_method(reading, runner.path, each) is not None]
            target = own_method(reading, runner.path, hooks[0])
            place = place_of(reading, target) if target is not None else None
            yield Diagnostic(
                code_of(writers_without_folder),
                f"`{runner.name}` has the writer hook `{hooks[0]}`, but no `output_dir`",
                Label(runner.span, "add `output_dir = …`"),
                label_at(place, "never called without a folder"),
            )


def _no_folder(reading: Reader, pair: Pair, runner: Part) -> bool:
    if pair.inference or not any(own_method(reading, runner.path, each) is not None for each in WRITER_HOOKS):
        return False
    made = reading.method(runner.path, "__init__")
    if made is None or made.owner != BASE_RUNNER or INFERENCE_RUNNER in reading.bases(runner.path).paths:
        return False
    if "results_without_output_dir" in _attributes(reading, runner.path):
        return False
    folder = runner.settings.get("output_dir")
    value = strip(folder) if folder is not None else None
    return value is None or getattr(value, "value", "") is None


def _attributes(reading: Reader, path: str) -> set[str]:
    """The names that a class and its bases bind, up to espnet3's own."""
    names: set[str] = set()
    for owner in reading.bases(path).paths:
        found = reading.find(owner).definition if owner not in OWN else None
        if isinstance(found, Class):
            names.update(each.name for each in found.attributes)
    return names


@needs_whole_file
@explained("ESP0711", "shard files that nothing merges", Severity.WARNING)
def no_merge(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner writes files for each shard, and has no `merge` that makes the final ones of them.

        class TextRunner(BaseRunner):
            @staticmethod
            def open_writers(shard_dir, **env): …
            @staticmethod
            def write_record(writers, result, state, **env): …

    The results stay under `split.0/`, `split.1/` …, where no later stage looks. Define `merge(self, shard_dirs)`;
    `concatenate_shard_files` joins files in the order of the items.
    """
    reading = reader(world)
    for pair, runner in _runners(recipe, reading):
        opens = own_method(reading, runner.path, "open_writers")
        merge = reading.method(runner.path, "merge")
        if opens is None or merge is None or _no_folder(reading, pair, runner):
            continue
        own = own_method(reading, runner.path, "merge")
        if merge.owner == BASE_RUNNER or (own is not None and own.function.empty):
            yield Diagnostic(
                code_of(no_merge),
                f"`{runner.name}` writes files for each shard, and its `merge` does nothing with them",
                Label(runner.span, "its results stay in `split.0/`, `split.1/` …"),
                label_at(
                    place_of(reading, own or opens), "does nothing" if own is not None else "shard files begin here"
                ),
            )


@explained("ESP0712", "a hook that is no static or class method")
def hook_not_static(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A hook of a runner is an ordinary method, and is called on the class.

        class TextRunner(BaseRunner):
            def write_record(self, writers, result, state, **env): …

    `open_writers`, `write_record` and `close_writers` are static methods, `init_state`, `reduce_state` and
    `finalize_state` class methods. Only `merge` runs on the runner itself.
    """
    reading = reader(world)
    for _, runner in _runners(recipe, reading):
        for name in HOOKS:
            target = own_method(reading, runner.path, name)
            if target is None or target.function.static or "classmethod" in target.function.decorators:
                continue
            kind = "@staticmethod" if name in WRITER_HOOKS else "@classmethod"
            yield Diagnostic(
                code_of(hook_not_static),
                f"`{target.name}` must be a `{kind}`: it is called on the class",
                Label(runner.span, "this runner"),
                label_at(place_of(reading, target), f"write `{kind}` above"),
            )


@needs_whole_file
@explained("ESP0713", "a state that the runner's own hooks cannot use")
def state_records(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner makes its own state in `init_state`, and leaves `reduce_state` as it is, which needs `state["records"]`.

        @classmethod
        def init_state(cls, shard_id = 0, **env):
            return {"sum": 0.0}

    The first result ends in a KeyError. Define `reduce_state` too, or begin with `super().init_state(…)`. Most runners need
    neither: without writer hooks, the results are kept as they are.
    """
    reading = reader(world)
    for pair, runner in _runners(recipe, reading):
        init = own_method(reading, runner.path, "init_state")
        reduce = reading.method(runner.path, "reduce_state")
        if init is None or reduce is None or reduce.owner != BASE_RUNNER:
            continue
        outcome = outcome_of(reading, init, {})
        value = outcome.value
        if isinstance(value, Dict) and value.closed and not {"records", "shard_dir"} & value.fields.keys():
            yield Diagnostic(
                code_of(state_records),
                f"`{init.name}` makes a state without `records`, which the `reduce_state` of `BaseRunner` adds to",
                Label(runner.span, "define `reduce_state` too"),
                _returned(reading, init, outcome, "the state is made here"),
            )
        elif outcome.returned and all(each.value == Leaf(Kind.NONE) for each in outcome.returned):
            yield Diagnostic(
                code_of(state_records),
                f"`{init.name}` returns nothing, but the state of a shard is what it returns",
                Label(runner.span, "return a dict"),
                label_at(place_of(reading, init), "it has no `return` with a value"),
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


@explained("ESP0715", "a provider that is no provider")
def wrong_provider(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The class behind `provider` does not extend `EnvironmentProvider`, and has no `build_env_local` either.

        inference { provider = src.inference.Recognizer() }

    Extend `espnet3.parallel.env_provider.EnvironmentProvider`, or for inference
    `espnet3.systems.base.inference_provider.InferenceProvider`.
    """
    reading = reader(world)
    for provider in _providers(recipe, reading):
        if not judged(reading, provider.path) or reading.method(provider.path, "build_env_local") is not None:
            continue
        if reading.is_a(provider.path, (ENVIRONMENT_PROVIDER,)) is False:
            yield Diagnostic(
                code_of(wrong_provider),
                f"`{provider.name}` is no provider: it does not extend `EnvironmentProvider`",
                Label(provider.span, "an EnvironmentProvider is wanted here"),
                label_at(class_place(reading, provider.path), "this class"),
            )


PROVIDER_RULES = (
    forward_not_static, forward_self, forward_item, env_names, env_clash, model_in_forward, setup_function,
    setup_parameters, env_result, writers_without_folder, no_merge, hook_not_static, state_records, wrong_runner,
    wrong_provider,
)  # fmt: skip
