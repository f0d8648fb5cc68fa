"""The server: what is open, and which handler answers what.

A feature is a module of this package with `METHOD`, the protocol's name of what it answers, `handle(server, params)`, and
where the protocol wants them `options()`. pygls calls it, logs what it raises, and goes on.
"""

from __future__ import annotations

import gc
import logging
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder

from esp3c.disk import Store
from esp3c.lsp.execute_command import COMMANDS
from esp3c.lsp.session import EspServer
from esp3c.lsp.worlds import Worlds

FEATURES: tuple[str, ...] = (
    "folding_range",
    "selection_range",
    "inlay_hint",
    "configuration",
    "semantic_tokens",
    "semantic_tokens_delta",
    "semantic_tokens_range",
    "formatting",
    "range_formatting",
    "on_type_formatting",
    "code_action",
    "code_action_resolve",
    "code_lens",
    "hover",
    "definition",
    "declaration",
    "type_definition",
    "references",
    "document_highlight",
    "rename",
    "prepare_rename",
    "document_symbols",
    "workspace_symbols",
    "document_links",
    "completion",
    "completion_resolve",
    "signature_help",
)  # fmt: skip

WATCHED = ("**/*.py", "**/*.pyi", "**/*.esp")
"""Files whose change may change what a recipe means."""

log = logging.getLogger(__name__)


def make_server(worlds: Worlds | None = None) -> EspServer:
    """A server with all its features."""
    server = EspServer(worlds)
    _synchronise(server)
    for name in FEATURES:
        module = import_module(f"esp3c.lsp.{name}")
        options = module.options() if hasattr(module, "options") else None
        server.feature(module.METHOD, options)(_bound(server, module.handle))
    for name, command in COMMANDS.items():
        server.command(name)(_bound(server, command))
    return server


def _bound(server: EspServer, handle: Any) -> Any:
    def handler(*params: Any) -> Any:
        return handle(server, *params)

    async def later(*params: Any) -> Any:
        return await handle(server, *params)

    return later if iscoroutinefunction(handle) else handler


def _synchronise(server: EspServer) -> None:
    documents, checking = server.documents, server.checking

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.initialization_options = params.initialization_options
        # As pygls chooses, and then tells the client.
        chosen = ServerCapabilitiesBuilder.choose_position_encoding(params.capabilities)
        documents.encoding = types.PositionEncodingKind(chosen).value

    @server.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        workspace = server.client_capabilities.workspace
        watched = workspace.did_change_watched_files if workspace else None
        if watched is not None and watched.dynamic_registration:
            options = types.DidChangeWatchedFilesRegistrationOptions(
                [types.FileSystemWatcher(each) for each in WATCHED]
            )
            method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
            server.client_register_capability(
                types.RegistrationParams([types.Registration("watched files", method, options)])
            )

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        found = params.text_document
        checking.changed(documents.open(found.uri, found.version, found.text))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        document = documents.change(params.text_document.uri, params.text_document.version, params.content_changes)
        if document is None:
            log.warning("a change of %s, which is not open", params.text_document.uri)
        else:
            checking.changed(document)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        documents.worlds.look_again()
        checking.all()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        documents.worlds.look_again()
        checking.all()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        documents.close(params.text_document.uri)
        checking.closed(params.text_document.uri)


def serve(store: Store | None = None) -> None:
    """Answers on the standard streams until the editor says that it is enough, or goes."""
    server = make_server(Worlds(store))
    # The trees of a recipe hold no cycles; `Checking` has the collector run when nobody types.
    gc.freeze()
    gc.disable()
    server.start_io()
