"""Where the Python class or function behind a name of the recipe stands."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.ir import CallNode, DatasetNode, Node, PythonNode
from esp3c.query.definitions import Goal, Leads, leads, parameter, to_method, to_python
from esp3c.query.nodes import node_of
from esp3c.query.occurrences import Occurrence, Role, index
from esp3c.query.python_places import annotated, class_of, place_of
from esp3c.query.view import View
from esp3c.query.ways import Sort


def type_definition(view: View, offset: int) -> Leads | None:
    """What makes the value that is named at an offset; of a dataset its class, of an argument its annotation."""
    found = index(view).at(offset)
    return leads(found, _types(view, found)) if found is not None else None


def _types(view: View, found: Occurrence) -> Iterator[Goal]:
    thing = found.thing
    match thing.sort:
        case Sort.DATASET:
            yield from _dataset_class(view, thing.name)
        case Sort.FIELD:
            yield from _dataset_class(view, thing.owner[1])
        case Sort.STAGE | Sort.METHOD:
            line = next((each for each in view.recipe.stages if each.name == thing.name), None)
            if line is not None and isinstance(line.runs, PythonNode):
                yield from to_python(view, line.runs.target.path)
            else:
                yield from to_method(view, thing.name)
        case Sort.RECIPE:
            if view.recipe.system is not None:
                yield from to_python(view, view.recipe.system.path)
        case Sort.PYTHON:
            yield from to_python(view, thing.name)
        case Sort.VALUE | Sort.LET:
            made = list(_made(view, node_of(view.recipe, thing)))
            yield from made
            if not made and found.role is not Role.USED:
                yield from _annotation(view, found)


def _dataset_class(view: View, name: str) -> Iterator[Goal]:
    dataset = view.recipe.datasets.get(name)
    path = class_of(dataset) if dataset is not None else ""
    if path:
        yield from to_python(view, path)


def _made(view: View, node: Node | None) -> Iterator[Goal]:
    match node:
        case CallNode() | PythonNode():
            yield from to_python(view, node.target.path)
        case DatasetNode():
            yield from _dataset_class(view, node.dataset)


def _annotation(view: View, found: Occurrence) -> Iterator[Goal]:
    bound = parameter(view, index(view), found)
    named = annotated(view.world, bound) if bound is not None else None
    place = place_of(view.world, named) if named is not None else None
    if place is not None:
        yield Goal(place, place)
