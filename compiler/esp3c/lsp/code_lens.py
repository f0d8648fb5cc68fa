"""`textDocument/codeLens`. The commands are the client's own: it has a terminal, and the server has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.query.lenses import lenses

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_CODE_LENS

COMMANDS = {"run": "esp3c.runStage", "plan": "esp3c.plan"}
"""What a client is asked to do, with the URI of the recipe and the name of the stage, or null for all of them."""


def handle(server: EspServer, params: types.CodeLensParams) -> list[types.CodeLens] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    return [
        types.CodeLens(
            document.lines.range(each.span.start, each.span.end),
            types.Command(each.title, COMMANDS[each.does], arguments=[document.uri, each.stage]),
        )
        for each in lenses(document.view())
    ]
