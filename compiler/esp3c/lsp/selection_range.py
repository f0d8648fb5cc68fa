"""`textDocument/selectionRange`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.documents import Document
from esp3c.query.selection import around

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_SELECTION_RANGE


def handle(server: EspServer, params: types.SelectionRangeParams) -> list[types.SelectionRange] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    return [_around(document, position) for position in params.positions]


def _around(document: Document, position: types.Position) -> types.SelectionRange:
    outer: types.SelectionRange | None = None
    for start, end in reversed(around(document.view(), document.lines.offset(position))):
        outer = types.SelectionRange(document.lines.range(start, end), outer)
    assert outer is not None
    return outer
