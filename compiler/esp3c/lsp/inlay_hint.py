"""`textDocument/inlayHint`. `esp3c.inlayHints.parameterTypes` and `esp3c.inlayHints.values` switch them off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.documents import Document
from esp3c.lsp.published import location
from esp3c.lsp.settings import setting
from esp3c.query.hints import Hint, What, hints

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_INLAY_HINT

_KINDS = {What.TYPE: types.InlayHintKind.Type, What.VALUE: types.InlayHintKind.Parameter}


async def handle(server: EspServer, params: types.InlayHintParams) -> list[types.InlayHint] | None:
    of_parameters = await setting(server, "inlayHints.parameterTypes", True)
    of_names = await setting(server, "inlayHints.values", True)
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    start, end = document.lines.offset(params.range.start), document.lines.offset(params.range.end)
    return [_hint(document, each) for each in hints(document.view(), start, end, of_parameters, of_names)]


def _hint(document: Document, hint: Hint) -> types.InlayHint:
    about = types.MarkupContent(types.MarkupKind.Markdown, hint.about)
    origin = location(document, hint.origin) if hint.origin is not None else None
    part = types.InlayHintLabelPart(hint.text, about, origin)
    return types.InlayHint(document.lines.position(hint.offset), [part], _KINDS[hint.what])
