"""The hooks of a runner: where they write, what merges it, and how they are called."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.flow_base import listed
from esp3c.check.flow_functions import label_at, outcome_of, place_of
from esp3c.check.providers_pairs import (
    OWN,
    Pair,
    Part,
    own_method,
    returned_at,
    runners,
)
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Recipe, strip
from esp3c.python.body_values import Dict, Kind, Leaf
from esp3c.python.model import Class
from esp3c.python.reader import Reader, reader
from esp3c.schema.contracts import (
    BASE_RUNNER,
    HOOKS,
    INFERENCE_RUNNER,
    WRITER_HOOKS,
)
from esp3c.world import World


@needs_whole_file
@explained("ESP0710", "writer hooks without a folder to write to")
def writers_without_folder(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A runner has writer hooks, and its workload gives it no `output_dir`.

        label_all { runner = src.label.TextRunner()  provider = src.label.Provider()  over = training.dataset.train }

    Without a folder the results come back as a list, and the hooks are never called. Say where they write:
    `src.label.TextRunner(output_dir = "${exp_dir}/labels")`.
    """
    reading = reader(world)
    for pair, runner in runners(recipe, reading):
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
    for pair, runner in runners(recipe, reading):
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
    for _, runner in runners(recipe, reading):
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

    The first result ends in a KeyError. It is the same where one of the three hooks returns nothing. Define `reduce_state`
    too, or begin with `super().init_state(…)`. Most runners need neither: without writer hooks, the results are kept as they
    are.
    """
    reading = reader(world)
    for pair, runner in runners(recipe, reading):
        yield from _stateless(reading, pair, runner)
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
                returned_at(reading, init, outcome, "the state is made here"),
            )


def _stateless(reading: Reader, pair: Pair, runner: Part) -> Iterable[Diagnostic]:
    """State hooks that give no state. What `finalize_state` gives is used where nothing is written only."""
    kept = not pair.inference and runner.settings.get("output_dir") is None
    for name in ("init_state", "reduce_state", *(("finalize_state",) if kept else ())):
        hook = own_method(reading, runner.path, name)
        outcome = outcome_of(reading, hook, {}) if hook is not None else None
        if hook is None or outcome is None or outcome.why or not outcome.returned:
            continue
        if all(each.value == Leaf(Kind.NONE) for each in outcome.returned):
            yield Diagnostic(
                code_of(state_records),
                f"`{hook.name}` returns nothing, but the state of a shard is what it returns",
                Label(runner.span, "return a dict" if name == "init_state" else "return the state"),
                label_at(place_of(reading, hook), "it has no `return` with a value"),
            )


@explained("ESP0716", "a hook that does not take what it is given")
def hook_parameters(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A hook of a runner has fewer parameters than the runner gives it, or `merge` has other ones.

        @staticmethod
        def write_record(writers, result): …                # it is called with `writers`, `result`, `state`
        def merge(self): …                                  # it is called with `shard_dirs`

    The first parameters are given by position, the others come from the environment by name. `merge` gets the folders
    alone, and takes the rest from `self`.
    """
    reading = reader(world)
    for _, runner in runners(recipe, reading):
        for name, given in HOOKS.items():
            target = own_method(reading, runner.path, name)
            if target is None or target.has("args") or len(target.positional) >= len(given):
                continue
            if not target.function.static and "classmethod" not in target.function.decorators:
                continue
            yield Diagnostic(
                code_of(hook_parameters),
                f"`{target.name}` is called with {listed(given)}, but it takes {listed(p.name for p in target.positional)}",
                Label(runner.span, "this runner"),
                label_at(place_of(reading, target), f"its first parameters are {listed(given)}"),
            )
        yield from _merge(reading, runner)


def _merge(reading: Reader, runner: Part) -> Iterable[Diagnostic]:
    target = own_method(reading, runner.path, "merge")
    if target is None:
        return
    needed = [each.name for each in target.required]
    keyword = any(each.kind == "keyword" for each in target.required)
    if len(needed) <= 1 and not keyword and (target.positional or target.has("args")):
        return
    yield Diagnostic(
        code_of(hook_parameters),
        f"`{target.name}` is called with `shard_dirs`, but it takes {listed(each.name for each in target.parameters)}",
        Label(runner.span, "this runner"),
        label_at(place_of(reading, target), "write `merge(self, shard_dirs)`"),
    )


HOOK_RULES = (hook_parameters, writers_without_folder, no_merge, hook_not_static, state_records)
