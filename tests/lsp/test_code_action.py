"""Code actions as the protocol has them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lsprotocol import types

from esp3c.cli.fixing import fix_all
from esp3c.lsp import code_action, code_action_resolve
from esp3c.lsp.documents import Document
from esp3c.lsp.published import published
from esp3c.lsp.session import EspServer
from esp3c.pipeline import compile
from support.editor import edited, editor, identifier, opened, told
from support.fixtures import WORLD, bad_fixtures

HEAD = "# 😀\nrecipe digits { system = espnet3.systems.asr.system.ASRSystem }\n"


def server_of(resolves: bool = True) -> EspServer:
    return editor(
        WORLD,
        code_action=types.CodeActionClientCapabilities(
            code_action_literal_support=types.ClientCodeActionLiteralOptions(types.ClientCodeActionKindOptions([])),
            resolve_support=types.ClientCodeActionResolveOptions(["edit"]) if resolves else None,
        ),
    )


def ask(
    server: EspServer, document: Document, word: str, only: list[str] | None = None, automatic: bool = False
) -> list[types.CodeAction]:
    start = document.text.index(word)
    diagnostics = published(document, server.checking.known[document.uri][1])
    context = types.CodeActionContext(
        diagnostics,
        only,
        types.CodeActionTriggerKind.Automatic if automatic else types.CodeActionTriggerKind.Invoked,
    )
    where = document.lines.range(start, start + len(word))
    found = asyncio.run(code_action.handle(server, types.CodeActionParams(identifier(document), where, context)))
    assert found is not None
    return found


def after(document: Document, action: types.CodeAction) -> str:
    assert action.edit is not None and action.edit.changes is not None
    return edited(document, list(action.edit.changes[document.uri]))


def test_a_certain_fix_is_preferred_and_linked_to_its_diagnostic() -> None:
    server = server_of()
    document = opened(server, HEAD + "training { trainer { max_epoch = 3 } }\n")
    told(server, document)
    first, *others = ask(server, document, "max_epoch")

    assert (first.title, first.kind, first.is_preferred) == ("Write `max_epochs`", "quickfix", True)
    assert first.diagnostics is not None and first.diagnostics[0].code == "ESP0301"
    assert after(document, first) == document.text.replace("max_epoch", "max_epochs")
    assert [each.title for each in others] == ["Ignore ESP0301 here", "Fix all certain mistakes"]
    assert not any(each.is_preferred for each in others)


def test_edits_name_the_version_for_clients_that_look_at_it() -> None:
    server = server_of()
    server.client_capabilities.workspace = types.WorkspaceClientCapabilities(
        workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True)
    )
    document = opened(server, HEAD + "training { trainer { max_epoch = 3 } }\n")
    told(server, document)
    edit = ask(server, document, "max_epoch")[0].edit

    assert edit is not None and edit.document_changes is not None
    (change,) = edit.document_changes
    assert isinstance(change, types.TextDocumentEdit) and change.text_document.version == 1


def test_only_what_is_asked_for_and_only_where_it_is() -> None:
    server = server_of()
    document = opened(server, HEAD + "training { trainer { max_epoch = 3 } seed = 1 }\n")
    told(server, document)

    assert [each.title for each in ask(server, document, "seed", ["quickfix"])] == []
    assert [each.kind for each in ask(server, document, "1", ["refactor"])] == ["refactor.extract"]
    assert [each.kind for each in ask(server, document, "1", automatic=True)] == ["source.fixAll.esp3c"]
    assert [each.kind for each in ask(server, document, "max_epoch", ["source.fixAll"])] == ["source.fixAll.esp3c"]


def test_what_was_said_of_an_older_text_is_not_acted_on() -> None:
    server = server_of()
    document = opened(server, HEAD + "training { trainer { max_epoch = 3 } }\n")
    told(server, document)
    document.change(2, [types.TextDocumentContentChangeWholeDocument("\n" + document.text)])

    assert [each.kind for each in ask(server, document, "max_epoch", ["quickfix"])] == []


def test_what_would_bring_another_error_is_not_offered() -> None:
    server = server_of()
    document = opened(server, HEAD + "stages { infer }\n")
    told(server, document)

    assert ask(server, document, "infer", ["quickfix"]) == []
    document.change(
        2,
        [types.TextDocumentContentChangeWholeDocument(HEAD + "stages { go requires own runs src.stages.export_onnx }")],
    )
    told(server, document)
    assert [each.title for each in ask(server, document, "own", ["quickfix"])] == ["Declare the config `own`"]


def test_a_client_that_knows_commands_only_is_given_nothing() -> None:
    server = editor(WORLD)
    document = opened(server, HEAD)
    params = types.CodeActionParams(identifier(document), document.lines.range(0, 1), types.CodeActionContext([]))

    assert asyncio.run(code_action.handle(server, params)) is None


MANY = HEAD + "training {\n  trainer { max_epoch = 3;  devices: 1 }\n  exp_tag = 'x'\n}\n"


@pytest.mark.parametrize("resolves", [True, False])
def test_all_that_is_certain_is_fixed_at_once_as_on_the_command_line(resolves: bool) -> None:
    server = server_of(resolves)
    document = opened(server, MANY)
    told(server, document)
    (action,) = ask(server, document, "training", ["source.fixAll.esp3c"])
    if resolves:
        assert action.edit is None
        action = code_action_resolve.handle(server, action)

    there = fix_all(document.view().source, lambda source: compile(source, WORLD), lambda _: True)
    assert after(document, action) == there.source.text
    assert len(there.done) == 4


def test_a_choice_that_comes_too_late_changes_nothing() -> None:
    server = server_of()
    document = opened(server, MANY)
    told(server, document)
    (action,) = ask(server, document, "training", ["source.fixAll.esp3c"])
    document.change(2, [types.TextDocumentContentChangeWholeDocument("")])

    assert code_action_resolve.handle(server, action).edit is None


@pytest.mark.parametrize("path", bad_fixtures()[::6], ids=lambda path: path.stem)
def test_every_action_over_a_whole_bad_recipe_can_be_applied(path: Path) -> None:
    server = server_of()
    document = opened(server, path.read_text(encoding="utf-8"))
    told(server, document)
    for each in ask(server, document, document.text, ["quickfix"]):
        assert after(document, each) != document.text
