"""A misspelt key or argument is said once: not again where its right name is asked for."""

from __future__ import annotations

import pytest

from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld

WORLD = MemoryWorld(
    {
        "src.systems": "from espnet3.systems.base.system import BaseSystem\nclass Mine(BaseSystem): ...\n",
        "espnet3.systems.base.system": "class BaseSystem: ...\n",
        "src.model": "class Model:\n    def __init__(self, hidden_size, vocab_size = 3): ...\n    def forward(self): ...\n",
    }
)
BESIDE = {"ESP0205", "ESP0408"}
"""What has nothing to do with it: no stage uses the config, and the model is no torch.nn.Module."""
RECIPE = """\
recipe r { system = src.systems.Mine }
training { model = src.model.Model(hidden_size = 4) }
config a { x = training.model.hidden_size }
"""


def said(text: str) -> list[tuple[str, str]]:
    found = compile(Source("r", text), WORLD).diagnostics
    return [(each.code.id, each.message) for each in found if each.code.id not in BESIDE]


def test_the_recipe_is_right() -> None:
    assert said(RECIPE) == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("(hidden_size", "(hiden_size", "ESP0402"), ("model =", "modle =", "ESP0301")],
)
def test_a_name_that_means_what_is_misspelt_is_no_mistake_of_its_own(old: str, new: str, code: str) -> None:
    assert [each for each, _ in said(RECIPE.replace(old, new, 1))] == [code]


def test_another_name_is_one() -> None:
    text = RECIPE.replace("(hidden_size", "(hiden_size", 1).replace("model.hidden_size", "model.depth", 1)
    assert ("ESP0201", "`training.model.depth` is not defined") in said(text)
    assert [each for each, _ in said(text)] == ["ESP0402", "ESP0201"]


def test_an_argument_of_a_closed_signature_is_mended() -> None:
    found = compile(
        Source("r", RECIPE.replace("(hidden_size = 4", "(hidden_size = 4, vocab_sise = 2")), WORLD
    ).diagnostics
    fix = next(each.fix for each in found if each.code.id == "ESP0402")
    assert fix is not None and [edit.text for edit in fix.edits] == ["vocab_size"]
