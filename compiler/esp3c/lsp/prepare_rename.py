"""`textDocument/prepareRename`: whether the name at the cursor can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.rename import refusal
from esp3c.query.renames import Refused, prepare

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_PREPARE_RENAME


def handle(server: EspServer, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    try:
        found = prepare(document.view(), document.lines.offset(params.position))
    except Refused as error:
        raise refusal(error) from None
    return types.PrepareRenamePlaceholder(document.lines.range(found.span.start, found.span.end), found.name)
