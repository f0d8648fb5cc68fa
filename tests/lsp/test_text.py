"""The server's text is the client's after any edits, in all encodings."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from esp3c.lsp.text import UNITS, Lines, edited

LETTERS = "ab{}=\"'#.é\u2028\u0085\x0b\x0c𝄞👩🏽‍🚀\t \n\r"
TEXTS = st.lists(st.sampled_from([*LETTERS, "\r\n", "train", "\n"]), max_size=40).map("".join)
ENCODINGS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class Client:
    """An editor that keeps its text in code units, and counts as the protocol says."""

    def __init__(self, text: str, encoding: str) -> None:
        self.codec, self.width = ENCODINGS[encoding]
        self.text = text

    def places(self) -> list[types.Position]:
        """Every place between two characters; between `\\r` and `\\n` is none."""
        found, line, column = [types.Position(0, 0)], 0, 0
        for part in re.findall(r"\r\n|[\s\S]", self.text):
            if part in {"\r\n", "\r", "\n"}:
                line, column = line + 1, 0
            else:
                column += len(part.encode(self.codec)) // self.width
            found.append(types.Position(line, column))
        return found

    def replace(self, start: int, end: int, new: str) -> None:
        parts = re.findall(r"\r\n|[\s\S]", self.text)
        self.text = "".join(parts[:start]) + new + "".join(parts[end:])


@given(
    TEXTS, st.sampled_from(sorted(ENCODINGS)), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), TEXTS), max_size=6)
)
def test_the_servers_text_is_the_clients(text: str, encoding: str, edits: list[tuple[float, float, str]]) -> None:
    client, lines = Client(text, encoding), Lines(text, encoding)
    for one, other, new in edits:
        places = client.places()
        start, end = sorted(round(each * (len(places) - 1)) for each in (one, other))
        change = types.TextDocumentContentChangePartial(types.Range(places[start], places[end]), new)
        client.replace(start, end, new)
        lines = edited(lines, [change])
        assert lines.text == client.text


@given(TEXTS, st.sampled_from(sorted(ENCODINGS)))
def test_every_offset_comes_back(text: str, encoding: str) -> None:
    lines = Lines(text, encoding)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] != "\r\n":
            assert lines.offset(lines.position(offset)) == offset


def test_several_changes_follow_each_other() -> None:
    first = types.TextDocumentContentChangePartial(types.Range(types.Position(0, 1), types.Position(0, 1)), "b\nc")
    then = types.TextDocumentContentChangePartial(types.Range(types.Position(1, 0), types.Position(1, 1)), "d")
    assert edited(Lines("az"), [first, then]).text == "ab\ndz"
    assert edited(Lines("az"), [first, types.TextDocumentContentChangeWholeDocument("new")]).text == "new"


@pytest.mark.parametrize(
    ("position", "offset"),
    [((0, 99), 2), ((9, 0), 5), ((1, 1), 4), ((1, 2), 5)],
)
def test_what_is_behind_an_end_is_the_end(position: tuple[int, int], offset: int) -> None:
    assert Lines("ab\n𝄞x"[:5]).offset(types.Position(*position)) == {(1, 1): 4, (1, 2): 4}.get(position, offset)


def test_the_units_are_those_of_the_protocol() -> None:
    assert {name: count("é𝄞") for name, count in UNITS.items()} == {"utf-8": 6, "utf-16": 3, "utf-32": 2}
