"""Checkpoints that are read, and who may have written them: what is correct is left alone."""

from __future__ import annotations

import pytest

from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES

RECIPE = """
recipe r { system = SYSTEM  exp_tag = "whole" }
dataset digits { source = "mini_an4/asr" }
training {
  dataset { train = [digits(split = "a")]  valid = [digits(split = "b")] }
  model = espnet3.components.modeling.pretrained.load_pretrained(model = src.model.CTCRecognizer(), checkpoint = "BASE")
  optimizer = torch.optim.AdamW()
}
inference { input_key = "speech"
  dataset { test { seen = digits(split = "c") } }
  model = src.inference.Recognizer(checkpoint = "READ")
}
publication { pack_model { out_dir = "${recipe_dir}/pack" } }
stages { STAGES }
"""
FETCH = "import shutil\ndef fetch(config):\n    shutil.copy('x', config.exp_dir + '/{0}')\n"
ASR = "espnet3.systems.asr.system.ASRSystem"
LAST = "${exp_dir}/last.ckpt"


def said(
    stages: str, base: str = "/models/base.ckpt", read: str = LAST, system: str = ASR, **modules: str
) -> list[str]:
    text = RECIPE.replace("SYSTEM", system).replace("BASE", base).replace("READ", read).replace("STAGES", stages)
    own = {f"src.{name}": content for name, content in modules.items()}
    files = ("README.md", "exp/of_last_week/last.ckpt")
    result = compile(Source("recipe.esp", text), MemoryWorld({**MODULES, **own}, files=files))
    return [each.code.id for each in result.diagnostics]


@pytest.mark.parametrize("name", ["start.ckpt", "last.ckpt"])
def test_a_stage_of_ones_own_may_fetch_what_a_training_begins_with(name: str) -> None:
    """It names the file in its Python; where nothing does, a training cannot begin with what it writes itself."""
    stages = "fetch_start requires training runs src.own.fetch\n  train"

    assert said(stages, f"${{exp_dir}}/{name}", own=FETCH.format(name)) == []
    assert said("train", LAST) == ["ESP0612"]


def test_a_word_in_a_comment_writes_no_file() -> None:
    """`best` in a comment is no `best.ckpt`; `"best"` in a path that is put together may be."""
    stages = "fetch_start requires training runs src.own.fetch\n  train\n  infer"
    best = "${exp_dir}/best.ckpt"

    assert said(stages, read=best, own="def fetch(config):\n    pass  # the best there is\n") == ["ESP0907"]
    assert (
        said(stages, read=best, own="def fetch(config, name='a'):\n    return f'{config.exp_dir}/{name}.ckpt'\n") == []
    )
    assert said(stages, read=best, own="def fetch(config):\n    return 'best' + str(config)\n") == []


def test_an_argument_that_says_where_to_save_is_not_read() -> None:
    text = RECIPE.replace('checkpoint = "BASE")', 'checkpoint = "/models/base.ckpt")').replace("SYSTEM", ASR)
    text = text.replace("src.model.CTCRecognizer()", f'src.model.CTCRecognizer(saves_to = "{LAST}")')
    text = text.replace("READ", LAST).replace("STAGES", "train")

    assert [each.code.id for each in compile(Source("recipe.esp", text), MemoryWorld(MODULES)).diagnostics] == []


@pytest.mark.parametrize("read", ["/models/released.ckpt", "${recipe_dir}/released/ctc.pth"])
def test_an_inference_with_a_model_from_elsewhere_may_come_first(read: str) -> None:
    assert said("infer\n  train", read=read) == []
    assert "ESP0606" in said("infer\n  train")


def test_a_folder_that_is_there_needs_no_training() -> None:
    """`exp/of_last_week` is on the disk; `exp/whoel` is near a training's, and is not."""
    assert said("train\n  infer", read="${recipe_dir}/exp/of_last_week/last.ckpt") == []
    assert said("train\n  infer", read="${recipe_dir}/exp/whoel/last.ckpt") == ["ESP0907"]
    for other in ("somewhere_else", "whole2", "whole_v1", "whol"):
        assert said("train\n  infer", read=f"${{recipe_dir}}/exp/{other}/last.ckpt") == []


def test_a_system_that_packs_in_its_own_way_needs_no_training() -> None:
    system = f"from {ASR.rpartition('.')[0]} import ASRSystem\nclass Own(ASRSystem):\n    def pack_model(self): ...\n"

    assert said("pack_model", system="src.own.Own", own=system) == []
    assert said("pack_model") == ["ESP0903"]


def test_a_system_that_trains_in_its_own_way_reads_the_model_as_it_likes() -> None:
    """`model { … }` without a task is settings of its own; no line runs `collect_stats`, which would make a model."""
    system = f"from {ASR.rpartition('.')[0]} import ASRSystem\nclass Own(ASRSystem):\n    def train(self): ...\n"
    text = RECIPE.replace("SYSTEM", "src.own.Own").replace("STAGES", "train").replace("READ", LAST)
    start, end = text.index("  model = espnet3"), text.index("  optimizer")
    text = text[:start] + "  model { layers = 3 }\n" + text[end:]
    world = MemoryWorld({**MODULES, "src.own": system})

    assert [each.code.id for each in compile(Source("recipe.esp", text), world).diagnostics] == []
