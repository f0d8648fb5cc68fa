"""Reading a text again after an edit gives what reading it whole gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.diagnostics import Diagnostic
from esp3c.record import fields
from esp3c.source import Source, Span
from esp3c.syntax.again import Rereader
from esp3c.syntax.parse import parse

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*/recipe.esp"))
TEXTS = [path.read_text(encoding="utf-8") for path in RECIPES]
PIECES = [
    "", "{", "}", "(", ")", "[", "]", '"', '"""', "'", "#", "\n", "=", ".", ",", ":", "x", "training {", "\ntraining {\n",
    "\nlet a = b", "\nconfig c extends", "config", "dataset", "\n}\n", "16 kHz", "5.0.1", "=>", "new", "\nstages {", "é", "\r\n",
    "\ndataset # why\n",
]  # fmt: skip


def shape(value: Any) -> Any:
    """A tree or a message as plain data, its places as offsets."""
    if isinstance(value, Span):
        return value.start, value.end
    if isinstance(value, list | tuple):
        return [shape(each) for each in value]
    if isinstance(value, Diagnostic):
        return [
            value.code.id,
            value.message,
            *(shape(each) for each in (value.primary, value.secondary, value.help, value.fix)),
        ]
    names = fields(value)
    return [type(value).__name__, *(shape(getattr(value, name)) for name in names)] if names else value


def agree(reader: Rereader, text: str) -> None:
    again, whole = Source("r", text), Source("r", text)
    file, diagnostics = reader.parse(again)
    expected, said = parse(whole)
    assert shape(file) == shape(expected)
    assert sorted(shape(diagnostics), key=repr) == sorted(shape(said), key=repr)
    assert all(node.span.source is again for node in file.declarations)


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=3)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), EDITS)
def test_every_version_reads_as_it_would_whole(text: str, edits: list[tuple[float, int, str]]) -> None:
    reader = Rereader()
    agree(reader, text)
    for where, length, new in edits:
        at = int(where * len(text))
        text = text[:at] + new + text[at + length :]
        agree(reader, text)


@pytest.mark.parametrize("path", RECIPES[:2], ids=lambda path: path.parent.name)
def test_a_recipe_that_is_typed_letter_by_letter(path: Path) -> None:
    reader = Rereader()
    text = path.read_text(encoding="utf-8")
    for end in range(0, len(text), 41):
        agree(reader, text[:end])


def test_what_has_not_changed_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(source: Source) -> Any:
        read.append(len(source.text))
        return parse(source)

    monkeypatch.setattr("esp3c.syntax.again.parse", counted)
    reader = Rereader()
    text = "".join(f"config c{n} {{\n  a = {n}\n}}\n\n" for n in range(50))
    reader.parse(Source("r", text))
    read.clear()
    reader.parse(Source("r", text.replace("a = 25", "a = 2 5")))
    assert sum(read) < 100
    # A mistake in one piece leaves the others alone as well.
    read.clear()
    reader.parse(Source("r", text.replace("a = 25\n}", "a = [25\n}")))
    assert 0 < sum(read) < 200
