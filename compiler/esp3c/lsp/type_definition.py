"""`textDocument/typeDefinition`: the Python class behind a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.leads import Found, leading
from esp3c.query.type_definitions import type_definition

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_TYPE_DEFINITION


def handle(server: EspServer, params: types.TypeDefinitionParams) -> Found:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    found = type_definition(document.view(), document.lines.offset(params.position))
    return leading(server, document, found, "type_definition")
