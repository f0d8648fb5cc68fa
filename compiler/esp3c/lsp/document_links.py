"""`textDocument/documentLink`: paths in texts that lead to files and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.documents import uri_of
from esp3c.query.links import links

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_DOCUMENT_LINK


def options() -> types.DocumentLinkOptions:
    return types.DocumentLinkOptions(resolve_provider=False)


def handle(server: EspServer, params: types.DocumentLinkParams) -> list[types.DocumentLink] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    found: list[types.DocumentLink] = []
    for each in links(document.view()):
        path = document.folder / each.path
        what = "folder" if path.is_dir() else "file"
        found.append(
            types.DocumentLink(
                document.lines.range(each.span.start, each.span.end), uri_of(path), f"Open the {what} {each.path}"
            )
        )
    return found
