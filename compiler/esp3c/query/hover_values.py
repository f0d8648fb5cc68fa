"""What is shown of keys, arguments and references: what they mean, what they are in the end, and where they are written."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.emit.machines import for_dask_jobqueue, for_submitit
from esp3c.graph.folders import folder
from esp3c.ir import Scalar
from esp3c.query.definitions import parameter
from esp3c.query.described import Described, described
from esp3c.query.generated import Written, writings
from esp3c.query.hover_parts import Code, Part, Said, code
from esp3c.query.hover_python import parameter as python_parameter
from esp3c.query.nodes import node_of
from esp3c.query.occurrences import Index, Occurrence, Role
from esp3c.query.python_places import builder_path, class_of
from esp3c.query.values_shown import followed, home_of, lines_of, measured, name_of, text_of
from esp3c.query.view import View
from esp3c.query.ways import Sort, Thing, Value, of_value
from esp3c.resolve.scopes import walk
from esp3c.schema import types as t
from esp3c.schema.backends import JOB_QUEUES
from esp3c.schema.blocks import SCAFFOLD
from esp3c.syntax import ast

MOST_PLACES = 3
"""How many different places of a value in the generated configs are shown."""


def key(view: View, index: Index, found: Occurrence) -> list[Part]:
    """A key or an argument where it is set."""
    known = described(index, found.thing)
    parts: list[Part] = []
    bound = parameter(view, index, found)
    path = _called(view, found, known)
    if bound is not None and path and known.key is None:
        parts += python_parameter(view.world, bound, path)
    elif known.key is not None:
        parts += schema_key(known.key)
    elif index.same(found.thing).sort is Sort.STAGE:
        parts.append(Said(f"settings of the stage `{found.thing.name}`"))
    elif known.type is not None:
        parts.append(Said(f"`{found.thing.name}`: {t.words(known.type)}"))
    elif found.call is not None and found.call.sort is not Sort.BACKEND:
        parts.append(Said(f"argument of {code(found.call.name)}"))
    elif known.block is not None and not known.block.open:
        # A mistake, of which its diagnostic says more: no stage will look at it.
        return []
    else:
        parts.append(Said(f"`{found.thing.name}`: a key of the recipe's own"))
    parts += _replaced(index, found)
    parts += _handed(view, index, found.thing)
    parts += _places(view, found.thing)
    return parts


def schema_key(known: t.Key) -> list[Part]:
    """What a key means, what it takes, and what it is where it is not set."""
    takes = t.words(known.type)
    if known.numbers is not None:
        takes += f": {known.numbers.words}"
    if known.text is not None:
        takes += f"; text is {known.text.words}"
    parts: list[Part] = [Said(f"`{known.name}`: {known.doc}")]
    if known.type != t.ANY or known.numbers is not None or known.text is not None:
        parts.append(Said(f"Takes {takes}."))
    if known.default is not None:
        default = known.default if "`" in known.default or " " in known.default.strip('"') else f"`{known.default}`"
        parts.append(Said(f"Where it is not set: {default}."))
    return parts


def _called(view: View, found: Occurrence, known: Described) -> str:
    """The path of what gets an argument."""
    call = found.call
    if call is not None and call.sort is Sort.DATASET:
        dataset = view.recipe.datasets.get(call.name)
        return class_of(dataset) if dataset is not None else ""
    if found.thing.owner[0] == "dataset" and len(found.thing.place) == 2:
        dataset = view.recipe.datasets.get(found.thing.owner[1])
        return builder_path(dataset) if dataset is not None else ""
    return call.name if call is not None and call.sort is Sort.PYTHON else ""


def _replaced(index: Index, found: Occurrence) -> Iterator[Part]:
    """What the base has, of a key that a config takes over."""
    first = index.same(found.thing)
    if found.role is not Role.SET or first == found.thing:
        return
    shape = index.shape(first)
    if shape is not None:
        yield Said(f"in place of what `{first.owner[1]}` has:")
        yield Code(f"{name_of(first)} = {lines_of(shape.span)}")


def _handed(view: View, index: Index, thing: Thing) -> Iterator[Part]:
    """What a scheduler is told, where that is another unit than the recipe's."""
    owner = index.owner(thing)
    if owner is None or owner.kind != "parallel" or len(thing.place) != 1:
        return
    machine = view.recipe.parallels.get(owner.name)
    value = node_of(view.recipe, thing)
    number = value.value if isinstance(value, Scalar) else None
    if machine is None or isinstance(number, bool) or not isinstance(number, int | float):
        return
    backend = getattr(machine.value, "backend", "")
    if backend == "slurm":
        written = for_submitit(thing.name, number)
    else:
        written = for_dask_jobqueue(backend, thing.name, number) if backend in JOB_QUEUES else None
    if written is not None:
        unit = " (minutes)" if backend == "slurm" and thing.name == "time" else ""
        yield Said(f"handed over as `{written}`{unit}")


def _places(view: View, thing: Thing) -> Iterator[Part]:
    """Where a value stands in the generated configs."""
    found: list[Written] = writings(view).of(thing.owner, thing.place)
    files: dict[str, dict[str, None]] = {}
    for each in {each.config: each for each in reversed(found)}.values():
        files.setdefault(each.dotted, {})[f"`{each.path}`"] = None
    for at, paths in list(files.items())[:MOST_PLACES]:
        yield Said(f"{code(at)} in {', '.join(reversed(paths))}")


# -- references ---------------------------------------------------------------------------------------------------------


def reference(view: View, index: Index, found: Occurrence) -> list[Part]:
    """A name of a value where it is used: what it stands for, and by which way."""
    thing = found.thing
    owner = index.owner(thing)
    shape = walk(owner.root, thing.place) if owner is not None else None
    if owner is None or shape is None:
        return []
    end = followed(index, owner, thing.place, shape)
    parts: list[Part] = []
    if isinstance(end.end, Value):
        parts.append(Code(f"{name_of(thing)} = {lines_of(end.end.shape.span)}"))
        base = measured(end.end.shape)
        if base:
            parts.append(Said(f"{code(end.end.shape.span.text)} is {base}"))
        parts += _written_out(view, index, found, end.end)
    elif end.end is not None:
        parts.append(Code(f"{name_of(thing)} = {end.by[-1]}"))
        if end.end.sort is Sort.COMMON:
            parts += common(view, index, end.end.name, found.span.start)
    if end.by:
        way = " → ".join(code(each) for each in (name_of(thing), *end.by))
        parts.append(Said(f"by way of {way}"))
    known = described(index, thing)
    if known.key is not None:
        parts.append(Said(f"`{known.key.name}`: {known.key.doc}"))
    return parts


def _written_out(view: View, index: Index, found: Occurrence, value: Value) -> Iterator[Part]:
    """The text of a value that has names in it."""
    shape = value.shape.value
    if isinstance(shape, ast.Text) and shape.plain is None:
        config = value.owner.name if value.owner.is_config else home_of(index, found.span.start)
        yield from resolved(view, config, of_value(value.owner, value.place))


def resolved(view: View, config: str, thing: Thing) -> Iterator[Part]:
    """A text with its names replaced by what they stand for, as far as the recipe says that."""
    text = text_of(view.recipe, config, node_of(view.recipe, thing))
    if text is not None:
        yield Code(text, "text")


def common(view: View, index: Index, name: str, offset: int) -> list[Part]:
    """A key that every config has: what it is, where nothing sets it, and in the config of a place."""
    known = next((each for each in SCAFFOLD if each.name == name), None)
    if known is None:
        return []
    config = home_of(index, offset)
    value = folder(view.recipe, config, name)
    parts: list[Part] = [Said(f"`{name}`: {known.doc}")]
    if not value.startswith("${"):
        parts.insert(0, Code(f"{name} = {value}", "text"))
    if known.default is not None:
        parts.append(Said(f"Where it is not set: {known.default if ' ' in known.default else code(known.default)}."))
    return parts
