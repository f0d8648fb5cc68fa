"""`textDocument/semanticTokens/full`, and the form that all three requests for semantic tokens share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document
from esp3c.lsp.text import LINE_END, UNITS
from esp3c.query.semantic import MODIFIERS, SYNTACTIC, TYPES, Painted, painted

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL

_NUMBERS = {name: number for number, name in enumerate(TYPES)}
_BITS = {name: 1 << number for number, name in enumerate(MODIFIERS)}

Given = tuple[str, list[int]]
"""What a client was told last, with the name by which it refers to it."""

_GIVEN: WeakKeyDictionary[Document, Given] = WeakKeyDictionary()


def options() -> types.SemanticTokensLegend:
    return types.SemanticTokensLegend(TYPES, MODIFIERS)


def handle(server: EspServer, params: types.SemanticTokensParams) -> types.SemanticTokens | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    name, data = given(document, encoded(server, document, painted(document.view())))
    return types.SemanticTokens(data, name)


def last_given(document: Document) -> Given | None:
    return _GIVEN.get(document)


def given(document: Document, data: list[int]) -> Given:
    """Keeps what the client is told, under a name of its own."""
    before = _GIVEN.get(document)
    number = int(before[0]) + 1 if before is not None else 1
    found = _GIVEN[document] = str(number), data
    return found


def encoded(server: EspServer, document: Document, words: Iterable[Painted]) -> list[int]:
    """Words as five numbers each: lines and columns since the word before, length, type, modifiers."""
    augments = bool(asked(server, "text_document.semantic_tokens.augments_syntax_tokens"))
    whole = bool(asked(server, "text_document.semantic_tokens.multiline_token_support"))
    text = document.text
    units = len if text.isascii() else UNITS[document.encoding]
    starts = [0, *(found.end() for found in LINE_END.finditer(text))]
    data: list[int] = []
    line = before = column = 0
    for word in words:
        if augments and word.type in SYNTACTIC:
            continue
        number, bits = _NUMBERS[word.type], sum([_BITS[each] for each in word.modifiers])
        # Nothing else has several lines.
        several = word.type == "string" and not whole
        for start, end in _by_lines(text, word) if several else ((word.start, word.end),):
            while line + 1 < len(starts) and starts[line + 1] <= start:
                line += 1
            here = units(text[starts[line] : start])
            data += (line - before, here - (column if line == before else 0), units(text[start:end]), number, bits)
            before, column = line, here
    return data


def _by_lines(text: str, word: Painted) -> Iterator[tuple[int, int]]:
    start = word.start
    while start < word.end:
        end = min(
            (found for sign in "\r\n" if (found := text.find(sign, start, word.end)) >= 0),
            default=word.end,
        )
        if end > start:
            yield start, end
        start = end + 1
