"""`textDocument/definition`: from names of a recipe to what they name, and from generated files back to the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.generated_files import back
from esp3c.lsp.leads import Found, leading
from esp3c.query.definitions import definition

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_DEFINITION


def handle(server: EspServer, params: types.DefinitionParams) -> Found:
    document = server.documents.get(params.text_document.uri)
    if document is None:
        return None
    if not document.is_recipe:
        return back(server, document, params.position)
    found = definition(document.view(), document.lines.offset(params.position))
    return leading(server, document, found, "definition")
