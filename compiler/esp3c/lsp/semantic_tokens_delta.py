"""`textDocument/semanticTokens/full/delta`: what has changed since the client was told last."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.semantic_tokens import encoded, given, last_given
from esp3c.query.semantic import painted

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL_DELTA


def handle(
    server: EspServer, params: types.SemanticTokensDeltaParams
) -> types.SemanticTokens | types.SemanticTokensDelta | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    before = last_given(document)
    name, data = given(document, encoded(server, document, painted(document.view())))
    if before is None or before[0] != params.previous_result_id:
        return types.SemanticTokens(data, name)
    return types.SemanticTokensDelta(changes(before[1], data), name)


def changes(old: list[int], new: list[int]) -> list[types.SemanticTokensEdit]:
    """What makes the new numbers of the old ones: one piece, as one person types in one place."""
    start = sum(1 for _ in takewhile(_same, zip(old, new, strict=False)))
    most = min(len(old), len(new)) - start
    tail = zip(reversed(old[start:]), reversed(new[start:]), strict=False)
    end = min(most, sum(1 for _ in takewhile(_same, tail)))
    if start == len(old) == len(new):
        return []
    return [types.SemanticTokensEdit(start, len(old) - start - end, new[start : len(new) - end])]


def _same(pair: tuple[int, int]) -> bool:
    return pair[0] == pair[1]
