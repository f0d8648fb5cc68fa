"""`textDocument/completion`: what may be written at the cursor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document, uri_of
from esp3c.query.complete import complete
from esp3c.query.complete_model import Completion, Proposal, Sort
from esp3c.query.context import context
from esp3c.query.context_reading import What
from esp3c.query.hover_parts import Part, markdown, plain

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_COMPLETION

TRIGGERS = (".", '"', "{", "(", "[", "=", ",", " ")

PATIENCE = 0.025
"""Seconds after which nothing is looked up any more that is only nice to know."""

_NOT_UNASKED = frozenset({What.KEY, What.STAGE, What.CLAUSE, What.DECLARATION, What.TYPE, What.UNIT, What.STRING})
"""Where a space is most often only a space."""

_KINDS = {
    Sort.KEY: types.CompletionItemKind.Property,
    Sort.BLOCK: types.CompletionItemKind.Struct,
    Sort.ARGUMENT: types.CompletionItemKind.Field,
    Sort.FIELD: types.CompletionItemKind.Field,
    Sort.SETTING: types.CompletionItemKind.Property,
    Sort.LET: types.CompletionItemKind.Constant,
    Sort.CONFIG: types.CompletionItemKind.Struct,
    Sort.DATASET: types.CompletionItemKind.Class,
    Sort.PARALLEL: types.CompletionItemKind.Constant,
    Sort.STAGE: types.CompletionItemKind.Event,
    Sort.MODULE: types.CompletionItemKind.Module,
    Sort.CLASS: types.CompletionItemKind.Class,
    Sort.FUNCTION: types.CompletionItemKind.Function,
    Sort.VARIABLE: types.CompletionItemKind.Variable,
    Sort.WORD: types.CompletionItemKind.EnumMember,
    Sort.TEXT: types.CompletionItemKind.EnumMember,
    Sort.CONSTANT: types.CompletionItemKind.Value,
    Sort.UNIT: types.CompletionItemKind.Unit,
    Sort.TYPE: types.CompletionItemKind.TypeParameter,
    Sort.KEYWORD: types.CompletionItemKind.Keyword,
    Sort.SNIPPET: types.CompletionItemKind.Snippet,
}


def options() -> types.CompletionOptions:
    return types.CompletionOptions(trigger_characters=list(TRIGGERS), resolve_provider=True)


def handle(server: EspServer, params: types.CompletionParams) -> types.CompletionList | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    offset = document.lines.offset(params.position)
    asked_by = params.context.trigger_character if params.context is not None else None
    if asked_by and not _worth_it(document, offset, asked_by):
        return types.CompletionList(False, [])
    until = time.perf_counter() + PATIENCE
    found = complete(document.view(), offset, lambda: time.perf_counter() < until)
    made = _Making(server, document, found, offset)
    return types.CompletionList(found.cut, [made.item(number, each) for number, each in enumerate(found.proposals)])


def _worth_it(document: Document, offset: int, sign: str) -> bool:
    """Whether a sign that was typed asks for proposals here: unasked, they are in the way more often than of use."""
    place = context(document.view(), offset)
    before = document.text[:offset].rstrip(" ")[-1:]
    match sign:
        case " ":
            # Behind a line's end a space indents; behind the comma of a call or a sign it goes on with what is there.
            return before not in {"", "\n", "\r", "\t"} and place.what not in _NOT_UNASKED
        case '"':
            return place.what is What.STRING
        case "," | "(" | "[":
            return place.what not in {What.KEY, What.STRING, What.DECLARATION, What.STAGE, What.COMMENT}
        case "{":
            # Behind the brace of a block comes a line end, and Enter would take over what is proposed.
            return place.what is What.INTERPOLATION
        case "=":
            return place.what is What.VALUE
        case _:
            return bool(place.path) or place.what is What.INTERPOLATION


class _Making:
    """Makes the protocol's items of one answer."""

    def __init__(self, server: EspServer, document: Document, found: Completion, offset: int) -> None:
        item = "text_document.completion.completion_item"
        self._uri = document.uri
        self._snippets = bool(asked(server, f"{item}.snippet_support"))
        self._details = bool(asked(server, f"{item}.label_details_support"))
        self._commits = bool(asked(server, f"{item}.commit_characters_support"))
        self._insert_replace = bool(asked(server, f"{item}.insert_replace_support"))
        self._formats = list(asked(server, f"{item}.documentation_format") or ())
        self._found = found
        self._before = document.text[max(0, found.start - 1) : found.start]
        self._insert = document.lines.range(found.start, max(found.start, min(offset, found.end)))
        self._replace = document.lines.range(found.start, found.end)

    def item(self, number: int, each: Proposal) -> types.CompletionItem:
        snippet = self._snippets and bool(each.snippet)
        # A value goes on behind the sign as it would have been typed.
        lead = " " if self._before in {"=", ","} and each.sort is not Sort.TEXT else ""
        text = lead + (each.snippet if snippet else each.text)
        several_lines = snippet and "\n" in text
        return types.CompletionItem(
            each.label,
            kind=_KINDS[each.sort],
            detail=each.detail or None,
            documentation=documentation(each.doc, self._formats) if each.doc else None,
            sort_text=f"{number:04}",
            filter_text=each.match or (each.text if each.text != each.label and not each.snippet else None),
            insert_text_format=types.InsertTextFormat.Snippet if snippet else types.InsertTextFormat.PlainText,
            insert_text_mode=types.InsertTextMode.AdjustIndentation if several_lines else None,
            text_edit=self._edit(text),
            commit_characters=["."] if each.leads and self._commits and not snippet else None,
            data={"uri": self._uri, "path": each.more[0], "argument": each.more[1]} if each.more[0] else None,
        )

    def _edit(self, text: str) -> types.TextEdit | types.InsertReplaceEdit:
        if self._insert_replace and self._insert != self._replace:
            return types.InsertReplaceEdit(text, self._insert, self._replace)
        return types.TextEdit(self._replace, text)


def documentation(parts: tuple[Part, ...], formats: list[types.MarkupKind]) -> types.MarkupContent | str:
    """Text for a person, as Markdown where the client shows it."""
    if types.MarkupKind.Markdown in formats:
        return types.MarkupContent(types.MarkupKind.Markdown, markdown(parts, uri_of))
    return plain(parts)
