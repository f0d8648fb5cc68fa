"""`textDocument/semanticTokens/range`: what is to be seen of a long recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.semantic_tokens import encoded
from esp3c.query.semantic import painted

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE


def handle(server: EspServer, params: types.SemanticTokensRangeParams) -> types.SemanticTokens | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    start, end = document.lines.offset(params.range.start), document.lines.offset(params.range.end)
    words = [each for each in painted(document.view()) if each.end > start and each.start < end]
    return types.SemanticTokens(encoded(server, document, words))
