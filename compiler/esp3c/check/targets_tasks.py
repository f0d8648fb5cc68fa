"""Targets: the task of a training, and the model that it or the recipe makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow import flow_of
from esp3c.check.flow_base import built_in, clean, configs_of, follow, is_null, python_path, runs_in, stock
from esp3c.check.rule import needs_whole_file
from esp3c.check.targets import short
from esp3c.check.targets_objects import definition_label
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, Config, MapNode, Recipe
from esp3c.python.find import Status, look_up
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import reader
from esp3c.schema.blocks import TRAINING
from esp3c.suggest import all_of
from esp3c.world import World

_METHODS = ("get_default_config", "build_model")


@explained("ESP0420", "a task that is none")
def no_task(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`task` names something that builds no model.

        training { task = espnet2.train.collate_fn.CommonCollateFn  model { encoder = "transformer" } }

    A task is a class with `get_default_config()` and `build_model()`, as `espnet2.tasks.asr.ASRTask` is. Without ESPnet2
    installed its tasks are unchecked. A model of your own needs none: leave `task` out, and write `model` as a call.
    """
    reading = reader(world)
    for config in _trained(recipe, world):
        named = python_path(follow(config, config.root.get("task")))
        if named is None:
            continue
        path, span = named
        lookup = look_up(world, path)
        if lookup.status is Status.UNKNOWN:
            continue
        found = reading.find(path)
        written = config.root.get("task")
        place = written.span if written is not None else span
        if lookup.status is Status.ABSENT:
            near = [".".join((*path.split(".")[: -len(lookup.rest)], each)) for each in lookup.near]
            text = f"did you mean `{near[0]}`?" if near else "nothing is there"
            yield Diagnostic(code_of(no_task), f"there is no task `{path}`", Label(place, text))
        elif lookup.is_module or isinstance(found.definition, Function | Value):
            kind = "module" if lookup.is_module else "function" if isinstance(found.definition, Function) else "value"
            yield Diagnostic(
                code_of(no_task),
                f"`{short(path)}` is a {kind}, and a task is a class",
                Label(place, "a class with `build_model` is wanted"),
                secondary=definition_label(reading, found, "defined here"),
            )
        elif isinstance(found.definition, Class) and reading.bases(found.path).complete:
            missing = [name for name in _METHODS if reading.method(found.path, name) is None]
            if missing:
                yield Diagnostic(
                    code_of(no_task),
                    f"`{short(path)}` is no task: it has no {all_of(missing)}",
                    Label(place, "it builds no model from settings"),
                    secondary=definition_label(reading, found, "this class"),
                )


@explained("ESP0421", "a model that two would make, or nobody")
@needs_whole_file
def maker_of_model(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A training has settings of a model and no class, or a task and a class.

        training { model { encoder = "transformer" } }                  # no `task` takes the settings
        training { task = espnet2.tasks.asr.ASRTask  model = src.model.MyModel() }

    With a `task`, `model` is a block of the task's own settings, and the task makes the model. Without one, `model` is a
    call, which makes it.
    """
    said: set[str | None] = set()
    for config in _trained(recipe, world):
        task, model = follow(config, config.root.get("task")), follow(config, config.root.get("model"))
        written = next((entry for entry in config.root.entries if entry.name == "model"), None)
        if written is None:
            continue
        has_task = python_path(task) is not None
        if isinstance(model, MapNode) and (config.root.get("task") is None or is_null(task)):
            if model.entries and model.get("_target_") is None and clean(config.root, TRAINING):
                said.add(config.name)
                # Who extends it inherits the mistake.
                if config.extends in said:
                    continue
                yield Diagnostic(
                    code_of(maker_of_model),
                    "`model` holds settings, and nothing makes a model of them",
                    Label(written.key_span, "it names no class, and the training has no `task`"),
                    help=(
                        "a model of your own is a call: `model = src.model.MyModel(…)`",
                        "settings of an ESPnet2 task need `task = espnet2.tasks.asr.ASRTask`, or another",
                    ),
                )
        elif has_task and isinstance(model, CallNode):
            entry = next(each for each in config.root.entries if each.name == "task")
            yield Diagnostic(
                code_of(maker_of_model),
                f"the task makes the model, so `{short(model.target.path)}` would never be made",
                Label(model.head, "this class is not asked for"),
                secondary=(Label(entry.key_span, "with a `task`, `model` holds its settings"),),
                help=("leave `task` out to train this model",),
            )


def _trained(recipe: Recipe, world: World) -> Iterator[Config]:
    """The configs that espnet3's own training works with."""
    flow = flow_of(recipe, world)
    written = {built_in(line) for line in recipe.stages}
    stages = ("train", *({"collect_stats"} & written))
    for config in configs_of(recipe, "training"):
        if any(runs_in(recipe, config, stage) and stock(flow, stage) for stage in stages):
            yield config
