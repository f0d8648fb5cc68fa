"""Formatting as the protocol has it."""

from __future__ import annotations

import logging

import pytest
from lsprotocol import types

from esp3c import format
from esp3c.lsp import formatting, on_type_formatting, range_formatting
from esp3c.source import Source
from support.editor import edited, editor, identifier, opened
from support.fixtures import WORLD

OPTIONS = types.FormattingOptions(
    4, True, trim_trailing_whitespace=True, insert_final_newline=True, trim_final_newlines=True
)
TEXT = '# 😀 é\r\ntraining {\r\n\tseed=3   # 😀\r\n  exp_tag="é" \r\n\r\n\r\n}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_the_edits_of_a_document_give_what_fmt_writes(encoding: str) -> None:
    server = editor(WORLD, encoding)
    document = opened(server, TEXT)
    edits = formatting.handle(server, types.DocumentFormattingParams(identifier(document), OPTIONS)) or []
    after = edited(document, edits)

    assert after == format.format_text(Source("r.esp", TEXT))
    assert after.endswith("}\r\n") and " \r\n" not in after


def test_a_document_with_syntax_errors_is_left_as_it_is() -> None:
    server = editor(WORLD)
    document = opened(server, "training   { seed = }")

    assert formatting.handle(server, types.DocumentFormattingParams(identifier(document), OPTIONS)) == []


def test_a_mistake_of_the_formatter_leaves_the_text_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(format, "same", lambda *_: False)
    server = editor(WORLD)
    document = opened(server, TEXT)
    with caplog.at_level(logging.ERROR):
        found = formatting.handle(server, types.DocumentFormattingParams(identifier(document), OPTIONS))

    assert found is None and "was not formatted" in caplog.text


def test_the_lines_of_a_range() -> None:
    server = editor(WORLD)
    document = opened(server, TEXT)
    line = types.Range(types.Position(2, 0), types.Position(2, 3))
    edits = (
        range_formatting.handle(server, types.DocumentRangeFormattingParams(identifier(document), line, OPTIONS)) or []
    )

    assert edited(document, edits).splitlines()[2:4] == ["  seed    = 3" + " " * 44 + "# 😀", '  exp_tag="é" ']


def test_while_typing() -> None:
    server = editor(WORLD)
    document = opened(server, "# 😀\ntraining {\n")
    edits = on_type_formatting.handle(
        server, types.DocumentOnTypeFormattingParams(identifier(document), types.Position(2, 0), "\n", OPTIONS)
    )

    assert edited(document, edits or []) == "# 😀\ntraining {\n  "
