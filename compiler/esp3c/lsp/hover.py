"""`textDocument/hover`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import uri_of
from esp3c.query.hover import hover
from esp3c.query.hover_parts import markdown, plain

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_HOVER


def handle(server: EspServer, params: types.HoverParams) -> types.Hover | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    found = hover(document.view(), document.lines.offset(params.position))
    if found is None:
        return None
    # A client names the forms that it shows, the one that it likes best first; one that names none may show either.
    forms = asked(server, "text_document.hover.content_format") or [types.MarkupKind.Markdown]
    if forms[0] == types.MarkupKind.Markdown:
        content = types.MarkupContent(types.MarkupKind.Markdown, markdown(found.parts, uri_of))
    else:
        content = types.MarkupContent(types.MarkupKind.PlainText, plain(found.parts))
    return types.Hover(content, document.lines.range(found.span.start, found.span.end))
