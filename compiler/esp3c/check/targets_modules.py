"""Targets: modules of the recipe that Python could not import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from esp3c.check.blocks import all_values
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, Node, PythonNode, Recipe
from esp3c.python.contents import NOT_READ, comes_with_python
from esp3c.python.find import Lookup
from esp3c.python.model import Imported
from esp3c.python.reader import Reader, reader
from esp3c.python.undefined import undefined_names
from esp3c.source import Span
from esp3c.suggest import did_you_mean
from esp3c.world import Module, World


@explained("ESP0414", "a module of the recipe is not Python")
def broken_module(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A module in the recipe's folder has a syntax error, so that nothing in it can be imported.

        def forward(self, speech      # the bracket is not closed

    The second place that is shown is where Python's own parser gave up.
    """
    reading = reader(world)
    told: set[str] = set()
    for span, lookup in _named_objects(recipe):
        module = lookup.module
        if module is None or not module.local or module.name in told or not lookup.rest:
            continue
        contents = reading.contents(module)
        if contents is None or contents.error is None or contents.error[2] in NOT_READ:
            continue
        told.add(module.name)
        line, column, reason = contents.error
        yield Diagnostic(
            code_of(broken_module),
            f"`{module.name}` cannot be imported: {reason}",
            Label(span, "found in this module"),
            secondary=_place(reading, module, line, column),
        )


def _place(reading: Reader, module: Module, line: int, column: int) -> tuple[Label, ...]:
    span = reading.span(module, line, column)
    return (Label(span, "Python's parser gave up here"),) if span is not None else ()


def _named_objects(recipe: Recipe) -> Iterator[tuple[Span, Lookup]]:
    """Every Python path of the recipe, with its place."""
    if recipe.system is not None:
        yield recipe.system.span, recipe.system.target
    roots: list[Node] = [recipe.settings]
    roots += [config.root for config in recipe.configs.values()]
    roots += [dataset.settings for dataset in recipe.datasets.values()]
    roots += [stage.workload for stage in recipe.stages if stage.workload is not None]
    for root in roots:
        for value in all_values(root):
            if isinstance(value, CallNode):
                yield value.head, value.target
            elif isinstance(value, PythonNode):
                yield value.span, value.target
    for stage in recipe.stages:
        if isinstance(stage.runs, PythonNode):
            yield stage.runs.span, stage.runs.target


@explained("ESP0418", "a module of the recipe imports what is not there")
def broken_import(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A module that the recipe names, or one that it imports, takes a name from a module that does not have it.

        from src.layers import Encodr

    The import fails before anything of the module can be used. Imports inside `try`, in functions and for type checkers
    are not looked at, and neither are packages that are not installed here.
    """
    reading = reader(world)
    for span, direct, module in _own_modules(recipe, world):
        for each in _imports(reading, module):
            wrong = _wrong_import(reading, world, module, each)
            if wrong is not None:
                place = reading.span(module, each.line, each.column)
                line = Span(place.source, place.start, _end_of_line(place)) if place is not None else None
                yield Diagnostic(
                    code_of(broken_import),
                    f"`{module.name}` cannot be imported: {wrong[0]}",
                    Label(span, "found in this module" if direct else "this leads to the module"),
                    secondary=(Label(line, wrong[1] or "imported here"),) if line is not None else (),
                )


def _own_modules(recipe: Recipe, world: World) -> Iterator[tuple[Span, bool, Module]]:
    """The modules of the recipe's own that it uses, each once: the place that leads there, and whether it names it."""
    reading = reader(world)
    seen: set[str] = set()
    for span, lookup in _named_objects(recipe):
        left = [lookup.module] if lookup.module is not None and lookup.rest else []
        while left:
            module = left.pop()
            if not module.local or module.name in seen:
                continue
            seen.add(module.name)
            yield span, module is lookup.module, module
            found = (_source_of(world, each.path) for each in _imports(reading, module))
            left.extend(each for each in found if each is not None)


def _imports(reading: Reader, module: Module) -> list[Imported]:
    """The imports of a module without which it is not imported itself."""
    contents = reading.contents(module)
    if contents is None or contents.error is not None:
        return []
    return [each for each in contents.definitions if isinstance(each, Imported) and not each.guarded]


def _end_of_line(place: Span) -> int:
    end = place.source.text.find("\n", place.start)
    return len(place.source.text) if end < 0 else end


def _source_of(world: World, path: str) -> Module | None:
    """The module that an imported path is, or comes from."""
    return world.module(path) or (world.module(path.rpartition(".")[0]) if "." in path else None)


def _wrong_import(reading: Reader, world: World, module: Module, imported: Imported) -> tuple[str, str] | None:
    """What is wrong with an import, and what was meant."""
    if comes_with_python(imported.path) or world.module(imported.path.partition(".")[0]) is None:
        return None
    if imported.path.startswith(module.name + ".") or world.module(imported.path) is not None:
        return None
    found = reading.find(imported.path)
    if found.definition is not None or found.why or (found.module is not None and found.module.name == found.path):
        return None
    parent, _, name = imported.path.rpartition(".")
    source = world.module(parent) if parent else None
    if source is None:
        above, _, missing = parent.rpartition(".")
        near = did_you_mean(missing, world.submodules(above)) if above else None
        return f"there is no module `{parent or imported.path}`", near or ""
    names = [each for each in reading.names(source) if not each.startswith("_")]
    return f"`{source.name}` has no `{name}`", did_you_mean(name, names) or ""


def _nearest_above(recipe: Recipe, reading: Reader, module: Module, line: int) -> Span | None:
    """The place in the recipe of what stands last before a line of a module: most likely the line is in it."""
    found: list[tuple[int, Span]] = []
    for span, lookup in _named_objects(recipe):
        if lookup.module is not None and lookup.module.name == module.name and lookup.rest:
            definition = reading.find(lookup.path).definition
            if definition is not None and definition.line <= line:
                found.append((definition.line, span))
    return max(found, key=lambda each: each[0])[1] if found else None


def _undefined(reading: Reader, world: World, module: Module) -> list[tuple[str, int, int]] | None:
    source = world.source(module) if reading.contents(module) is not None else None
    return (list(undefined_names(source.text)) or None) if source is not None else None


@explained("ESP0419", "a name that nothing in a module of the recipe defines")
def undefined_in_python(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A function in the recipe's Python reads a name that is no parameter, no variable, no import and nothing of Python's.

        def build_output(data, model_output, idx):
            return {"utt_id": data["utt_id"], "hyp": model_out}

    Python says so when the line is reached, which may be after the training. A module with a star import is left out.
    """
    reading = reader(world)
    for span, direct, module in _own_modules(recipe, world):
        asked = reading.unless_settled(f"undefined names {module.name}", partial(_undefined, reading, world, module))
        for name, line, column in asked or ():
            place = reading.span(module, line, column, len(name))
            yield Diagnostic(
                code_of(undefined_in_python),
                f"`{name}` is not defined in `{module.name}`",
                Label(
                    _nearest_above(recipe, reading, module, line) or span,
                    "found in this module" if direct else "this leads to the module",
                ),
                secondary=(Label(place, "a NameError, when this is reached"),) if place is not None else (),
            )
