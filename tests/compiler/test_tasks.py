"""ESPnet2's tasks: checked where ESPnet2 can be read, unchecked and never wrong where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from esp3c.emit.files import Layout
from esp3c.pipeline import Result, compile
from esp3c.source import Source
from esp3c.syntax.parse import parse
from esp3c.world import MemoryWorld
from support.fixtures import FIXTURES, MODULES
from support.pages import blocks_of

RECIPE = (FIXTURES / "ok" / "espnet2_task.esp").read_text(encoding="utf-8")


def checked(text: str, *, installed: bool) -> Result:
    modules = {name: body for name, body in MODULES.items() if installed or not name.startswith("espnet2.")}
    return compile(Source("recipe.esp", text), MemoryWorld(modules))


@pytest.mark.parametrize("installed", [True, False])
def test_a_correct_recipe_is_accused_of_nothing_wherever_it_is_checked(installed: bool) -> None:
    """What ESPnet2's absence leaves open is unchecked, with the reason."""
    result = checked(RECIPE, installed=installed)

    reasons = {each.why for each in result.account.unchecked}
    settings = [each.span.text for each in result.account.unchecked if each.what == "a setting in `model`"]
    assert {'"transformer"', "64", "0.3", '"rnn"'} <= set(settings)
    assert [each.message for each in result.diagnostics] == []
    assert ("`espnet2` is not installed here" in reasons) == (not installed)


def test_a_misspelt_task_is_found_only_where_it_can_be() -> None:
    """Nobody knows the classes of a package that is not there."""
    text = RECIPE.replace("espnet2.tasks.asr.ASRTask", "espnet2.tasks.asr.ASRTsk")

    here = [each.code.id for each in checked(text, installed=True).diagnostics]
    elsewhere = [each.code.id for each in checked(text, installed=False).diagnostics]
    assert here == ["ESP0201"]
    assert elsewhere == []


def test_another_package_that_is_not_there_is_an_error_still() -> None:
    """Only packages that an extra brings are let pass."""
    text = RECIPE.replace("espnet2.tasks.asr.ASRTask", "espnet4.tasks.asr.ASRTask")

    codes = [each.code.id for each in checked(text, installed=False).diagnostics]
    assert codes == ["ESP0201"]


@pytest.mark.parametrize("task", ["", "task = null\n"])
@pytest.mark.parametrize("installed", [True, False])
def test_settings_without_a_task_make_no_model(task: str, installed: bool) -> None:
    """Said once, though another config inherits them; also where ESPnet2 is not installed."""
    text = RECIPE.replace("task = espnet2.tasks.asr.ASRTask\n", task)
    text = text.replace("task = espnet3.systems.asr.transducer_task.ASRTransducerTask\n", "")
    assert "ASRT" not in text

    found = checked(text, installed=installed).diagnostics
    assert [each.primary.span.text for each in found if each.code.id == "ESP0421"] == ["model"]


def test_a_stage_of_ones_own_may_read_a_model_block_as_it_likes() -> None:
    """Only espnet3's own training makes the model as is said here."""
    text = """
recipe own { system = src.trained.OwnSystem }
training { model { layers = 3 } }
stages { train }
"""
    system = (
        "from espnet3.systems.asr.system import ASRSystem\n"
        "class OwnSystem(ASRSystem):\n    def train(self): ...\n    def collect_stats(self): ...\n"
    )
    result = compile(Source("recipe.esp", text), MemoryWorld({**MODULES, "src.trained": system}))

    assert "ESP0421" not in [each.code.id for each in result.diagnostics]


def test_the_two_sides_of_the_guide_are_the_same() -> None:
    """What its page writes in one file becomes the YAML that stands beside it; tokens come from the tokenizer there."""
    page = Path(__file__).parents[2] / "docs" / "guides" / "espnet2-tasks.md"
    model, batches, *_ = blocks_of(page, "esp")
    yaml_of_model, yaml_of_batches = map(yaml.safe_load, blocks_of(page, "yaml"))
    made = []
    for text in (model, batches):
        recipe = f"recipe r {{ system = espnet3.systems.asr.system.ASRSystem }}\n{text}"
        result = compile(Source("recipe.esp", recipe), MemoryWorld(MODULES), (), Layout("recipe.esp"))
        assert result.ok, [each.message for each in result.diagnostics]
        made.append(yaml.safe_load(next(file.text for file in result.files if file.path == "conf/training.yaml")))

    assert yaml_of_model["model"].pop("token_list") == "${load_line:${tokenizer.save_path}/tokens.txt}"
    assert {key: made[0][key] for key in yaml_of_model} == yaml_of_model
    assert made[1]["dataloader"] == yaml_of_batches["dataloader"]
    assert made[1]["dataset"]["preprocessor"] == yaml_of_batches["dataset"]["preprocessor"]


def test_every_piece_of_the_guide_is_of_the_language() -> None:
    """Pieces that stand inside a block are put into one."""
    page = Path(__file__).parents[2] / "docs" / "guides" / "espnet2-tasks.md"
    pieces = blocks_of(page, "esp")

    assert len(pieces) == 4
    for piece in pieces:
        text = piece if piece.startswith(("training", "inference")) else f"training {{\n{piece}}}\n"
        _, wrong = parse(Source("piece.esp", text))
        assert list(wrong) == []


def test_a_class_beside_a_task_is_said_once() -> None:
    """The settings in the class's call are meant for the task: that the class does not take them is no second mistake."""
    text = RECIPE.replace("  model {", "  model {\n    _target_ = torch.nn.LayerNorm", 1)

    assert [each.code.id for each in checked(text, installed=True).diagnostics] == ["ESP0421"]
