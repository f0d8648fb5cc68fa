"""One editor's session: its open texts, and what is told it about them."""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.language_server import lsp_method

from esp3c import __version__
from esp3c.lsp.checking import Checking
from esp3c.lsp.documents import Document, Documents
from esp3c.lsp.worlds import Worlds


class _Protocol(LanguageServerProtocol):
    """pygls's own, without its copy of every text: `Documents` has the only one."""

    def _handed_on(self, method: str, params: object) -> None:
        # Called here and not by pygls, which keeps a future of every notification whose handler is a generator.
        handler = self.fm.features.get(method)
        if handler is not None:
            handler(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._handed_on(types.TEXT_DOCUMENT_DID_OPEN, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._handed_on(types.TEXT_DOCUMENT_DID_CHANGE, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._handed_on(types.TEXT_DOCUMENT_DID_CLOSE, params)


class EspServer(LanguageServer):
    """`esp3c lsp`. `documents` are the open texts; `checking` publishes what is wrong with them."""

    def __init__(self, worlds: Worlds | None = None) -> None:
        super().__init__(name="esp3c", version=__version__, protocol_cls=_Protocol)
        self.documents = Documents(worlds if worlds is not None else Worlds())
        self.checking = Checking(self.documents, self.text_document_publish_diagnostics)
        self.initialization_options: Any = None

    def recipe(self, uri: str) -> Document | None:
        """The open recipe of a URI, if it is one."""
        return self.documents.recipe(uri)
