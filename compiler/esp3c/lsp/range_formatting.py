"""`textDocument/rangeFormatting`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.format import Unfaithful
from esp3c.lsp.edits import text_edits
from esp3c.query.formatting import within

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_RANGE_FORMATTING

log = logging.getLogger(__name__)


def handle(server: EspServer, params: types.DocumentRangeFormattingParams) -> list[types.TextEdit] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    start, end = document.lines.offset(params.range.start), document.lines.offset(params.range.end)
    try:
        return text_edits(document, within(document.view(), start, end))
    except Unfaithful:
        log.exception("%s was not formatted: it would not say the same", document.uri)
        return None
