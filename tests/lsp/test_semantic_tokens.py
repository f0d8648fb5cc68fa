"""Semantic tokens as numbers: in the client's units, line by line, and as what has changed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from esp3c.lsp import semantic_tokens, semantic_tokens_delta, semantic_tokens_range
from esp3c.lsp.session import EspServer
from esp3c.lsp.text import UNITS
from esp3c.query.semantic import MODIFIERS, TYPES
from support.editor import editor, identifier, opened
from support.fixtures import FIXTURES, WORLD

WHOLE = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")


def capable(multiline: bool = False, augments: bool = False, encoding: str = "utf-16") -> EspServer:
    wanted = types.SemanticTokensClientCapabilities(
        types.ClientSemanticTokensRequestOptions(full=True),
        TYPES,
        MODIFIERS,
        [types.TokenFormat.Relative],
        multiline_token_support=multiline,
        augments_syntax_tokens=augments,
    )
    return editor(WORLD, encoding, semantic_tokens=wanted)


def full(server: EspServer, text: str) -> list[int]:
    found = semantic_tokens.handle(server, types.SemanticTokensParams(identifier(opened(server, text))))
    assert found is not None
    return list(found.data)


def decoded(data: list[int], text: str, encoding: str) -> list[tuple[str, str]]:
    """Each token's text and type, read as a client does."""
    units, lines = UNITS[encoding], text.replace("\r\n", "\n").split("\n")
    found: list[tuple[str, str]] = []
    line = column = 0
    for down, right, length, number, _ in zip(*(data[each::5] for each in range(5)), strict=True):
        line, column = line + down, right if down else column + right
        at = [units(lines[line][:each]) for each in range(len(lines[line]) + 1)]
        found.append((lines[line][at.index(column) : at.index(column + length)], TYPES[number]))
    return found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_places_are_in_the_units_of_the_client(encoding: str) -> None:
    text = '# 😀 é\r\nlet a = "😀${b}é"  # 😀\r\nlet b = 1\r\n'

    assert decoded(full(capable(encoding=encoding), text), text, encoding) == [
        ("# 😀 é", "comment"),
        ("let", "keyword"),
        ("a", "variable"),
        ('"😀${', "string"),
        ("b", "variable"),
        ('}é"', "string"),
        ("# 😀", "comment"),
        ("let", "keyword"),
        ("b", "variable"),
        ("1", "number"),
    ]


def test_a_text_of_several_lines_is_one_token_only_for_those_who_can_show_it() -> None:
    text = 'let a = """\n  x\n\n  y"""\n'

    assert [each for each in decoded(full(capable(), text), text, "utf-16") if each[1] == "string"] == [
        ('"""', "string"),
        ("  x", "string"),
        ('  y"""', "string"),
    ]
    assert len(full(capable(multiline=True), text)) == 3 * 5


def test_what_an_editor_colours_itself_is_left_to_it() -> None:
    text = 'let a = "x"  # y\nlet b = 1\n'

    assert {each[1] for each in decoded(full(capable(augments=True), text), text, "utf-16")} == {"variable"}


def test_a_part_is_the_same_as_in_the_whole() -> None:
    server = capable()
    document = opened(server, WHOLE)
    asked = types.Range(types.Position(20, 0), types.Position(40, 0))
    found = semantic_tokens_range.handle(server, types.SemanticTokensRangeParams(identifier(document), asked))
    all_of, part = (decoded(list(data), WHOLE, "utf-16") for data in (full(server, WHOLE), found.data if found else ()))

    assert part and any(all_of[start : start + len(part)] == part for start in range(len(all_of)))


def applied(data: list[int], edits: list[types.SemanticTokensEdit]) -> list[int]:
    for each in sorted(edits, key=lambda each: -each.start):
        data = [*data[: each.start], *(each.data or ()), *data[each.start + each.delete_count :]]
    return data


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.sampled_from(["", "x", "\n", "}", '"', "let y = 2\n"]))
def test_what_has_changed_makes_the_new_of_the_old(start: int, gone: int, put: str) -> None:
    server = capable()
    before = full(server, WHOLE)
    document = server.documents.recipes()[0]
    text = WHOLE[:start] + put + WHOLE[start + gone :]
    document.change(2, [types.TextDocumentContentChangeWholeDocument(text)])

    changed = semantic_tokens_delta.handle(server, types.SemanticTokensDeltaParams(identifier(document), "1"))

    assert isinstance(changed, types.SemanticTokensDelta)
    assert applied(before, list(changed.edits)) == full(capable(), text)


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_any_numbers_can_be_made_of_any_others(old: list[int], new: list[int]) -> None:
    assert applied(old, semantic_tokens_delta.changes(old, new)) == new


def test_who_refers_to_something_else_gets_the_whole() -> None:
    server = capable()
    data = full(server, WHOLE)
    document = server.documents.recipes()[0]

    found = semantic_tokens_delta.handle(server, types.SemanticTokensDeltaParams(identifier(document), "other"))

    assert isinstance(found, types.SemanticTokens) and found.data == data and found.result_id == "2"
