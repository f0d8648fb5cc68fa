"""Targets: builders of datasets, and the arguments that all of their methods get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.sources import BUILDER as BUILDER_NAME
from esp3c.check.sources import builder_of, source_of, source_settings, written_entries
from esp3c.check.targets import short
from esp3c.check.targets_objects import abstract_methods, definition_label
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.ir import Dataset, Entry, MapNode, Recipe, strip
from esp3c.python.model import Class, Function
from esp3c.python.reader import Found, Reader, reader
from esp3c.schema.roles import BUILDER, LIFECYCLE
from esp3c.source import Span
from esp3c.suggest import all_of, certain, nearest, one_of
from esp3c.world import World


@explained("ESP0411", "a builder without all of its methods")
def builder_methods(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The builder of a dataset lacks one of the four methods that ESPnet3 calls.

    A DatasetBuilder has `is_source_prepared`, `prepare_source`, `is_built` and `build`. The stage `create_dataset` asks
    for them in this order, and skips what is done.
    """
    reading = reader(world)
    for span, found in _builders(recipe, reading):
        if isinstance(found.definition, Function):
            yield Diagnostic(
                code_of(builder_methods),
                f"`{short(found.path)}` is a function, and a builder class is wanted",
                Label(span, "a DatasetBuilder is wanted here"),
                secondary=definition_label(reading, found, "defined here"),
            )
            continue
        bases = reading.bases(found.path)
        members = set(reading.members(found.path))
        abstract = set(abstract_methods(reading, found.path))
        absent = [name for name in LIFECYCLE if name not in members or name in abstract]
        if not absent or not bases.complete or "__getattr__" in members:
            continue
        own = {each.name for each in found.definition.methods} if isinstance(found.definition, Class) else set()
        near = nearest(absent[0], [name for name in own if name not in LIFECYCLE])
        yield Diagnostic(
            code_of(builder_methods),
            f"`{short(found.path)}` has no {all_of(absent)}",
            Label(span, f"a builder has {all_of(LIFECYCLE)}"),
            secondary=definition_label(reading, found, f"is its {one_of(near)} meant?" if near else "this class"),
        )


def _builders(recipe: Recipe, reading: Reader) -> Iterator[tuple[Span, Found]]:
    for dataset in recipe.datasets.values():
        builder = builder_of(dataset, reading)
        if builder is not None:
            yield builder.head, builder.found


_ADDED = ("recipe_dir", "parallel")


@explained("ESP0412", "an argument that a builder's methods do not take")
def builder_argument(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A builder is given an argument that not all of its four methods take, or is not given one that they need.

        builder = dataset.builder.SpokenDigitsBuilder(utterance = 1200)

    The arguments of a builder are handed to `is_source_prepared`, `prepare_source`, `is_built` and `build`, all of them
    to each. A method that has no use for one takes `**kwargs`. The builder of a `source` gets what `create_dataset { … }`
    of its dataset says, and every builder what `create_dataset { … }` of the training says.
    """
    reading = reader(world)
    common, by_source = _written_out(recipe)
    for dataset in recipe.datasets.values():
        builder = builder_of(dataset, reading)
        if builder is None:
            yield from _without_builder(dataset, reading)
        elif isinstance(builder.found.definition, Class):
            source = source_of(dataset)
            alone = by_source.get(source[0], ()) if source is not None else ()
            given = MapNode((*common, *alone, *builder.arguments.entries), builder.arguments.span)
            yield from _against_methods(reading, builder.found, builder.head, given)
    declared = {source[0] for source in map(source_of, recipe.datasets.values()) if source is not None}
    modules = {module: span for _, module, span, _ in written_entries(recipe) if module not in declared}
    for module, span in modules.items():
        found = reading.find(f"{module}.{BUILDER_NAME}")
        if isinstance(found.definition, Class) and (common or module in by_source):
            alone = by_source.get(module, ())
            first = (*alone, *common)[0]
            yield from _against_methods(reading, found, first.key_span, MapNode((*common, *alone), span))


def _written_out(recipe: Recipe) -> tuple[tuple[Entry, ...], dict[str, tuple[Entry, ...]]]:
    """`create_dataset { … }` of the training: what all builders get, and what the builder of one module gets alone."""
    training = recipe.configs.get("training")
    named = training.root.get("create_dataset") if training is not None else None
    settings = strip(named) if named is not None else None
    if not isinstance(settings, MapNode):
        return (), {}
    modules = {module for _, module, _, _ in written_entries(recipe)}
    modules |= {source[0] for source in map(source_of, recipe.datasets.values()) if source is not None}
    alone: dict[str, tuple[Entry, ...]] = {}
    common: list[Entry] = []
    for entry in settings.entries:
        value = strip(entry.value)
        if entry.name in modules and isinstance(value, MapNode):
            alone[entry.name] = value.entries
        elif entry.name not in _ADDED:
            # What the framework adds, a builder need not take.
            common.append(entry)
    return tuple(common), alone


def _without_builder(dataset: Dataset, reading: Reader) -> Iterator[Diagnostic]:
    """Settings for a source that brings no builder."""
    source, settings = source_of(dataset), source_settings(dataset)
    if source is None or settings is None:
        return
    found, module = reading.find(f"{source[0]}.{BUILDER_NAME}"), reading.world.module(source[0])
    if module is not None and found.definition is None and not found.why:
        yield Diagnostic(
            code_of(builder_argument),
            f"`{source[0]}` has no `{BUILDER_NAME}` that would take these settings",
            Label(settings.span, "nobody reads this"),
            secondary=(Label(source[1], "where it comes from"),),
        )


def _against_methods(reading: Reader, found: Found, head: Span, arguments: MapNode) -> Iterator[Diagnostic]:
    given = [entry.name for entry in arguments.entries]
    reported: set[str] = set()
    for name in LIFECYCLE:
        method = reading.method(found.path, name)
        if method is None or method.owner == BUILDER:
            continue
        parameters = [each for each in method.function.parameters if each.name != "self"]
        if method.function.decorators:
            continue
        takes_all = any(each.kind == "kwargs" for each in parameters)
        names = [each.name for each in parameters if each.kind in {"plain", "keyword"}]
        for entry in arguments.entries:
            if takes_all or entry.name in names or entry.name in reported:
                continue
            reported.add(entry.name)
            near = nearest(entry.name, [each for each in names if each not in given])
            meant = certain(entry.name, near)
            span = reading.span(method.module, method.function.line, method.function.column, len(name))
            yield Diagnostic(
                code_of(builder_argument),
                f"`{name}` of `{short(found.path)}` takes no `{entry.name}`",
                Label(
                    entry.key_span,
                    f"did you mean {one_of(near)}?" if near else "every one of the builder's methods gets it",
                ),
                secondary=(Label(span, "this method"),) if span is not None else (),
                help=() if near else ("it takes " + all_of(names) if names else f"`{name}` takes no arguments",),
                fix=Fix(f"write `{meant}`", (Edit(entry.key_span, meant),)) if meant else None,
            )
        for each in parameters:
            needed = each.default is None and each.kind in {"plain", "keyword"} and each.name not in _ADDED
            if needed and each.name not in given and each.name not in reported:
                reported.add(each.name)
                if any(nearest(entry, [each.name]) for entry in given if entry not in names) and not takes_all:
                    continue
                span = reading.span(method.module, each.line, each.column, len(each.name))
                yield Diagnostic(
                    code_of(builder_argument),
                    f"`{name}` of `{short(found.path)}` needs `{each.name}`",
                    Label(head, "not given"),
                    secondary=(Label(span, "its parameter"),) if span is not None else (),
                )
