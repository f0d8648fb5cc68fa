"""`textDocument/onTypeFormatting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.edits import text_edits
from esp3c.query.formatting import typed

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_ON_TYPE_FORMATTING


def options() -> types.DocumentOnTypeFormattingOptions:
    return types.DocumentOnTypeFormattingOptions("}", ["]", ")", "\n"])


def handle(server: EspServer, params: types.DocumentOnTypeFormattingParams) -> list[types.TextEdit] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    return text_edits(document, typed(document.view(), document.lines.offset(params.position), params.ch))
