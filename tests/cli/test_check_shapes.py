"""`esp3c check --shapes`: one batch of shapes through a training, told at the recipe's line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import esp3c
from esp3c.check.shapes import SHAPES, Trial, said_of
from esp3c.cli.main import main
from esp3c.diagnostics import code_of
from esp3c.pipeline import codes
from esp3c.source import Source, Span
from support.fixtures import compile_text

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
ROOT = Path(__file__).parent.parent.parent

RECIPE = """\
recipe frames {{ system = espnet3.systems.asr.system.ASRSystem }}

dataset feats {{
  class = dataset.dataset.Frames
  sample {{ utt_id: str  feats: float32[time, 80]  labels: int64[length] }}
}}

training {{
  dataset {{ train = [feats(split = "train")]  valid = [feats(split = "valid")] }}
  model = src.model.Tagger(n_mels = {n_mels}, size = {size})
  optimizer = torch.optim.AdamW(lr = 1e-3)
  dataloader {{
    collate_fn = espnet3.components.data.collate.CommonCollateFn(int_pad_value = -1)
    train {{ batch_size = 4 }}
  }}
}}

stages {{ train }}
"""
MODEL = """\
import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, n_mels: int, size: int) -> None:
        super().__init__()
        {init}
        self.front = nn.Linear(n_mels, size)
        self.head = nn.Linear(64, 9)

    def forward(self, feats, labels, **batch):
        hidden = self.front(feats).relu().mean(1)
        {forward}
        return nn.functional.cross_entropy(self.head(hidden), labels[:, 0])
"""
DATASET = """\
class Frames:
    def __init__(self, split):
        raise RuntimeError("data is not touched")

    def __len__(self):
        return 0

    def __getitem__(self, index):
        return self.items[index]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    write(tmp_path)
    return tmp_path


def write(folder: Path, init: str = "", forward: str = "", n_mels: object = 80, size: object = 64) -> None:
    for name, text in {
        "recipe.esp": RECIPE.format(n_mels=n_mels, size=size),
        "src/model.py": MODEL.format(init=init, forward=forward),
        "src/__init__.py": "",
        "dataset/dataset.py": DATASET,
        "dataset/__init__.py": "",
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def files(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*"))


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["check", "--shapes", *words])
    return code, capsys.readouterr().out


def test_a_training_that_fits_shows_its_shapes_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(folder)

    code, out = check(capsys)

    assert code == 0, out
    assert out.startswith(
        "recipe.esp: the shapes of `training` fit (5,769 weights):\n  an item: utt_id str, feats float32[101, 80]"
    )
    assert "CommonCollateFn → feats float32[2, 101, 80], feats_lengths int64[2]" in out
    assert "Tagger.forward → loss float32[]\nrecipe.esp: no problems found" in out
    assert files(folder) == before


def test_a_size_that_does_not_fit_is_told_where_it_stands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, n_mels=40)

    code, out = check(capsys)

    assert code == 1
    assert (
        "error[ESP0550]: the shapes do not fit: mat1 and mat2 shapes cannot be multiplied (202x80 and 40x64)\n" in out
    )
    assert "--> recipe.esp:10:11\n" in out
    assert "^^^^^^^^^^^^^^^^          -- `n_mels` is 40\n" in out
    assert "  the batch does not go through this model\n" in out
    assert "-- `n_mels` is 40" in out
    assert "`feats` has 80" in out
    assert "::: src/model.py:13:9" in out and "raised here, in `Tagger.forward`" in out
    assert "= help: `front`, Linear(in_features=40, out_features=64, bias=True), was given float32[2, 101, 80]" in out


def test_a_hidden_size_and_an_override(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = check(capsys, "--set", "training.model.size=32", "--format", "json")
    (found,) = json.loads(out)["diagnostics"]

    assert code == 1
    assert found["code"] == "ESP0550"
    assert "(2x32 and 64x9)" in found["message"]
    assert any("`size` is 32" in label["label"] for label in found["secondary"])


@pytest.mark.parametrize("format", ["github", "sarif"])
def test_every_format_has_it(folder: Path, capsys: pytest.CaptureFixture[str], format: str) -> None:
    write(folder, n_mels=40)

    code, out = check(capsys, "--format", format)

    assert code == 1
    assert "ESP0550" in out and "recipe.esp" in out
    assert "the shapes of" not in out


def test_a_constructor_that_raises(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, init="assert size % int('7') == 0, 'size is a multiple of 7'")

    code, out = check(capsys)

    assert code == 1
    assert "error[ESP0551]: the model cannot be built: AssertionError: size is a multiple of 7" in out
    assert "src/model.py:8:9" in out


def test_what_forward_returns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, forward="if True: return self.head(hidden)")

    code, out = check(capsys)

    assert code == 1
    assert "ESP0550" in out and "Tagger.forward returned a tensor of shape (2, 9), not a scalar loss" in out


def test_what_is_not_known_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, init="open('absent.bin')")

    code, out = check(capsys)
    without, silent = main(["check"]), capsys.readouterr().out
    ignored = main(["check", "--shapes", "--ignore", "ESP0552"])

    assert (code, without, ignored) == (0, 0, 0)
    assert (
        "warning[ESP0552]: the shapes of `training` are not checked: the model was not built: FileNotFoundError" in out
    )
    assert "no problems found" in silent


def test_a_comment_ignores_it_and_is_no_mistake_without_the_option(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, n_mels=40)
    path = folder / "recipe.esp"
    path.write_text(path.read_text().replace("size = 64)", "size = 64)  # esp: ignore[ESP0550]"), encoding="utf-8")

    code, out = check(capsys)
    plain = main(["check"])

    assert (code, plain) == (0, 0)
    assert "1 ignored" in out
    assert "ESP0130" not in capsys.readouterr().out + out


def test_with_another_error_nothing_is_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, n_mels='"forty"', init="raise BaseException('run')")

    code, out = check(capsys)

    assert code == 1
    assert "ESP055" not in out and "ESP04" in out


def test_a_recipe_from_standard_input(folder: Path) -> None:
    text = RECIPE.format(n_mels=40, size=64)

    done = subprocess.run([*ESP3C, "check", "--shapes", "-"], input=text, capture_output=True, text=True, cwd=folder)

    assert done.returncode == 1
    assert "error[ESP0550]" in done.stdout and "--> <stdin>:10:11" in done.stdout


def test_ten_billion_weights_are_checked_in_seconds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, init="self.large = nn.ModuleList(nn.Linear(100_000, 100_000) for _ in range(1))")

    began = time.perf_counter()
    code, out = check(capsys)

    assert code == 0, out
    assert "10,000,105,769 weights" in out
    assert time.perf_counter() - began < 60


# -- the end of the process ------------------------------------------------------------------------------------------------

SLEEP = "__import__('time').sleep(600)"


def test_the_time_limit_ends_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, init=SLEEP)

    code, out = check(capsys, "--shapes-timeout", "1.5")

    assert code == 0
    assert "took more than 1.5 s; --shapes-timeout gives it more" in out
    assert not _children(psutil.Process())


def test_a_time_limit_must_be_a_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--shapes", "--shapes-timeout", "0"]) == 2
    assert "--shapes-timeout is a number of seconds greater than 0" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=str)
def test_the_child_ends_with_the_command(folder: Path, number: signal.Signals) -> None:
    write(folder, init=SLEEP)
    scratch = folder / "temporary"
    scratch.mkdir()
    process = subprocess.Popen(
        [*ESP3C, "check", "--shapes"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    child = _wait_for_child(psutil.Process(process.pid))

    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode == (130 if number == signal.SIGINT else -number)
    child.wait(timeout=30)
    assert number == signal.SIGKILL or not list(scratch.iterdir())


def _children(process: psutil.Process) -> list[psutil.Process]:
    return [each for each in process.children(recursive=True) if "espnet3.shapes" in each.cmdline()]


def _wait_for_child(process: psutil.Process) -> psutil.Process:
    for _ in range(600):
        found = _children(process)
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no child was started")


def test_a_child_that_crashes_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, init="__import__('os').kill(__import__('os').getpid(), 11)")

    code, out = check(capsys)

    assert code == 0
    assert "the trial was ended by signal 11" in out


# -- without it ------------------------------------------------------------------------------------------------------------


def test_a_check_without_it_imports_no_more(folder: Path) -> None:
    script = (
        "import sys\nfrom esp3c.cli.main import main\nmain(['check'])\n"
        "print(sorted(each for each in sys.modules if 'shapes' in each or each == 'esp3c.emit.lower'))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ESP3C_NO_CACHE": "1", "PYTHONPATH": str(Path(esp3c.__file__).parent.parent)},
    )

    assert done.stdout.splitlines()[-1] == "['esp3c.resolve.shapes']"


# -- what is said of a trial ------------------------------------------------------------------------------------------------


def test_each_outcome_has_one_code() -> None:
    result = compile_text('recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining { exp_tag = "a" }\n')
    config = result.recipe.configs["training"]
    place = Span(Source("recipe.esp", "model"), 0, 5)

    def said(status: str, stage: str = "forward") -> list[tuple[str, str]]:
        trial = Trial(config, (), status, stage, "RuntimeError: no", place)
        return [(each.code.id, each.message) for each in said_of(trial)]

    assert said("ok") == []
    assert said("failed") == said("failed", "collate") == [("ESP0550", "the shapes do not fit: no")]
    assert said("failed", "build model") == [("ESP0551", "the model cannot be built: no")]
    assert said("skipped") == [("ESP0552", "the shapes of `training` are not checked: no")]
    assert {code_of(each).id for each in SHAPES} <= set(codes())


@pytest.mark.parametrize("recipe", ["recipes/spoken_digits", "recipes/mini_an4", "compiler/esp3c/templates/tones"])
def test_the_recipes_of_the_project(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = check(capsys, str(ROOT / recipe))

    assert code == 0, out
    tokens: Any = ROOT / recipe / "data" / "tokenizer" / "unigram.model"
    if recipe == "recipes/mini_an4" and not tokens.is_file():
        assert "run the stage train_tokenizer first" in out
    else:
        assert "the shapes of `training` fit" in out
