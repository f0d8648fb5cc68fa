"""The files and folders that texts of a recipe name, where they are there."""

from __future__ import annotations

from esp3c.graph.folders import tidy
from esp3c.ir import Place, Recipe
from esp3c.query.nodes import node_of
from esp3c.query.occurrences import index
from esp3c.query.values_shown import text_of
from esp3c.query.view import View
from esp3c.query.ways import of_value
from esp3c.record import record
from esp3c.resolve.scopes import Owner
from esp3c.source import Span
from esp3c.syntax import ast
from esp3c.world import World, is_tag

LONGEST_PATH = 500

_LISTS_OF_FILES = frozenset({"include", "files", "yaml_files", "not_secret", "shape_files"})
"""Keys under which a bare word is a file too."""

_SOURCES = frozenset({"source", "data_src"})
_NO_PATH = frozenset('*?<>|"\n\r\t')


@record
class Link:
    """A text that names something on disk: `path` is seen from the recipe's folder, or absolute."""

    span: Span
    path: str


def links(view: View) -> tuple[Link, ...]:
    """Every text of a recipe that is the path of something that is there."""
    known = index(view)
    return tuple(
        link for value, owner, place in known.strings if (link := _link(view, value, owner, place)) is not None
    )


def _link(view: View, value: ast.Text, owner: Owner, place: Place) -> Link | None:
    text = _text(view, value, owner, place)
    quotes = 3 if value.span.text.startswith('"""') else 1
    span = Span(value.span.source, value.span.start + quotes, max(value.span.start + quotes, value.span.end - quotes))
    if not text or len(text) > LONGEST_PATH or "${" in text or _NO_PATH.intersection(text):
        return None
    if place and place[-1] in _SOURCES:
        found = _module(view.world, text)
        return Link(span, found) if found else None
    names = [step for step in place if isinstance(step, str)]
    listed = bool(_LISTS_OF_FILES.intersection(names))
    if not listed and "/" not in text and not _has_ending(text):
        return None
    path = tidy(text) if value.plain is None else text
    return Link(span, path) if path.strip("./") and view.world.has(path) else None


def _text(view: View, value: ast.Text, owner: Owner, place: Place) -> str | None:
    plain = value.plain
    if plain is not None:
        return plain
    config = owner.name if owner.is_config else _home(view.recipe)
    return text_of(view.recipe, config, node_of(view.recipe, of_value(owner, place)))


def _home(recipe: Recipe) -> str:
    """The config whose folders hold for what stands in none."""
    return "training" if "training" in recipe.configs else next(iter(recipe.configs), "training")


def _module(world: World, text: str) -> str:
    text = text.strip()
    spelled = is_tag(text) or all(part.isidentifier() for part in text.split("."))
    module = world.module(text) if spelled else None
    return module.place if module is not None and world.source(module) is not None else ""


def _has_ending(text: str) -> bool:
    stem, dot, ending = text.rpartition(".")
    return bool(stem and dot) and ending.isalnum() and len(ending) <= 5 and not text.replace(".", "").isdigit()
