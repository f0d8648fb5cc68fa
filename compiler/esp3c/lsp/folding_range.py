"""`textDocument/foldingRange`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document
from esp3c.query.folding import Fold, Part, folds

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_FOLDING_RANGE

_KINDS = {Part.COMMENT: types.FoldingRangeKind.Comment, Part.REGION: types.FoldingRangeKind.Region}


def handle(server: EspServer, params: types.FoldingRangeParams) -> list[types.FoldingRange] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    lines_only = bool(asked(server, "text_document.folding_range.line_folding_only"))
    most = asked(server, "text_document.folding_range.range_limit")
    found = [_range(document, each, lines_only) for each in folds(document.view())]
    several = [each for each in found if each.end_line > each.start_line]
    if lines_only:
        # Of two that begin on one line, such a client keeps one: the larger.
        first: dict[int, types.FoldingRange] = {}
        for each in several:
            before = first.setdefault(each.start_line, each)
            if each.end_line > before.end_line:
                first[each.start_line] = each
        several = list(first.values())
    return several[:most] if most else several


def _range(document: Document, fold: Fold, lines_only: bool) -> types.FoldingRange:
    start, end = document.lines.position(fold.start), document.lines.position(fold.end)
    kind = _KINDS.get(fold.what)
    if not lines_only:
        return types.FoldingRange(start.line, end.line, start.character, end.character, kind)
    # The line of the closing bracket stays, where nothing of what is inside stands on it.
    text = document.text
    stays = fold.what in {Part.BRACKET, Part.TEXT} and fold.end < len(text) and text[fold.end] in '}])"'
    before = text[document.lines.offset(types.Position(end.line, 0)) : fold.end]
    return types.FoldingRange(start.line, end.line - (stays and not before.strip()), kind=kind)
