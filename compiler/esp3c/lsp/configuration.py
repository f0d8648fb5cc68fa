"""`workspace/didChangeConfiguration`: the user has set something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp import settings
from esp3c.lsp.capabilities import asked

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.WORKSPACE_DID_CHANGE_CONFIGURATION


def handle(server: EspServer, params: types.DidChangeConfigurationParams) -> None:
    settings.changed(server, params.settings)
    if asked(server, "workspace.inlay_hint.refresh_support"):
        server.workspace_inlay_hint_refresh(None)
