"""Folding, selecting, hints, lenses and commands as the protocol has them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from lsprotocol import types

from esp3c.lsp import (
    code_lens,
    configuration,
    execute_command,
    folding_range,
    inlay_hint,
    selection_range,
    settings,
)
from esp3c.lsp.session import EspServer
from esp3c.world import MemoryWorld
from support.editor import URI, editor, identifier, opened
from support.fixtures import WORLD

CALL = "training {\n  # é 😀\n  # two\n  model = src.model.Model(n_mels = n)\n}\nlet n = 80\n"
TYPED = MemoryWorld({"src.model": "class Model:\n    def __init__(self, n_mels: int): ...\n"})


def whole() -> types.Range:
    return types.Range(types.Position(0, 0), types.Position(999, 0))


# -- folding --------------------------------------------------------------------------------------------------------------


def fold(text: str, **capabilities: object) -> list[types.FoldingRange]:
    server = editor(WORLD, folding_range=types.FoldingRangeClientCapabilities(**capabilities))  # type: ignore[arg-type]
    found = folding_range.handle(server, types.FoldingRangeParams(identifier(opened(server, text))))
    assert found is not None
    return found


def test_by_characters_all_of_what_is_inside_folds() -> None:
    assert fold("let a = [\n  1,\n]  # b\n") == [types.FoldingRange(0, 2, 9, 0)]


def test_by_lines_the_closing_bracket_stays_and_one_line_has_one_fold() -> None:
    text = 'training { dataset {\n    a = 1 }\n}\nlet b = """\n  x\n"""\n# c\n# d\n'

    assert fold(text, line_folding_only=True) == [
        types.FoldingRange(0, 1),
        types.FoldingRange(3, 4),
        types.FoldingRange(6, 7, kind=types.FoldingRangeKind.Comment),
    ]
    assert len(fold(text, line_folding_only=True, range_limit=1)) == 1


def test_a_text_that_is_not_open_has_no_answer() -> None:
    server = editor(WORLD)
    nobody = types.TextDocumentIdentifier("file:///nowhere.esp")

    assert folding_range.handle(server, types.FoldingRangeParams(nobody)) is None
    assert selection_range.handle(server, types.SelectionRangeParams(nobody, [])) is None
    assert code_lens.handle(server, types.CodeLensParams(nobody)) is None
    assert asyncio.run(inlay_hint.handle(server, types.InlayHintParams(nobody, whole()))) is None


# -- selecting ------------------------------------------------------------------------------------------------------------


def test_several_places_each_with_what_is_around() -> None:
    server = editor(WORLD)
    document = opened(server, 'let a = "😀 x"\nlet b = 2\n')
    places = [types.Position(0, 12), types.Position(1, 8)]
    one, other = selection_range.handle(server, types.SelectionRangeParams(identifier(document), places)) or ()

    assert one.range == types.Range(types.Position(0, 12), types.Position(0, 13))
    assert one.parent is not None and one.parent.range == types.Range(types.Position(0, 9), types.Position(0, 13))
    assert other.range == types.Range(types.Position(1, 8), types.Position(1, 9))
    while other.parent is not None:
        other = other.parent
    assert other.range == types.Range(types.Position(0, 0), types.Position(2, 0))


# -- hints ----------------------------------------------------------------------------------------------------------------


def labels(server: EspServer) -> list[str]:
    document = server.documents.get(URI) or opened(server, CALL)
    found = asyncio.run(inlay_hint.handle(server, types.InlayHintParams(identifier(document), whole())))
    return [part.value for each in found or () for part in each.label if isinstance(part, types.InlayHintLabelPart)]


def test_hints_stand_behind_what_they_are_about_and_lead_to_it() -> None:
    server = editor(TYPED)
    document = opened(server, CALL)
    found = asyncio.run(inlay_hint.handle(server, types.InlayHintParams(identifier(document), whole()))) or []
    (type_part,), (value_part,) = (each.label for each in found)

    assert [(each.position.line, each.position.character) for each in found] == [(3, 32), (3, 36)]
    assert isinstance(type_part, types.InlayHintLabelPart) and isinstance(value_part, types.InlayHintLabelPart)
    assert (type_part.value, value_part.value) == (": int", " = 80")
    assert type_part.location is not None and type_part.location.uri.endswith("/src/model.py")
    assert value_part.location == types.Location(URI, types.Range(types.Position(5, 8), types.Position(5, 10)))
    assert [each.kind for each in found] == [types.InlayHintKind.Type, types.InlayHintKind.Parameter]


@pytest.mark.parametrize("options", [{"inlayHints": {"values": False}}, {"esp3c": {"inlayHints": {"values": False}}}])
def test_what_the_client_said_at_the_start_is_kept_to(options: object) -> None:
    server = editor(TYPED)
    server.initialization_options = options

    assert labels(server) == [": int"]


def test_a_client_that_can_be_asked_is_asked_once_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    server = editor(TYPED)
    server.client_capabilities.workspace = types.WorkspaceClientCapabilities(configuration=True)
    asked: list[object] = []

    async def answer(params: types.ConfigurationParams) -> list[object]:
        asked.append(params.items[0].section)
        return [{"inlayHints": {"parameterTypes": len(asked) > 1}}]

    monkeypatch.setattr(server, "workspace_configuration_async", answer)

    assert (labels(server), labels(server)) == ([" = 80"], [" = 80"])
    configuration.handle(server, types.DidChangeConfigurationParams(None))
    assert labels(server) == [": int", " = 80"]
    assert asked == ["esp3c", "esp3c"]


def test_a_client_that_does_not_answer_leaves_everything_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    server = editor(TYPED)
    server.client_capabilities.workspace = types.WorkspaceClientCapabilities(configuration=True)

    async def silence(params: types.ConfigurationParams) -> list[object]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(server, "workspace_configuration_async", silence)
    monkeypatch.setattr(settings, "PATIENCE", 0.01)

    assert labels(server) == [": int", " = 80"]


@pytest.mark.parametrize("too_late", [False, True])
def test_an_answer_for_which_nobody_waits_any_more_is_no_mistake(
    too_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = editor(TYPED)
    server.client_capabilities.workspace = types.WorkspaceClientCapabilities(configuration=True)
    if too_late:
        monkeypatch.setattr(settings, "PATIENCE", 0.01)

    class Client:
        sent = b""

        def write(self, data: bytes) -> None:
            self.sent = data

    client, document = Client(), opened(server, CALL)
    server.protocol.set_writer(client, include_headers=False)

    async def session() -> None:
        hints = asyncio.ensure_future(inlay_hint.handle(server, types.InlayHintParams(identifier(document), whole())))
        while not client.sent:
            await asyncio.sleep(0)
        if too_late:
            assert await hints
        else:
            hints.cancel()
            await asyncio.wait([hints])
            assert hints.cancelled()
        answer = {"jsonrpc": "2.0", "id": json.loads(client.sent)["id"], "result": [None]}
        # As pygls does: what this raises, it shows to the user.
        server.protocol.handle_message(server.protocol.structure_message(answer))

    asyncio.run(asyncio.wait_for(session(), 20))
    # Only what was answered in time is known.
    assert labels(server) == [": int", " = 80"]


def test_a_client_that_cannot_be_asked_may_say_what_has_changed() -> None:
    server = editor(TYPED)
    configuration.handle(server, types.DidChangeConfigurationParams({"esp3c": {"inlayHints": {"values": False}}}))

    assert labels(server) == [": int"]


# -- lenses and commands --------------------------------------------------------------------------------------------------

STAGES = (
    "recipe r { system = espnet3.systems.asr.system.ASRSystem }\nparallel gpu = local()\nstages {\n  train on gpu\n}\n"
)


def test_lenses_name_the_recipe_and_the_stage() -> None:
    server = editor(WORLD)
    found = code_lens.handle(server, types.CodeLensParams(identifier(opened(server, STAGES)))) or []
    commands = [each.command for each in found if each.command is not None]

    assert [(each.command, each.arguments) for each in commands] == [
        ("esp3c.runStage", [URI, None]),
        ("esp3c.plan", [URI, None]),
        ("esp3c.runStage", [URI, "train"]),
        ("esp3c.plan", [URI, "train"]),
    ]
    assert [each.range.start.line for each in found] == [2, 2, 3, 3]


def test_commands_tell_what_there_is_to_choose_from_and_draw_it() -> None:
    server = editor(WORLD)
    opened(server, STAGES)

    assert asyncio.run(execute_command.stages(server, URI)) == {
        "recipe": "r",
        "stages": [{"name": "train", "on": "gpu"}],
        "configs": [],
        "parallels": ["gpu"],
    }
    picture = asyncio.run(execute_command.graph(server, URI)) or ""
    assert picture.startswith("<svg") and "train" in picture
    assert asyncio.run(execute_command.graph(server, 3)) is None


def test_a_plan_is_made_beside_the_server(tmp_path: Path) -> None:
    path = tmp_path / "recipe.esp"
    path.write_text("recipe r { system = }\n", encoding="utf-8")
    server = editor(WORLD)

    said = asyncio.run(execute_command.plan(server, path.as_uri(), "train"))

    assert "ESP0105" in said and "\x1b" not in said
    assert asyncio.run(execute_command.plan(server, path.as_uri(), "--help")) == "there is no stage `--help`"
    assert "takes the URI" in asyncio.run(execute_command.plan(server, None))


def test_a_plan_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute_command, "PATIENCE", 0.01)

    said = asyncio.run(execute_command.plan(editor(WORLD), (tmp_path / "recipe.esp").as_uri()))

    assert "was ended" in said


def test_a_folder_that_is_gone_is_said() -> None:
    said = asyncio.run(execute_command.plan(editor(WORLD), "file:///nowhere/at/all/recipe.esp"))

    assert said.startswith("cannot plan /nowhere/at/all/recipe.esp: ")
