"""`textDocument/completion` and `completionItem/resolve`: what the protocol is told, for what a client can do."""

from __future__ import annotations

from typing import Any

import pytest
from lsprotocol import types

from esp3c.lsp import completion, completion_resolve
from esp3c.lsp.server import EspServer
from esp3c.lsp.text import Lines
from esp3c.world import MemoryWorld
from support.editor import editor, identifier, opened
from support.marks import RECIPE, WORLD, marked

SNIPPETS = {
    "snippet_support": True,
    "documentation_format": [types.MarkupKind.Markdown, types.MarkupKind.PlainText],
    "commit_characters_support": True,
}


def server_for(encoding: str = "utf-16", **item: Any) -> EspServer:
    able = (
        types.CompletionClientCapabilities(completion_item=types.ClientCompletionItemOptions(**item)) if item else None
    )
    return editor(WORLD, encoding, completion=able)


def asked(
    text: str, server: EspServer | None = None, typed: str | None = None
) -> tuple[dict[str, types.CompletionItem], types.CompletionList, str]:
    """The items by their labels, for the mark in a recipe; and the text without the mark."""
    server = server or server_for(**SNIPPETS)
    plain, (place,) = marked(text)
    document = opened(server, plain)
    kind = types.CompletionTriggerKind.TriggerCharacter if typed else types.CompletionTriggerKind.Invoked
    found = completion.handle(
        server,
        types.CompletionParams(
            identifier(document), document.lines.position(place), context=types.CompletionContext(kind, typed)
        ),
    )
    assert found is not None
    return {each.label: each for each in found.items}, found, plain


def put(text: str, item: types.CompletionItem, encoding: str = "utf-16") -> str:
    """The text with an item taken over."""
    lines, edit = Lines(text, encoding), item.text_edit
    assert isinstance(edit, types.TextEdit)
    return text[: lines.offset(edit.range.start)] + edit.new_text + text[lines.offset(edit.range.end) :]


def test_the_whole_word_is_replaced() -> None:
    items, _, plain = asked(RECIPE.replace("max_epochs = 9", "max_|ep = 9"))
    assert put(plain, items["max_epochs"]) == RECIPE
    items, _, plain = asked(RECIPE.replace("torch.optim.AdamW(lr", "torch.opt|.AdamW(lr"))
    assert put(plain, items["optim"]) == RECIPE


def test_order_and_filter() -> None:
    items, found, _ = asked(RECIPE.replace("hidden_size = size)", "|)"))
    assert [each.sort_text for each in found.items] == sorted(each.sort_text or "" for each in found.items)
    assert items["hidden_size"].filter_text is None
    items, _, _ = asked(RECIPE.replace("torch.optim.AdamW(lr = 4e-3)", "Adam|"))
    assert items["torch.optim.AdamW"].filter_text == "AdamW torch.optim.AdamW"
    assert not found.is_incomplete


def test_places_to_fill_in_only_for_those_who_can() -> None:
    text = RECIPE.replace("trainer { max_epochs = 9  max_time = 90min }", "|")
    item = asked(text)[0]["trainer"]
    assert item.insert_text_format is types.InsertTextFormat.Snippet
    assert item.insert_text_mode is types.InsertTextMode.AdjustIndentation
    assert isinstance(item.text_edit, types.TextEdit) and item.text_edit.new_text == "trainer {\n  $0\n}"
    item = asked(text, server_for())[0]["trainer"]
    assert item.insert_text_format is types.InsertTextFormat.PlainText
    assert isinstance(item.text_edit, types.TextEdit) and item.text_edit.new_text == "trainer"
    assert item.commit_characters is None and item.insert_text_mode is None


def test_both_ways_to_replace_where_the_client_has_them() -> None:
    server = server_for(insert_replace_support=True)
    edit = asked(RECIPE.replace("max_epochs = 9", "max_|ep = 9"), server)[0]["max_epochs"].text_edit
    assert isinstance(edit, types.InsertReplaceEdit)
    assert edit.insert.start == edit.replace.start
    assert edit.replace.end.character - edit.insert.end.character == len("ep")


def test_positions_count_as_the_client_does() -> None:
    text = '# 🎉\nlet title = "🎉🎉"  let a = [title, |]\n'
    for encoding in ("utf-8", "utf-16", "utf-32"):
        items, _, plain = asked(text, server_for(encoding, **SNIPPETS))
        assert put(plain, items["title"], encoding) == text.replace("|", "title")


def test_documentation_in_the_form_that_the_client_shows() -> None:
    text = RECIPE.replace("max_epochs = 9", "|")
    told = asked(text)[0]["max_epochs"].documentation
    assert isinstance(told, types.MarkupContent) and told.kind is types.MarkupKind.Markdown
    assert "when to stop" in told.value and "`conf/training.yaml`" in told.value
    told = asked(text, server_for())[0]["max_epochs"].documentation
    assert isinstance(told, str) and "`" not in told


def test_the_long_text_comes_when_it_is_asked_for() -> None:
    server = server_for(**SNIPPETS)
    items, _, _ = asked(RECIPE.replace("src.model.Recognizer(n_mels = 80", "src.model.|(n_mels = 80"), server)
    item = items["Recognizer"]
    assert item.documentation is None
    told = completion_resolve.handle(server, item).documentation
    assert isinstance(told, types.MarkupContent) and "Reads digits." in told.value
    items, _, _ = asked(RECIPE.replace("n_mels = 80, hidden_size = size", "|"), server)
    told = completion_resolve.handle(server, items["n_mels"]).documentation
    assert isinstance(told, types.MarkupContent) and "how many bands" in told.value
    items, _, _ = asked(RECIPE.replace("utterances = 200", "|"), server)
    told = completion_resolve.handle(server, items["utterances"]).documentation
    assert isinstance(told, types.MarkupContent) and "utterances: int = 10" in told.value


@pytest.mark.parametrize(
    "data",
    [
        None,
        3,
        {},
        {"uri": 3},
        {"uri": "file:///a.esp", "path": "a.b"},
        {"uri": "file:///recipes/digits/recipe.esp", "path": "a.b"},
    ],
)
def test_odd_items_come_back_as_they_are(data: Any) -> None:
    server = server_for(**SNIPPETS)
    opened(server, RECIPE)
    found = completion_resolve.handle(server, types.CompletionItem("a", data=data))
    assert found.label == "a"


@pytest.mark.parametrize(
    ("old", "new", "typed", "answered"),
    [
        ("max_epochs = 9", "max_epochs = |9", " ", True),
        ("max_epochs = 9", "max_epochs =|9", "=", True),
        ("  optimizer = torch", "  |optimizer = torch", " ", False),
        ("    valid = [", "    |valid = [", " ", False),
        ("80, hidden_size = size", "80, |hidden_size = size", " ", True),
        ("80, hidden_size = size", "80,|hidden_size = size", ",", True),
        ("trainer { max", "trainer { |max", " ", False),
        ("trainer { max", "trainer {|max", "{", False),
        ("${data_dir}/words", "${|data_dir}/words", "{", True),
        ("Recognizer(n_mels = 80", "Recognizer(|n_mels = 80", "(", True),
        ('"speech"', '"|speech"', '"', True),
        ('"speech"', '"speech"|', '"', False),
        ("torch.optim.AdamW", "torch.|optim.AdamW", ".", True),
        ("max_epochs = 9", "max_epochs = 9.|", ".", False),
        ("  trainer {", "  # trainer. |\n trainer {", " ", False),
        ("requires small", "requires |small", " ", True),
        ("train        on gpu", "train        on |gpu", " ", True),
    ],
)
def test_unasked_only_where_it_helps(old: str, new: str, typed: str, answered: bool) -> None:
    assert RECIPE.count(old) == 1, old
    found = asked(RECIPE.replace(old, new), typed=typed)[1]
    assert bool(found.items) is answered


def test_a_value_behind_a_sign_is_set_off() -> None:
    items, _, plain = asked(RECIPE.replace("max_epochs = 9", "max_epochs =|"), typed="=")
    assert "max_epochs = 1000" in put(plain, items["1000"])
    items, _, plain = asked(RECIPE.replace("n_mels = 80, hidden_size = size", "n_mels = 80,|"), server_for(), typed=",")
    assert "80, hidden_size" in put(plain, items["hidden_size"])


def test_lists_that_are_cut_are_asked_for_again() -> None:
    names = "".join(f"class Model{number}: ...\n" for number in range(400))
    server = editor(MemoryWorld({"src.model": names}))
    _, found, _ = asked("let a = src.model.|", server)
    assert found.is_incomplete and len(found.items) == 300
    _, found, _ = asked("let a = src.model.Model39|", server)
    assert not found.is_incomplete and len(found.items) < 40


def test_other_texts_get_nothing() -> None:
    server = server_for()
    server.documents.open("file:///a.py", 1, "import os")
    params = types.CompletionParams(types.TextDocumentIdentifier("file:///a.py"), types.Position(0, 3))
    assert completion.handle(server, params) is None


def test_any_position_has_an_answer() -> None:
    server = server_for(**SNIPPETS)
    document = opened(server, RECIPE.replace("\n", "\r\n"))
    for line in range(0, 80, 3):
        for column in (0, 3, 200):
            params = types.CompletionParams(identifier(document), types.Position(line, column))
            assert completion.handle(server, params) is not None
