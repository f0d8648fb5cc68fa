"""`codeAction/resolve`: works out what "fix all" changes, now that it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from esp3c.format import changes
from esp3c.lsp.documents import Document
from esp3c.lsp.edits import workspace_edit
from esp3c.pipeline import Result, compile
from esp3c.query.fixes import mended
from esp3c.query.formatting import narrowed
from esp3c.source import Source

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.CODE_ACTION_RESOLVE


def handle(server: EspServer, params: types.CodeAction) -> types.CodeAction:
    uri, version = _member(params.data, "uri"), _member(params.data, "version")
    document = server.recipe(uri) if isinstance(uri, str) else None
    if document is not None and document.version == version:
        params.edit = all_fixed(server, document)
    return params


def all_fixed(server: EspServer, document: Document) -> types.WorkspaceEdit:
    """What `esp3c check --fix` would change."""
    here = document.view()

    def check(source: Source) -> Result:
        return compile(source, here.world)

    fixed, _, _ = mended(here.source, check, lambda _: True)
    return workspace_edit(server, document, narrowed(changes(here.source, fixed.text)))


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
