"""What a recipe offers to a command line: its stages, places, runs, and the settings that `--set` takes.

The recipe is parsed and its `extends` are followed; no name is looked up and no Python is read, so an answer takes little more than
starting does. A recipe with mistakes offers what can be read of it, and one that is not there offers nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from esp3c.cli.common import recipe_path
from esp3c.cli.complete_answer import Answer
from esp3c.cli.places import DEBUG, HERE, names_of
from esp3c.disk import UnreadableRecipe, read_recipe
from esp3c.resolve.declarations import Declarations, declare
from esp3c.resolve.moved import ALL
from esp3c.resolve.shapes import Kind, Shape
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS, OWN, RECIPE
from esp3c.source import Source
from esp3c.syntax import ast
from esp3c.syntax.parse import parse

NEW = "new "
"""Stands before a key that the recipe does not have yet."""

_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_LONGEST = 48


def stages(named: str, there: Sequence[str]) -> list[Answer]:
    """The stages of a recipe in their order, without those that are there already, and `all`."""
    lines = [line for each in _read(named).stages for line in each.stages if line.name.text]
    taken = names_of(list(there))
    # zsh lists words that have a description before those that have none.
    found = [
        Answer(line.name.text, _clauses(line) or f"stage {number}")
        for number, line in enumerate(lines, 1)
        if line.name.text not in taken
    ]
    return [*found, Answer(ALL, "all stages")] if lines and not taken else found


def _clauses(line: ast.StageLine) -> str:
    parts = [f"requires {', '.join(name.text for name in names)}" for names in line.requires]
    parts += [f"runs {path.dotted}" for path in line.runs]
    return " ".join([*parts, *(f"on {name.text}" for name in line.on)])


def places(named: str) -> list[Answer]:
    """The places of `--on`."""
    found = [Answer(name, _text(each.value)) for name, each in _read(named).parallels.items()]
    here = [Answer(HERE, "processes of this machine"), Answer(DEBUG, "this one process")]
    return [*(each for each in found if each.word not in (HERE, DEBUG)), *here]


def runs(named: str) -> list[Answer]:
    """The runs of a recipe on a cluster, the last one first."""
    folder = named if os.path.isdir(named) else os.path.dirname(named) or "."
    root = os.path.join(folder, ".esp3c", "runs")
    try:
        names = sorted((name for name in os.listdir(root) if _RUN.fullmatch(name)), reverse=True)
    except OSError:
        return []
    return [Answer(name, _stages_of(os.path.join(root, name))) for name in names]


def _stages_of(run: str) -> str:
    import json

    try:
        with open(os.path.join(run, "run.json"), encoding="utf-8") as handle:
            return " ".join(map(str, json.load(handle).get("stages", ())))
    except (OSError, ValueError, AttributeError, TypeError):
        return ""


def settings(named: str, text: str, several: bool = False) -> Iterator[Answer]:
    """What may stand behind `--set`: one more part of a key, or what is behind its `=`. `several`: values with commas."""
    new = NEW if text.startswith(NEW) else ""
    key, equals, value = text[len(new) :].partition("=")
    declared = _read(named)
    if equals:
        kept = value[: value.rfind(",") + 1] if several else ""
        there = kept.split(",")
        for each in _values(declared, key.split(".")):
            if each.word not in there:
                yield Answer(f"{new}{key}={kept}{each.word}", each.what)
        return
    above = key.rpartition(".")[0]
    for name, ending, what in _steps(declared, above.split(".") if above else [], bool(new)):
        yield Answer(f"{new}{above}{'.' if above else ''}{name}{ending}", what)


# -- keys -----------------------------------------------------------------------------------------------------------------


def _steps(declared: Declarations, above: Sequence[str], new: bool) -> Iterator[tuple[str, str, str]]:
    """The names that may follow, each with how the key goes on, and what it is."""
    names = declared.names
    if not above:
        yield from ((name, ".", declared.kinds.get(name) or "a config of its own") for name in names.configs)
        if names.recipe is not None:
            yield "recipe", ".", "the experiment"
        if not new:
            yield from ((name, _ending(each.root), _text(each.root.value)) for name, each in names.lets.items())
        return
    shape = _shape(declared, above)
    if shape is None or shape.kind not in {Kind.MAP, Kind.CALL}:
        return
    known = _type(declared, above)
    for name, child in shape.children.items():
        # A new key stands in a block that is there.
        offered = _ending(child) == "." if new else [*above, name] != ["recipe", "system"]
        if offered and name.isidentifier():
            key = _key(known, name)
            yield (
                name,
                _ending(child),
                "; ".join(filter(None, (_text(child.value), key.doc if key is not None else ""))),
            )
    absent = [key for key in _keys(known) if key.name not in shape.children]
    if not new:
        absent = [key for key in absent if list(above) == ["recipe"] and key.name in _ALWAYS]
    yield from ((key.name, "=", key.doc) for key in absent)


_ALWAYS = {"exp_tag", "seed"}
"""What every recipe has, written or not."""


def _ending(shape: Shape) -> str:
    return "." if shape.kind in {Kind.MAP, Kind.CALL} and shape.children else "="


def _shape(declared: Declarations, place: Sequence[str]) -> Shape | None:
    names = declared.names
    owner = names.configs.get(place[0]) or names.lets.get(place[0])
    if place[0] == "recipe":
        owner = names.recipe
    shape = owner.root if owner is not None else None
    for part in place[1:]:
        shape = shape.children.get(part) if shape is not None else None
    return shape


# -- what the schema says -----------------------------------------------------------------------------------------------


def _type(declared: Declarations, place: Sequence[str]) -> t.Type | None:
    """The type of the value at a place, as far as the schema has one."""
    if place[0] in declared.names.configs:
        type: t.Type | None = t.Inside(CONFIGS.get(declared.kinds.get(place[0], ""), OWN))
    else:
        type = t.Inside(RECIPE) if place[0] == "recipe" else None
    for part in place[1:]:
        key = _key(type, part)
        type = key.type if key is not None else None
    return type


def _key(type: t.Type | None, name: str) -> t.Key | None:
    match type:
        case t.Inside(block):
            return block.key(name)
        case t.MapOf(value):
            return t.Key(name, value, "")
        case t.Either(options):
            return next(filter(None, (_key(option, name) for option in options)), None)
        case _:
            return None


def _keys(type: t.Type | None) -> Iterable[t.Key]:
    match type:
        case t.Inside(block):
            return block.keys
        case t.Either(options):
            return [key for option in options for key in _keys(option)]
        case _:
            return ()


def _values(declared: Declarations, place: Sequence[str]) -> Iterator[Answer]:
    """The values of a key that can be counted, that of the recipe first."""
    shape, type = _shape(declared, place), _type(declared, place)
    found = list(dict.fromkeys(_closed(declared, type))) if type is not None else []
    now = shape.value if shape is not None else None
    if isinstance(now, ast.Constant) and now.value is not None and not found:
        found = ["true", "false"]
    written = now.span.text if now is not None else ""
    if written in found:
        yield Answer(written, "as it is")
    yield from (Answer(word) for word in found if word != written)
    if not found:
        yield from (Answer(name, _text(each.value)) for name, each in declared.lets.items() if name != place[0])


def _closed(declared: Declarations, type: t.Type) -> Iterator[str]:
    match type:
        case t.OneOf(words):
            yield from (f'"{word}"' for word in words)
        case t.Plain("bool"):
            yield from ("true", "false")
        case t.ParallelUse():
            yield from declared.parallels
        case t.Plain("null"):
            yield "null"
        case t.Either(options):
            found = [word for option in options for word in _closed(declared, option)]
            # That a value may be taken away says nothing of those that it may have.
            yield from found if found != ["null"] else ()
        case _:
            return


# -- reading --------------------------------------------------------------------------------------------------------------


def _read(named: str) -> Declarations:
    path = recipe_path(os.path.join(named, "recipe.esp") if os.path.isdir(named) else named)
    try:
        source = read_recipe(path, os.fspath(path))
    except (UnreadableRecipe, ValueError):
        source = Source("", "")
    file, _ = parse(source)
    return declare(file, (), [])


def _text(value: ast.Value) -> str:
    """A value as it stands, on one line; the beginning of one that is long."""
    match value:
        case ast.Block():
            return "a block"
        case ast.Call(path) if path.dotted not in BACKENDS:
            return f"{path.dotted}(…)"
        case _:
            text = " ".join(value.span.text.split())
            return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
