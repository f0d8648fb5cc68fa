"""`workspace/symbol`: the declarations of all recipes of the workspace, open or not."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lsprotocol import types

from esp3c.disk import UnreadableRecipe, read_recipe
from esp3c.lsp.documents import path_of, uri_of
from esp3c.lsp.outline import KINDS
from esp3c.lsp.text import Lines
from esp3c.query.symbols import Symbol, SymbolKind, matches, symbols

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.WORKSPACE_SYMBOL

MOST_FOLDERS = 5_000
MOST_RECIPES = 500
MOST_FOUND = 300
LOOK_AGAIN = 3.0
"""Seconds for which it is believed which recipes there are: one asks for a name letter by letter."""

NOT_ENTERED = frozenset({"exp", "data", "node_modules", "__pycache__", "venv", "site-packages"})
"""Folders in which no recipe is looked for, beside hidden ones."""

_NAMED = frozenset(
    {SymbolKind.RECIPE, SymbolKind.DATASET, SymbolKind.CONFIG, SymbolKind.PARALLEL, SymbolKind.LET, SymbolKind.STAGE}
)

log = logging.getLogger(__name__)


class _Known:
    """What was found on disk last: the recipes, and the symbols of each as long as its file is the same."""

    def __init__(self) -> None:
        self.looked = float("-inf")
        self.paths: list[Path] = []
        self.symbols: dict[Path, tuple[tuple[int, int], Lines, list[tuple[Symbol, str]]]] = {}


_KNOWN: WeakKeyDictionary[EspServer, _Known] = WeakKeyDictionary()


def handle(server: EspServer, params: types.WorkspaceSymbolParams) -> list[types.SymbolInformation]:
    found: list[tuple[int, str, types.SymbolInformation]] = []
    for uri, lines, named in _recipes(server):
        for symbol, inside in named:
            fits = matches(params.query, symbol.name)
            if fits is not None:
                place = types.Location(uri, lines.range(symbol.selected.start, symbol.selected.end))
                information = types.SymbolInformation(place, symbol.name, KINDS[symbol.kind], container_name=inside)
                found.append((fits, symbol.name, information))
    found.sort(key=lambda each: each[:2])
    return [each for _, _, each in found[:MOST_FOUND]]


def _recipes(server: EspServer) -> Iterator[tuple[str, Lines, list[tuple[Symbol, str]]]]:
    """Every recipe with its symbols: an open text as it is, all others as they are on disk."""
    open_ones = {document.path.resolve(): document for document in server.documents.recipes()}
    for document in open_ones.values():
        yield document.uri, document.lines, list(_named(symbols(document.view().file), document.folder.name))
    known = _KNOWN.setdefault(server, _Known())
    if time.monotonic() - known.looked > LOOK_AGAIN:
        known.paths = list(_on_disk(_folders(server)))
        known.looked = time.monotonic()
    for path in known.paths:
        if path not in open_ones:
            read = _read(known, path, server.documents.encoding)
            if read is not None:
                yield uri_of(path), *read


def _read(known: _Known, path: Path, encoding: str) -> tuple[Lines, list[tuple[Symbol, str]]] | None:
    from esp3c.syntax.parse import parse

    try:
        facts = path.stat()
        if not S_ISREG(facts.st_mode):
            # Of a pipe nothing may ever come.
            return None
        state = (facts.st_mtime_ns, facts.st_size)
        before = known.symbols.get(path)
        if before is None or before[0] != state:
            source = read_recipe(path, str(path))
            file, _ = parse(source)
            named = list(_named(symbols(file), path.parent.name))
            before = known.symbols[path] = (state, Lines(source.text, encoding), named)
    except (OSError, UnreadableRecipe) as error:
        log.info("%s is left out: %s", path, error)
        return None
    return before[1], before[2]


def _named(found: tuple[Symbol, ...], inside: str) -> Iterator[tuple[Symbol, str]]:
    for each in found:
        if each.kind in _NAMED:
            yield each, inside
        if each.kind is SymbolKind.STAGES:
            yield from _named(each.children, inside)


def _folders(server: EspServer) -> list[Path]:
    """The folders of the workspace; those of the open recipes where the client has none."""
    try:
        workspace = server.workspace
    except RuntimeError:
        # Nothing has been said of a workspace yet.
        return [each.folder for each in server.documents.recipes()]
    uris = list(workspace.folders) or ([workspace.root_uri] if workspace.root_uri else [])
    folders = [path_of(uri) for uri in uris if uri.startswith("file:")]
    return folders or [each.folder for each in server.documents.recipes()]


def _on_disk(folders: list[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    entered = 0
    for top in folders:
        for folder, inner, files in os.walk(top):
            entered += 1
            if entered > MOST_FOLDERS or len(seen) >= MOST_RECIPES:
                log.warning("only %d recipes are searched for symbols", len(seen))
                return
            inner[:] = sorted(each for each in inner if each not in NOT_ENTERED and not each.startswith("."))
            for name in sorted(files):
                path = Path(folder, name).resolve() if name.endswith(".esp") else None
                if path is not None and path not in seen:
                    seen.add(path)
                    yield path
