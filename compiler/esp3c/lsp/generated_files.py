"""From a file that `esp3c build` wrote back to the recipe.

The manifest beside the files says where each of their values stood in the recipe when it was built. Where the recipe has
changed since, its values are found by their keys in what it is now; where the file has, by the places of its YAML.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from esp3c.disk import UnreadableRecipe, read_recipe
from esp3c.emit.files import MANIFEST
from esp3c.emit.manifest import digest
from esp3c.ir import Place
from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document, uri_of
from esp3c.lsp.text import Lines
from esp3c.query.generated import Traced, dotted, traced, writings
from esp3c.query.view import View, view
from esp3c.record import record

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

MOST_ABOVE = 4
"""In how many folders above a file its manifest is looked for."""

_MOST_BYTES = 64_000_000
_KEY = re.compile(r"^\s*(?:-\s+)*(?P<key>[^\s#:][^:]*?)\s*:(?:\s|$)")

log = logging.getLogger(__name__)


@record
class _Built:
    """A build: the folder of its files, its manifest, and the path of a file in it."""

    folder: Path
    manifest: dict[str, Any]
    file: str


@record
class _Recipe:
    """The recipe of a build as it is now: open, or on disk."""

    uri: str
    lines: Lines
    view: View


def back(
    server: EspServer, document: Document, position: types.Position
) -> list[types.LocationLink] | list[types.Location] | None:
    """The place of the recipe from which a value of a generated file comes; None for any other file."""
    built = _built(document.path)
    recipe = _recipe_of(server, built) if built is not None else None
    if built is None or recipe is None:
        return None
    offset = document.lines.offset(position)
    found = _in_yaml(built, recipe, document.text, offset) or _by_lines(built, recipe, document.text, offset)
    if found is None:
        return None
    target = recipe.lines.range(*found)
    if not asked(server, "text_document.definition.link_support"):
        return [types.Location(recipe.uri, target)]
    return [types.LocationLink(recipe.uri, target, target)]


# -- the build ------------------------------------------------------------------------------------------------------------


def _built(path: Path) -> _Built | None:
    for folder in path.parents[:MOST_ABOVE]:
        manifest = _json(folder / MANIFEST)
        if manifest is not None:
            file = path.relative_to(folder).as_posix()
            return _Built(folder, manifest, file) if file in manifest.get("files", {}) else None
    return None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        log.info("%s cannot be read: %s", path, error)
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def _recipe_of(server: EspServer, built: _Built) -> _Recipe | None:
    name, above = built.manifest.get("recipe"), built.manifest.get("recipe_dir")
    if not isinstance(name, str) or not isinstance(above, str):
        return None
    path = (built.folder / above / name).resolve()
    for each in server.documents.recipes():
        if each.path.resolve() == path:
            return _Recipe(each.uri, each.lines, each.view())
    if not path.is_file():
        # Nor anything that would have to be waited for, such as a pipe.
        return None
    try:
        source = read_recipe(path, str(path))
    except UnreadableRecipe as error:
        log.info("%s", error)
        return None
    lines = Lines(source.text, server.documents.encoding)
    return _Recipe(uri_of(path), lines, view(source, server.documents.worlds.of(path.parent)))


def _same_recipe(built: _Built, recipe: _Recipe) -> bool:
    """Whether the recipe is the text that was built, so that its places are those of the manifest."""
    return bool(built.manifest.get("recipe_sha256") == digest(recipe.view.source.text))


# -- configs --------------------------------------------------------------------------------------------------------------


def _in_yaml(built: _Built, recipe: _Recipe, text: str, offset: int) -> tuple[int, int] | None:
    """By the place in the YAML as it is now."""
    if not built.file.endswith((".yaml", ".yml")):
        return None
    place = yaml_place(text, offset)
    if place is None:
        return None
    if _same_recipe(built, recipe):
        known = {each.at: each for each in reversed(traced(built.manifest, built.file))}
        for depth in range(len(place), 0, -1):
            found = known.get(dotted(place[:depth]))
            if found is not None:
                return found.start, found.end
    config = Path(built.file).stem
    written = writings(recipe.view).at(config, place)
    if written is not None:
        return written.span.start, written.span.end
    declared = recipe.view.recipe.configs.get(config)
    return (declared.name_span.start, declared.name_span.end) if declared is not None else None


def yaml_place(text: str, offset: int) -> Place | None:
    """The keys and positions that lead to the value at an offset of a YAML text; None where it cannot be read."""
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        log.info("the YAML cannot be read: %s", error)
        return None
    place: list[str | int] = []
    seen: set[int] = set()
    # An alias may lead back to what it stands in.
    while node is not None and id(node) not in seen:
        seen.add(id(node))
        step, node = _step(node, offset)
        if step is None:
            break
        place.append(step)
    return tuple(place)


def _step(node: Any, offset: int) -> tuple[str | int | None, Any]:
    """The entry of a node in which an offset is, and its value where the offset is behind the key."""
    last: tuple[str | int | None, Any] = (None, None)
    if node.id == "mapping":
        for key, value in node.value:
            if key.start_mark.index > offset:
                break
            # Between a key and its value, and behind it on its line, it is still this entry.
            last = (str(key.value), value if offset >= value.start_mark.index else None)
    elif node.id == "sequence":
        for number, item in enumerate(node.value):
            if item.start_mark.index > offset and number:
                break
            last = (number, item)
    return last


# -- what has no places of its own ----------------------------------------------------------------------------------------


def _by_lines(built: _Built, recipe: _Recipe, text: str, offset: int) -> tuple[int, int] | None:
    """By the lines of the manifest in a file as it was built; in an edited one by the word or the key at the place."""
    values = traced(built.manifest, built.file)
    if not values:
        return None
    line = text.count("\n", 0, offset) + 1
    found: Traced | None
    if built.manifest["files"][built.file].get("sha256") == digest(text):
        exact = [each for each in values if each.line == line]
        # The lines of a method belong to its first one.
        above = [each for each in values if each.line <= line and built.file == "system.py"]
        found = next(iter(exact), None) or max(above, key=lambda each: each.line, default=None)
    else:
        found = min(
            (each for word in _words(text, offset) for each in values if word in {each.at, _last(each.at)}),
            key=lambda each: abs(each.line - line),
            default=None,
        )
    if found is None:
        return None
    if _same_recipe(built, recipe):
        return found.start, found.end
    return _by_name(recipe, found)


def _words(text: str, offset: int) -> Iterator[str]:
    """The key of the line, and the word at the place."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)]
    key = _KEY.match(line)
    if key is not None:
        yield key["key"].strip("\"'")
    for word in re.finditer(r"\w+", line):
        if word.start() <= offset - start <= word.end():
            yield word.group()


def _last(at: str) -> str:
    return at.rpartition(".")[2]


def _by_name(recipe: _Recipe, found: Traced) -> tuple[int, int] | None:
    """A stage, a config or the System of a recipe that has changed since it was built."""
    known = recipe.view.recipe
    names = {part for part in found.at.split(".") if part}
    for stage in known.stages:
        if stage.name in names:
            return stage.name_span.start, stage.name_span.end
    for config in known.configs.values():
        if names & {config.name, f"--{config.name}_config"}:
            return config.name_span.start, config.name_span.end
    if "system" in names and known.system is not None:
        return known.system.span.start, known.system.span.end
    return (known.span.start, known.span.end) if "class" in names else None
