"""Changes of a text in the protocol's form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.diagnostics import Edit
from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer


def text_edits(document: Document, edits: Iterable[Edit]) -> list[types.TextEdit]:
    """Changes of one document, in its order."""
    ordered = sorted(edits, key=lambda each: (each.span.start, each.span.end))
    return [types.TextEdit(document.lines.range(each.span.start, each.span.end), each.text) for each in ordered]


def workspace_edit(server: EspServer, document: Document, edits: Iterable[Edit]) -> types.WorkspaceEdit:
    """Changes of one document as it is now; where the client understands it, with its version."""
    changes = text_edits(document, edits)
    if asked(server, "workspace.workspace_edit.document_changes"):
        of = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(of, changes)])
    return types.WorkspaceEdit(changes={document.uri: changes})
