"""Where the names of a recipe lead to: in the recipe itself, and in the Python that it names."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.python.signature import Bound
from esp3c.query.described import described
from esp3c.query.occurrences import Index, Occurrence, Role, index, is_own
from esp3c.query.python_places import (
    CALLED_BY_KEYS,
    builder_parameter,
    builder_path,
    class_of,
    definition_of,
    method_of_system,
    parameter_of,
    parameter_place,
    place_of,
    plain_parameter,
)
from esp3c.query.view import View
from esp3c.query.ways import Sort, Thing
from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax import ast


@record
class Goal:
    """A place that a name leads to: the `name` itself, and the `whole` that it is the name of."""

    name: Span
    whole: Span


@record
class Leads:
    """Where the name at `origin` leads to, the likeliest first."""

    origin: Span
    goals: tuple[Goal, ...]


def definition(view: View, offset: int) -> Leads | None:
    """Where what is named at an offset is defined; None where no name stands."""
    found = index(view).at(offset)
    if found is None:
        return None
    return leads(found, _goals(view, index(view), found))


def declaration(view: View, offset: int) -> Leads | None:
    """Where the recipe declares what is named at an offset; of Python, where the module takes it over is not asked."""
    found = index(view).at(offset)
    if found is None:
        return None
    first = [each for each in index(view).of(found.thing) if each.role is Role.DECLARED]
    own = tuple(Goal(each.span, _whole(view, each.span)) for each in first)
    return Leads(found.span, own) if own else leads(found, _goals(view, index(view), found))


def leads(found: Occurrence, goals: Iterator[Goal]) -> Leads | None:
    unique = tuple(dict.fromkeys(goals))
    return Leads(found.span, unique) if unique else None


def _goals(view: View, known: Index, found: Occurrence) -> Iterator[Goal]:
    thing = found.thing
    bound = parameter(view, known, found) if found.role is not Role.USED else None
    if bound is not None:
        place = parameter_place(view.world, bound)
        if place is not None:
            yield Goal(place, place)
        return
    match thing.sort:
        case Sort.VALUE:
            yield from _of_value(view, known, found)
        case Sort.COMMON | Sort.BACKEND | Sort.UNKNOWN:
            return
        case Sort.PYTHON:
            yield from to_python(view, thing.name)
        case Sort.METHOD:
            yield from to_method(view, thing.name)
        case Sort.STAGE:
            line = next((each for each in view.recipe.stages if each.name == thing.name), None)
            if line is not None and found.span == line.name_span and not is_own(line):
                yield from to_method(view, thing.name)
            elif line is not None:
                yield Goal(line.name_span, line.span)
        case _:
            for each in known.of(thing):
                if each.role is Role.DECLARED:
                    yield Goal(each.span, _whole(view, each.span))


def _of_value(view: View, known: Index, found: Occurrence) -> Iterator[Goal]:
    first = known.same(found.thing)
    if first.sort is Sort.STAGE:
        line = next((each for each in view.recipe.stages if each.name == first.name), None)
        if line is not None:
            yield Goal(line.name_span, line.span)
        return
    # The name of a key that a config takes over from its base leads there; any other name to where the value is set.
    for thing in (found.thing, first):
        span = known.key_span(thing)
        if span is not None and (found.role is Role.DECLARED or span != found.span):
            name = Span(span.source, span.start + 1, span.end - 1) if span.text[:1] == '"' else span
            yield Goal(name, _setting(known, thing, span))
            return


def _setting(known: Index, thing: Thing, span: Span) -> Span:
    shape = known.shape(thing)
    inside = shape is not None and shape.span.source is span.source and shape.span.start >= span.start
    return span.to(shape.span) if shape is not None and inside else span


def _whole(view: View, name: Span) -> Span:
    """The declaration, stage line or field whose name this is."""
    for each in view.file.declarations:
        if not each.span.start <= name.start < each.span.end:
            continue
        if isinstance(each, ast.StagesDeclaration):
            return next((line.span for line in each.stages if line.name.span == name), name)
        if isinstance(each, ast.ConfigDeclaration | ast.ParallelDeclaration | ast.LetDeclaration):
            return each.span if each.name.span == name else name
        if each.name.span == name:
            return each.span
        fields = [
            field.span
            for entry in each.block.entries
            if isinstance(entry, ast.Setting) and isinstance(entry.value, ast.Block)
            for field in entry.value.entries
        ]
        return next((span for span in fields if span.start == name.start), name)
    return name


def to_python(view: View, path: str) -> Iterator[Goal]:
    place = definition_of(view.world, path)
    if place is not None:
        yield Goal(place, place)


def to_method(view: View, stage: str) -> Iterator[Goal]:
    found = method_of_system(view.recipe, view.world, stage)
    place = place_of(view.world, found) if found is not None else None
    if place is not None:
        yield Goal(place, place)


def parameter(view: View, known: Index, found: Occurrence) -> Bound | None:
    """The Python parameter that a key or an argument is given to."""
    name, call = found.thing.name, found.call
    if found.thing.sort is not Sort.VALUE or name.startswith("_"):
        return None
    if call is not None and call.sort is Sort.DATASET:
        dataset = view.recipe.datasets.get(call.name)
        path = class_of(dataset) if dataset is not None else ""
        return parameter_of(view.world, path, name) if path else None
    kind, owner = found.thing.owner
    settings = kind == "dataset" and len(found.thing.place) == 2
    if settings and found.thing.place[0] in {"builder", "create_dataset"}:
        dataset = view.recipe.datasets.get(owner)
        path = builder_path(dataset) if dataset is not None else ""
        return builder_parameter(view.world, path, name) if path else None
    if call is not None and call.sort is Sort.PYTHON:
        return parameter_of(view.world, call.name, name)
    block = described(known, found.thing).block
    path = CALLED_BY_KEYS.get(block.name, "") if block is not None and call is None else ""
    return plain_parameter(view.world, path, name) if path else None
