"""`textDocument/rename`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from esp3c.lsp.edits import workspace_edit
from esp3c.query.renames import Refused, rename

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_RENAME


def handle(server: EspServer, params: types.RenameParams) -> types.WorkspaceEdit | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    try:
        edits = rename(document.view(), document.lines.offset(params.position), params.new_name)
    except Refused as error:
        raise refusal(error) from None
    return workspace_edit(server, document, edits)


def refusal(error: Refused) -> JsonRpcException:
    """What a client shows to a person: a request that is in order, and that was not done."""
    return JsonRpcException(str(error), code=types.LSPErrorCodes.RequestFailed)
