"""`textDocument/documentSymbol`: the outline of a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document
from esp3c.lsp.outline import KINDS
from esp3c.query.symbols import Symbol, symbols

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_DOCUMENT_SYMBOL


def options() -> types.DocumentSymbolOptions:
    return types.DocumentSymbolOptions(label="esp3c")


def handle(
    server: EspServer, params: types.DocumentSymbolParams
) -> list[types.DocumentSymbol] | list[types.SymbolInformation] | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    found = symbols(document.view().file)
    if asked(server, "text_document.document_symbol.hierarchical_document_symbol_support"):
        return [_nested(document, each) for each in found]
    return list(_flat(document, found, ""))


def _nested(document: Document, symbol: Symbol) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=symbol.name,
        kind=KINDS[symbol.kind],
        range=document.lines.range(symbol.whole.start, symbol.whole.end),
        selection_range=document.lines.range(symbol.selected.start, symbol.selected.end),
        detail=symbol.detail or None,
        children=[_nested(document, each) for each in symbol.children],
    )


def _flat(document: Document, found: Iterable[Symbol], inside: str) -> Iterator[types.SymbolInformation]:
    for each in found:
        place = types.Location(document.uri, document.lines.range(each.whole.start, each.whole.end))
        yield types.SymbolInformation(place, each.name, KINDS[each.kind], container_name=inside or None)
        yield from _flat(document, each.children, f"{inside}.{each.name}" if inside else each.name)
