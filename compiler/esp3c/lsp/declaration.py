"""`textDocument/declaration`: where the recipe itself declares a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.leads import Found, leading
from esp3c.query.definitions import declaration

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_DECLARATION


def handle(server: EspServer, params: types.DeclarationParams) -> Found:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    found = declaration(document.view(), document.lines.offset(params.position))
    return leading(server, document, found, "declaration")
