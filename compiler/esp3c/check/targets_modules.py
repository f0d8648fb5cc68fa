"""Targets: modules of the recipe that Python could not import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.blocks import all_values
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, Node, PythonNode, Recipe
from esp3c.python.contents import NOT_READ
from esp3c.python.find import Lookup
from esp3c.python.model import Imported
from esp3c.python.reader import Reader, reader
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
    seen: set[str] = set()
    for span, lookup in _named_objects(recipe):
        if lookup.module is None or not lookup.rest:
            continue
        left = [lookup.module]
        while left:
            module = left.pop()
            if not module.local or module.name in seen:
                continue
            seen.add(module.name)
            contents = reading.contents(module)
            for each in contents.definitions if contents is not None and contents.error is None else ():
                if not isinstance(each, Imported) or each.guarded:
                    continue
                source = _source_of(world, each.path)
                if source is not None:
                    left.append(source)
                wrong = _wrong_import(reading, world, module, each)
                if wrong is not None:
                    place = reading.span(module, each.line, each.column)
                    line = Span(place.source, place.start, _end_of_line(place)) if place is not None else None
                    yield Diagnostic(
                        code_of(broken_import),
                        f"`{module.name}` cannot be imported: {wrong[0]}",
                        Label(span, "found in this module" if module is lookup.module else "this leads to the module"),
                        secondary=(Label(line, wrong[1] or "imported here"),) if line is not None else (),
                    )


def _end_of_line(place: Span) -> int:
    end = place.source.text.find("\n", place.start)
    return len(place.source.text) if end < 0 else end


def _source_of(world: World, path: str) -> Module | None:
    """The module that an imported path is, or comes from."""
    return world.module(path) or (world.module(path.rpartition(".")[0]) if "." in path else None)


def _wrong_import(reading: Reader, world: World, module: Module, imported: Imported) -> tuple[str, str] | None:
    """What is wrong with an import, and what was meant."""
    if world.module(imported.path.partition(".")[0]) is None or imported.path.startswith(module.name + "."):
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
