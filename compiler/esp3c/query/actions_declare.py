"""Declares what is named and not there."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check import names, stages
from esp3c.check.calls import verdicts
from esp3c.diagnostics import Diagnostic, Edit, code_of
from esp3c.ir import Recipe, Undefined
from esp3c.python.model import Class
from esp3c.python.reader import reader
from esp3c.query.actions import Action, Kind
from esp3c.query.actions_places import new_config, new_dataset, new_let, new_parallel, nodes
from esp3c.query.actions_values import for_key, for_parameter
from esp3c.query.context import context
from esp3c.query.known import known
from esp3c.query.view import View
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.source import Span
from esp3c.syntax import ast
from esp3c.syntax.grammar import CONSTANTS, KEYWORDS, WELL_KNOWN
from esp3c.world import World

_NAME, _PYTHON, _DECLARED, _CONFIG = (
    code_of(each).id for each in (names.undefined_name, names.undefined_python, names.undeclared, stages.missing_config)
)

_DATASET = "torch.utils.data.Dataset"


def declarations(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    """What declares the name that a diagnostic is about."""
    code, span = diagnostic.code.id, diagnostic.primary.span
    if code == _CONFIG:
        for name in _missing_configs(view.recipe, span):
            yield from _declared(view, diagnostic, "config", name)
        return
    fact = next(
        (
            each
            for each in view.recipe.of(Undefined)
            if each.span.start == span.start and each.span.end == span.end and "." not in each.name
        ),
        None,
    )
    if fact is None or not fact.name.isidentifier() or fact.name in KEYWORDS or fact.name in CONSTANTS:
        return
    if code == _DECLARED and fact.what in {"config", "parallel"}:
        yield from _declared(view, diagnostic, fact.what, fact.name)
    elif code == _NAME and fact.what in {"name", "interpolation"}:
        wanted = _wanted(view, span)
        if isinstance(wanted, t.Key) and _takes(wanted.type, t.ParallelUse):
            yield from _declared(view, diagnostic, "parallel", fact.name)
        elif isinstance(wanted, t.Key) and _takes(wanted.type, t.DatasetUse):
            yield from _declared(view, diagnostic, "dataset", fact.name)
        else:
            yield from _let(view, diagnostic, fact, wanted)
    elif code == _PYTHON and fact.what == "call" and fact.name not in BACKENDS:
        yield from _declared(view, diagnostic, "dataset", fact.name)


def _missing_configs(recipe: Recipe, span: Span) -> Iterator[str]:
    for stage in recipe.stages:
        written = {use.name: use.span for use in stage.requires}
        for name in stage.needs:
            place = written.get(name, stage.name_span)
            if name not in recipe.configs and (place.start, place.end) == (span.start, span.end):
                yield name


def _declared(view: View, diagnostic: Diagnostic, kind: str, name: str) -> Iterator[Action]:
    edit: Edit | None = None
    match kind:
        case "config":
            text = f"{name} {{ }}" if name in WELL_KNOWN else f"config {name} {{ }}"
            edit = new_config(view, text)
        case "parallel":
            edit = new_parallel(view, f"parallel {name} = local(n_workers = 2)")
        case "dataset":
            source = _source(view.world)
            if source is not None:
                edit = new_dataset(view, f"dataset {name} {{ {source} }}")
    if edit is not None:
        yield Action(f"Declare the {kind} `{name}`", Kind.FIX, (edit,), diagnostic, sure=False)


def _source(world: World) -> str | None:
    """What a dataset of this recipe could be made of: the dataset class of its own folder, or the folder itself."""
    package = world.module("dataset")
    if package is None or not package.local:
        return None
    reading = reader(world)
    for name in ("dataset", *world.submodules("dataset")):
        module = world.module(f"dataset.{name}")
        contents = reading.contents(module) if module is not None else None
        for each in contents.definitions if contents is not None else ():
            path = f"dataset.{name}.{each.name}"
            if isinstance(each, Class) and reading.is_a(path, [_DATASET]):
                return f"class = {path}"
    found = reading.find("dataset.Dataset")
    return 'source = "dataset"' if found.definition is not None else None


def _let(view: View, diagnostic: Diagnostic, fact: Undefined, wanted: t.Key | str | None) -> Iterator[Action]:
    value = for_key(wanted) if isinstance(wanted, t.Key) else wanted
    if fact.what == "interpolation":
        value = '""'
    if value is not None:
        edit = new_let(view, f"let {fact.name} = {value}")
        yield Action(f"Declare `let {fact.name}`", Kind.FIX, (edit,), diagnostic, sure=False)


def _wanted(view: View, span: Span) -> t.Key | str | None:
    """What a value at a place is for: a key of the schema, or a value that the parameter takes."""
    for verdict in verdicts(view.recipe, view.world):
        for argument in verdict.arguments:
            place = argument.value.span
            if place.source is view.source and place.start == span.start and argument.bound is not None:
                return for_parameter(reader(view.world), argument.bound)
    for node in nodes(view.file):
        if isinstance(node, ast.Setting) and node.value.span.start == span.start:
            here = context(view, node.key.span.start)
            block = known(view.recipe, here.frames, tuple(part.text for part in node.key.parts[:-1])).block
            key = block.key(node.key.parts[-1].text) if block is not None else None
            return key if key is not None else "null"
    here = context(view, span.start)
    type = known(view.recipe, here.frames).type
    return t.Key("", type, "") if type is not None else "null"


def _takes(type: t.Type, kind: type[t.Type]) -> bool:
    options = type.options if isinstance(type, t.Either) else (type,)
    return any(isinstance(each, kind) or (isinstance(each, t.ListOf) and _takes(each.item, kind)) for each in options)
