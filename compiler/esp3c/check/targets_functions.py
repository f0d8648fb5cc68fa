"""Targets: the functions that stages run."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.rule import needs_whole_file
from esp3c.check.targets import short
from esp3c.check.targets_objects import definition_label, is_plain_value
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import PythonNode, Recipe
from esp3c.python.find import Status
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import reader
from esp3c.python.signature import signature
from esp3c.suggest import all_of
from esp3c.world import World


@explained("ESP0413", "a function that cannot take what it is called with")
@needs_whole_file
def stage_function(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The function that a stage runs does not take the configs that the stage requires.

        stages { export_onnx  requires training, export  runs src.stages.export_onnx }

    It is called with one argument a config, in this order: `def export_onnx(training_config, export_config): …`.
    """
    reading = reader(world)
    for stage in recipe.stages:
        if not isinstance(stage.runs, PythonNode) or stage.runs.target.status is not Status.FOUND:
            continue
        path = stage.runs.target.path
        found = reading.find(path)
        if isinstance(found.definition, Value) and found.definition.text and is_plain_value(found.definition.text):
            yield Diagnostic(
                code_of(stage_function),
                f"`{short(path)}` is a value, and stage `{stage.name}` calls it",
                Label(stage.runs.span, "a function is wanted here"),
                secondary=definition_label(reading, found, "defined here"),
            )
            continue
        if isinstance(found.definition, Class):
            yield Diagnostic(
                code_of(stage_function),
                f"`{short(path)}` is a class, and stage `{stage.name}` calls a function",
                Label(stage.runs.span, "a function is wanted here"),
                secondary=definition_label(reading, found, "defined here"),
            )
            continue
        if not isinstance(found.definition, Function):
            continue
        made = signature(reading, path)
        if made.why:
            continue
        positional = [each for each in made.parameters if each.parameter.kind in {"plain", "positional"}]
        takes_more = any(each.parameter.kind == "args" for each in made.parameters)
        needed = [each for each in positional if each.required]
        by_name_only = [each for each in made.parameters if each.parameter.kind == "keyword" and each.required]
        given = len(stage.requires)
        fits = len(needed) <= given and (takes_more or given <= len(positional)) and not by_name_only
        if not fits:
            count = f"{given} config" + ("s" if given != 1 else "")
            wants = by_name_only or needed
            yield Diagnostic(
                code_of(stage_function),
                f"stage `{stage.name}` calls `{short(path)}` with {count}, and it takes "
                + (all_of(each.name for each in wants) if wants else "none"),
                Label(stage.runs.span, "called with what `requires` names, in order"),
                secondary=definition_label(reading, found, "this function"),
            )
