"""`textDocument/documentHighlight`: where the name at the cursor stands as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.query.occurrences import Role
from esp3c.query.references import references

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT


def handle(server: EspServer, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    return [
        types.DocumentHighlight(
            document.lines.range(each.span.start, each.span.end),
            types.DocumentHighlightKind.Read if each.role is Role.USED else types.DocumentHighlightKind.Write,
        )
        for each in references(document.view(), document.lines.offset(params.position))
    ]
