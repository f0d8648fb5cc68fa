"""`textDocument/references`. A recipe is one file, so all of them are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.query.occurrences import Role
from esp3c.query.references import references

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_REFERENCES


def handle(server: EspServer, params: types.ReferenceParams) -> list[types.Location] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    declared = params.context.include_declaration
    return [
        types.Location(document.uri, document.lines.range(each.span.start, each.span.end))
        for each in references(document.view(), document.lines.offset(params.position))
        if declared or each.role is not Role.DECLARED
    ]
