"""The kinds that symbols have in the protocol."""

from __future__ import annotations

from lsprotocol import types

from esp3c.query.symbols import SymbolKind

KINDS = {
    SymbolKind.RECIPE: types.SymbolKind.Module,
    SymbolKind.DATASET: types.SymbolKind.Class,
    SymbolKind.CONFIG: types.SymbolKind.Namespace,
    SymbolKind.PARALLEL: types.SymbolKind.Object,
    SymbolKind.LET: types.SymbolKind.Constant,
    SymbolKind.STAGES: types.SymbolKind.Enum,
    SymbolKind.STAGE: types.SymbolKind.Function,
    SymbolKind.BLOCK: types.SymbolKind.Struct,
    SymbolKind.KEY: types.SymbolKind.Property,
    SymbolKind.FIELD: types.SymbolKind.Field,
}
