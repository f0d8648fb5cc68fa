"""A language server without a client: texts are opened by hand, and handlers are called."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lsprotocol import types

from esp3c import pipeline
from esp3c.lsp.documents import Document
from esp3c.lsp.server import make_server
from esp3c.lsp.session import EspServer
from esp3c.lsp.worlds import Worlds
from esp3c.world import World

URI = "file:///recipes/digits/recipe.esp"


class _OneWorld(Worlds):
    """Every folder is in the same world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def of(self, folder: Path) -> Any:
        return self._world


def editor(world: World, encoding: str = "utf-16", **text_document: Any) -> EspServer:
    """A server for a client with these capabilities of `textDocument`."""
    server = make_server(_OneWorld(world))
    server.documents.encoding = encoding
    server.protocol.client_capabilities = types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(**text_document)
    )
    return server


def opened(server: EspServer, text: str, uri: str = URI) -> Document:
    return server.documents.open(uri, 1, text)


def told(server: EspServer, document: Document) -> None:
    """Checks a document, as if what there is to say had been published."""
    view = document.view()
    found = pipeline.compile(view.source, view.world).diagnostics
    server.checking.known[document.uri] = (document.version, found)


def identifier(document: Document) -> types.TextDocumentIdentifier:
    return types.TextDocumentIdentifier(document.uri)


def edited(document: Document, edits: Iterable[types.TextEdit]) -> str:
    """The text after edits of the protocol, which all refer to the text as it is."""
    text = document.text
    places = [
        (document.lines.offset(each.range.start), document.lines.offset(each.range.end), each.new_text)
        for each in edits
    ]
    ordered = sorted(places, key=lambda each: each[:2])
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(ordered)), "edits must not overlap"
    for start, end, new in reversed(ordered):
        text = text[:start] + new + text[end:]
    return text
