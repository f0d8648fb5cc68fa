"""`textDocument/formatting`: what `esp3c fmt` does.

The one form ends with one line end and has no space at the ends of lines, so that the options that ask for it are kept; the
others (how wide a tab is) have no say in it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.format import Unfaithful
from esp3c.lsp.edits import text_edits
from esp3c.query.formatting import whole

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_FORMATTING

log = logging.getLogger(__name__)


def handle(server: EspServer, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    try:
        return text_edits(document, whole(document.view()))
    except Unfaithful:
        # A mistake of the formatter: the text is left as it is.
        log.exception("%s was not formatted: it would not say the same", document.uri)
        return None
