"""The texts that the editor has open, each as its last change left it, and what the compiler read in them.

pygls keeps texts as well, but counts lines as Python does (a form feed ends one there); so this server keeps its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pygls import uris

from esp3c.lsp.text import Change, Lines, edited
from esp3c.lsp.worlds import Worlds
from esp3c.query.view import View, in_world, view
from esp3c.source import Source
from esp3c.syntax.again import Rereader


def path_of(uri: str) -> Path:
    """The file of a URI; for one that names no file (an unsaved text), a name below the working folder."""
    found = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return Path(found) if found else Path.cwd() / (uri.rpartition("/")[2].rpartition(":")[2] or "untitled.esp")


def uri_of(path: str | Path) -> str:
    """The URI of a file, without `..`: an editor would take it for another file."""
    return Path(os.path.abspath(path)).as_uri()


class Document:
    """One open text. `version` is the client's, and grows with every change."""

    def __init__(self, uri: str, version: int, lines: Lines, worlds: Worlds) -> None:
        self.uri = uri
        self.path = path_of(uri)
        self.version = version
        self.encoding = lines.encoding
        self.lines = lines
        self._worlds = worlds
        self._view: View | None = None
        self._reader = Rereader()

    @property
    def text(self) -> str:
        return self.lines.text

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def is_recipe(self) -> bool:
        return self.path.suffix == ".esp" or self.path.suffix not in {".yaml", ".yml", ".py"}

    def change(self, version: int, changes: Sequence[Change]) -> None:
        self.lines = edited(self.lines, changes)
        self.version = version
        self._view = None

    def view(self) -> View:
        """What is read in the text as it is now, in the world as it is now."""
        world = self._worlds.of(self.folder)
        if self._view is not None and self._view.world is not world:
            self._view = in_world(self._view, world)
        if self._view is None:
            self._view = view(Source(str(self.path), self.text), world, self._reader)
        return self._view


class Documents:
    """All open texts, by their URI."""

    def __init__(self, worlds: Worlds) -> None:
        self.worlds = worlds
        self.encoding = "utf-16"
        self._open: dict[str, Document] = {}

    def open(self, uri: str, version: int, text: str) -> Document:
        document = Document(uri, version, Lines(text, self.encoding), self.worlds)
        self._open[uri] = document
        return document

    def change(self, uri: str, version: int, changes: Sequence[Change]) -> Document | None:
        document = self._open.get(uri)
        if document is not None:
            document.change(version, changes)
        return document

    def close(self, uri: str) -> None:
        closed = self._open.pop(uri, None)
        if closed is not None and all(each.folder != closed.folder for each in self._open.values()):
            self.worlds.forget(closed.folder)

    def get(self, uri: str) -> Document | None:
        return self._open.get(uri)

    def recipe(self, uri: str) -> Document | None:
        """The open recipe of this URI; None for any other text."""
        found = self._open.get(uri)
        return found if found is not None and found.is_recipe else None

    def recipes(self) -> list[Document]:
        return [each for each in self._open.values() if each.is_recipe]
