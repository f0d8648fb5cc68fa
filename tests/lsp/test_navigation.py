"""Going to names, what is shown of them, and changing them, as a client asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.workspace import Workspace

from esp3c.lsp import (
    declaration,
    definition,
    document_highlight,
    document_links,
    document_symbols,
    hover,
    prepare_rename,
    references,
    rename,
    type_definition,
    workspace_symbols,
)
from esp3c.lsp.documents import Document
from esp3c.lsp.server import EspServer
from support.editor import URI, edited, editor, identifier, opened
from support.marks import RECIPE, WORLD, at

FOLDER = "file:///recipes/digits/"
LINKS: dict[str, Any] = {
    "definition": types.DefinitionClientCapabilities(link_support=True),
    "type_definition": types.TypeDefinitionClientCapabilities(link_support=True),
}


def place(document: Document, mark: str) -> dict[str, Any]:
    """What the parameters of a question about a mark have in common."""
    position = document.lines.position(at(document.text, mark))
    return {"text_document": identifier(document), "position": position}


def text_at(document: Document, found: types.Range) -> str:
    return document.text[document.lines.offset(found.start) : document.lines.offset(found.end)]


def recipe(text: str = RECIPE, encoding: str = "utf-16", **capabilities: Any) -> tuple[EspServer, Document]:
    server = editor(WORLD, encoding, **capabilities)
    return server, opened(server, text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_definition_has_the_characters_that_lead_to_it(encoding: str) -> None:
    text = RECIPE.replace('exp_tag = "ctc"', 'exp_tag = "c😀é"  data_dir = "é😀"').replace("\n", "\r\n")
    server, document = recipe(text, encoding, **LINKS)

    found = definition.handle(server, types.DefinitionParams(**place(document, "hidden_size = s|ize)")))
    assert found is not None and isinstance(found[0], types.LocationLink)
    assert found[0].target_uri == URI
    assert text_at(document, found[0].target_selection_range) == "size"
    assert text_at(document, found[0].target_range) == "let size  = sizes.hidden"
    assert found[0].origin_selection_range is not None and text_at(document, found[0].origin_selection_range) == "size"


def test_a_client_without_links_gets_places() -> None:
    server, document = recipe()

    found = definition.handle(server, types.DefinitionParams(**place(document, "= src.model.Recog|nizer(n_mels = 80")))
    assert found is not None and isinstance(found[0], types.Location)
    assert found[0].uri == (Path.cwd() / "src" / "model.py").as_uri()
    assert found[0].range == types.Range(types.Position(4, 6), types.Position(4, 16))

    own = declaration.handle(server, types.DeclarationParams(**place(document, 'seen = spo|ken(split = "test")')))
    assert own is not None and own[0].range.start == types.Position(11, 8)
    made = type_definition.handle(server, types.TypeDefinitionParams(**place(document, "dataset spo|ken")))
    assert made is not None and made[0].uri.endswith("/dataset/dataset.py")
    assert definition.handle(server, types.DefinitionParams(**place(document, "let rate  = 16k|Hz"))) is None


def test_hover_is_in_the_form_that_the_client_shows() -> None:
    for forms, kind in (
        (None, types.MarkupKind.Markdown),
        ([types.MarkupKind.Markdown, types.MarkupKind.PlainText], types.MarkupKind.Markdown),
        ([types.MarkupKind.PlainText], types.MarkupKind.PlainText),
    ):
        shown = types.HoverClientCapabilities(content_format=forms)
        server, document = recipe(hover=shown)
        found = hover.handle(server, types.HoverParams(**place(document, "training.model.n_m|els")))

        assert found is not None and isinstance(found.contents, types.MarkupContent) and found.range is not None
        assert found.contents.kind == kind
        assert "training.model.n_mels = 80" in found.contents.value
        assert ("```esp" in found.contents.value) == (kind == types.MarkupKind.Markdown)
        assert text_at(document, found.range) == "n_mels"
    assert hover.handle(server, types.HoverParams(**place(document, 'split = "tr|ain"'))) is None


def test_references_are_with_or_without_the_declaration() -> None:
    server, document = recipe()
    for declared, lines in ((True, [2, 22]), (False, [22])):
        context = types.ReferenceContext(include_declaration=declared)
        found = references.handle(server, types.ReferenceParams(context, **place(document, "hidden_size = s|ize)")))
        assert [each.range.start.line for each in found or ()] == lines

    marks = document_highlight.handle(server, types.DocumentHighlightParams(**place(document, "trainer { max_ep|ochs")))
    assert [each.kind for each in marks or ()] == [types.DocumentHighlightKind.Write] * 2
    marks = document_highlight.handle(server, types.DocumentHighlightParams(**place(document, "let si|ze ")))
    assert [each.kind for each in marks or ()] == [types.DocumentHighlightKind.Write, types.DocumentHighlightKind.Read]


def test_a_name_is_changed_in_the_text_as_it_is() -> None:
    server, document = recipe()
    asked = place(document, "dataset sp|oken")

    can = prepare_rename.handle(server, types.PrepareRenameParams(**asked))
    assert can is not None and can.placeholder == "spoken" and text_at(document, can.range) == "spoken"
    done = rename.handle(server, types.RenameParams(new_name="digits_of", **asked))
    assert done is not None and done.changes is not None
    changed = edited(document, done.changes[URI])
    assert "spoken" not in changed and changed.count("digits_of") == 4


def test_a_name_that_stays_is_refused_with_a_reason() -> None:
    server, document = recipe()
    asked = place(document, "src.model.Recog|nizer(n_mels = 80")

    with pytest.raises(JsonRpcException, match="is Python: rename it there") as refused:
        prepare_rename.handle(server, types.PrepareRenameParams(**asked))
    assert refused.value.code == types.LSPErrorCodes.RequestFailed
    with pytest.raises(JsonRpcException, match="there is a let `rate` already"):
        rename.handle(server, types.RenameParams(new_name="rate", **place(document, "let wor|ds")))


def test_the_outline_is_nested_where_the_client_can() -> None:
    nested = types.DocumentSymbolClientCapabilities(hierarchical_document_symbol_support=True)
    server, document = recipe(document_symbol=nested)
    asked = types.DocumentSymbolParams(identifier(document))

    found = document_symbols.handle(server, asked)
    assert found is not None
    training = next(each for each in found if each.name == "training")
    assert isinstance(training, types.DocumentSymbol) and training.kind == types.SymbolKind.Namespace
    assert [each.name for each in training.children or ()][:3] == ["dataset", "model", "optimizer"]
    assert text_at(document, training.selection_range) == "training"

    server, document = recipe()
    flat = document_symbols.handle(server, asked)
    inside = next(each for each in flat or () if each.name == "max_epochs")
    assert isinstance(inside, types.SymbolInformation) and inside.container_name == "training.trainer"


def test_texts_lead_to_files_of_the_folder() -> None:
    server, document = recipe()
    found = document_links.handle(server, types.DocumentLinkParams(identifier(document)))

    assert [(text_at(document, each.range), each.target) for each in found or ()] == [
        ("${data_dir}/words.txt", FOLDER + "data/words.txt")
    ]
    assert found is not None and found[0].tooltip == "Open the file data/words.txt"


def test_other_files_and_unknown_ones_have_no_answers() -> None:
    server = editor(WORLD)
    document = opened(server, "a: 1\n", "file:///recipes/digits/conf/a.yaml")
    for uri in (document.uri, "file:///nowhere.esp"):
        asked: dict[str, Any] = {"text_document": types.TextDocumentIdentifier(uri), "position": types.Position(0, 0)}
        assert hover.handle(server, types.HoverParams(**asked)) is None
        assert definition.handle(server, types.DefinitionParams(**asked)) is None
        assert declaration.handle(server, types.DeclarationParams(**asked)) is None
        assert type_definition.handle(server, types.TypeDefinitionParams(**asked)) is None
        assert references.handle(server, types.ReferenceParams(types.ReferenceContext(True), **asked)) is None
        assert document_highlight.handle(server, types.DocumentHighlightParams(**asked)) is None
        assert rename.handle(server, types.RenameParams(new_name="b", **asked)) is None
        assert prepare_rename.handle(server, types.PrepareRenameParams(**asked)) is None
        assert document_symbols.handle(server, types.DocumentSymbolParams(asked["text_document"])) is None
        assert document_links.handle(server, types.DocumentLinkParams(asked["text_document"])) is None


# -- the whole workspace ------------------------------------------------------------------------------------------------


def symbols(server: EspServer, query: str) -> list[tuple[str, str | None, str]]:
    found = workspace_symbols.handle(server, types.WorkspaceSymbolParams(query))
    return [(each.name, each.container_name, each.location.uri.rpartition("/")[2]) for each in found]


def in_workspace(folder: Path) -> EspServer:
    server = editor(WORLD)
    server.protocol._workspace = Workspace(None, workspace_folders=[types.WorkspaceFolder(folder.as_uri(), "w")])
    return server


def test_declarations_of_all_recipes_are_found(tmp_path: Path) -> None:
    for name in ("one", "two", "data/three", ".hidden/four", "exp/five", "node_modules/six", ".venv/seven"):
        path = tmp_path / name / "recipe.esp"
        path.parent.mkdir(parents=True)
        path.write_text(
            f"dataset digits_{path.parent.name} {{ }}\nstages {{ export_onnx runs a.b }}\n", encoding="utf-8"
        )
    (tmp_path / "two" / "broken.esp").write_bytes(b"dataset digits_bad \xff { }")
    server = in_workspace(tmp_path)

    assert symbols(server, "digits") == [("digits_one", "one", "recipe.esp"), ("digits_two", "two", "recipe.esp")]
    assert symbols(server, "onx") == [("export_onnx", "one", "recipe.esp"), ("export_onnx", "two", "recipe.esp")]
    assert symbols(server, "nothing_like_it") == []


def test_an_open_text_is_taken_before_its_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.esp"
    path.write_text("let on_disk = 1\n", encoding="utf-8")
    server = in_workspace(tmp_path)
    opened(server, "let in_editor = 1\n", path.as_uri())

    assert [name for name, _, _ in symbols(server, "")] == ["in_editor"]
    server.documents.close(path.as_uri())
    assert [name for name, _, _ in symbols(server, "")] == ["on_disk"]
    path.write_text("let changed_since = 1\n", encoding="utf-8")
    assert [name for name, _, _ in symbols(server, "")] == ["changed_since"]


def test_without_a_workspace_it_is_the_folders_of_open_recipes(tmp_path: Path) -> None:
    (tmp_path / "other.esp").write_text("let other = 1\n", encoding="utf-8")
    server = editor(WORLD)
    opened(server, "let mine = 1\n", (tmp_path / "recipe.esp").as_uri())

    assert [name for name, _, _ in symbols(server, "")] == ["mine", "other"]
