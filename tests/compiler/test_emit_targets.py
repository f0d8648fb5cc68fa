"""What `run.py` lists as the targets of the configs, and what the manifest says of blocks and of the recipe itself."""

from __future__ import annotations

import ast
import hashlib
import json

import pytest

from esp3c.emit.files import Layout
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import FIXTURES, MODULES, WORLD

WHOLE = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")
SYSTEM = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\n"
M = "src.model.CTCRecognizer"


def files(text: str, *overrides: str) -> dict[str, str]:
    sources = [Source(f"--set {each}", each) for each in overrides]
    result = compile(Source("recipe.esp", text), WORLD, sources, Layout("recipe.esp"))
    assert [str(each.message) for each in result.diagnostics if each.severity == "error"] == []
    return {each.path: each.text for each in result.files}


def targets(text: str, *overrides: str) -> list[str]:
    for node in ast.parse(files(text, *overrides)["run.py"]).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TARGETS":
            listed = ast.literal_eval(node.value)
            assert isinstance(listed, tuple)
            return list(listed)
    raise AssertionError("run.py has no TARGETS")


def test_every_target_of_every_config_is_listed_once_and_sorted() -> None:
    found = targets(WHOLE)

    assert found == sorted(set(found))
    for each in ("torch.optim.AdamW", M, "src.inference.build_output", "recipe_data.digits"):
        assert each in found
    assert not [each for each in found if each.startswith("hydra.")]


def test_a_recipe_that_names_nothing_lists_nothing() -> None:
    assert targets(SYSTEM + "config own { a = 1 }\nstages { go requires own runs src.stages.export_onnx }") == []


def test_where_a_target_may_stand() -> None:
    text = f"""
    let shared = {M}(a = 1)
    config own {{
      deep {{ list = [{{ x = {M}(b = partial torch.optim.AdamW(lr = 1)) }}] }}
      transform = src.inference.build_output
      named = "src.stages.export_onnx"
      output_fn = named
      task = "src.${{kind}}.Task"
      kind = "tasks"
      carried = shared
    }}
    stages {{ go requires own runs src.stages.export_onnx }}
    """

    assert targets(SYSTEM + text) == [
        "src.inference.build_output", M, "src.stages.export_onnx", "src.tasks.Task", "torch.optim.AdamW",
    ]  # fmt: skip


@pytest.mark.parametrize("function", ["get_class", "get_method", "get_object", "get_static_method"])
def test_of_a_look_up_what_it_gives_is_listed(function: str) -> None:
    world = MemoryWorld({**MODULES, "hydra.utils": f"def {function}(path): ...\n"})
    made = f'config own {{ part = hydra.utils.{function}(path = "src.text.CharTokens") }}\n'
    source = Source("recipe.esp", SYSTEM + made + "stages { go requires own runs src.stages.export_onnx }")

    result = compile(source, world, (), Layout("recipe.esp"))

    [run] = [each.text for each in result.files if each.path == "run.py"]
    assert "src.text.CharTokens" in run
    assert "hydra.utils" not in run


def test_what_is_set_for_a_run_is_named_too() -> None:
    text = SYSTEM + f"config own {{ part = {M}(a = 1) }}\nstages {{ go requires own runs src.stages.export_onnx }}"

    assert targets(text) == [M]
    assert targets(text, "own.part=src.text.CharTokens(a = 1)") == ["src.text.CharTokens"]


def test_the_manifest_knows_blocks_and_the_recipe() -> None:
    manifest = json.loads(files(WHOLE)[".esp3c/manifest.json"])
    blocks = {each["at"]: each for each in manifest["files"]["conf/training.yaml"]["blocks"]}

    assert manifest["recipe_sha256"] == hashlib.sha256(WHOLE.encode()).hexdigest()
    optimizer = blocks["optimizer"]
    assert WHOLE[optimizer["start"] : optimizer["end"]].startswith("torch.optim.AdamW(")
    assert WHOLE[blocks["trainer"]["start"]] == "{"
    assert {"dataset.train", "dataset.train[0]", "create_dataset"} <= set(blocks)
