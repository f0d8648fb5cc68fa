"""`esp3c run` where a stage fails: the line of the recipe is shown; and what the recipe did not name is not run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
RECIPE = """recipe tones { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "t" }

let rate = 8kHz

dataset melodies {
  class   = dataset.parts.Melodies
  builder = dataset.parts.Builder(count = 4, rate = rate)
}

training {
  dataset { train = [melodies(split = "train")] }
}

inference {
  dataset {
    test { first = melodies(split = "test")  second = melodies(split = "tset") }
  }
  model     = src.parts.Model(
    size = 3,
    path = "${exp_dir}/none.bin",
  )
  input_key = "speech"
  output_fn = src.parts.output
}

metrics {
  metrics = [src.parts.Metric(ref_key = "ref", scale = -2)]
}

config own { part = src.parts.Model(size = 4)  act = src.parts.output }

stages {
  create_dataset
  infer
  measure
  use_own requires own runs src.parts.use_own
}
"""
# Limits that only running tells: `esp3c check` finds those that are written out.
DATASET = '''
SPLITS = "train test".split()


class Melodies:
    """Two items a split."""

    def __init__(self, split: str = "train") -> None:
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, object]:
        return {"utt_id": f"u{index}", "speech": index}


class Builder:
    """Builds nothing."""

    def is_source_prepared(self, **kwargs: object) -> bool:
        return True

    def prepare_source(self, **kwargs: object) -> None: ...

    def is_built(self, count: int, rate: int, **kwargs: object) -> bool:
        if rate < int("16000"):
            raise ValueError("too slow a rate")
        return True

    def build(self, count: int, rate: int, **kwargs: object) -> None: ...
'''
PARTS = '''
from espnet3.components.metrics.base_metric import BaseMetric


class Model:
    """Opens a file."""

    def __init__(self, size: int, path: str | None = None) -> None:
        if path is not None:
            open(path).close()
        if size > int("3"):
            raise ValueError("too large")

    def __call__(self, speech: int) -> int:
        return [7][speech]


class Metric(BaseMetric):
    """Refuses its scale."""

    def __init__(self, ref_key: str, scale: int) -> None:
        self.ref_key = ref_key
        if scale < int("0"):
            raise ValueError(f"unexpected scale: {scale}")

    def __call__(self, data: object, test_name: str, inference_dir: object) -> dict[str, float]:
        return {"scale": 1.0}


def output(data: dict[str, object], model_output: object, idx: int) -> dict[str, object]:
    return {"utt_id": data["utt_id"], "ref": "a", "hyp": model_output}


def use_own(own_config: object) -> None:
    from hydra.utils import instantiate

    instantiate(own_config.part)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "tones"
    for name, text in (("dataset/parts.py", DATASET), ("src/parts.py", PARTS), ("recipe.esp", RECIPE)):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


def run(folder: Path, *arguments: str, command: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(command or (*ESP3C, "run", "tones/recipe.esp")), *arguments],
        cwd=folder.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def built(folder: Path) -> None:
    subprocess.run([*ESP3C, "build", str(folder / "recipe.esp")], check=True, capture_output=True)


def line_of(text: str) -> int:
    return RECIPE[: RECIPE.index(text)].count("\n") + 1


def test_a_builder_that_fails_is_shown_where_it_stands(folder: Path) -> None:
    done = run(folder, "--stages", "create_dataset")

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    line = line_of("builder = ")
    assert (
        "\nerror: ValueError: too slow a rate\n"
        f" --> tones/recipe.esp:{line}:13\n"
        "  |\n"
        f"{line} |   builder = dataset.parts.Builder(count = 4, rate = rate)\n"
        "  |             ^" in done.stderr
    )
    assert "^ raised in this builder" in done.stderr
    assert "too slow a rate\n --> " in (folder / "exp" / "t" / "create_dataset.log").read_text()


def test_an_argument_of_a_model_for_inference_that_is_at_fault(folder: Path) -> None:
    text = RECIPE.replace('"tset"', '"train"')
    (folder / "recipe.esp").write_text(text, encoding="utf-8")
    done = run(folder, "--stages", "infer")

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    line = line_of("path = ")
    assert f"tones/recipe.esp:{line}:12\n   |\n{line} |     path = " in done.stderr
    assert "^ `model.path`\n" in done.stderr
    assert "= note: tones/conf/inference.yaml:" in done.stderr


def test_the_model_in_whose_code_a_stage_failed(folder: Path) -> None:
    text = RECIPE.replace('"tset"', '"train"').replace('    path = "${exp_dir}/none.bin",\n', "")
    (folder / "recipe.esp").write_text(text, encoding="utf-8")
    done = run(folder, "--stages", "infer")

    assert done.returncode == 1
    assert "IndexError: list index out of range" in done.stderr
    assert "^ raised in `src.parts.Model`, configured here" in done.stderr
    assert f"tones/recipe.esp:{line_of('src.parts.Model(')}:15" in done.stderr


def test_the_second_test_set_is_the_second(folder: Path) -> None:
    text = RECIPE.replace('    path = "${exp_dir}/none.bin",\n', "").replace("[7][speech]", "7")
    (folder / "recipe.esp").write_text(text, encoding="utf-8")
    (folder / "src" / "parts.py").write_text(PARTS.replace("[7][speech]", "7"), encoding="utf-8")
    done = run(folder, "--stages", "infer")

    assert done.returncode == 1
    assert "there is no split 'tset'" in done.stderr
    line = line_of("second = ")
    shown = done.stderr.split("\nerror: ")[1].split("\n")
    column = RECIPE.split("\n")[line - 1].index('"tset"') + 1
    assert shown[1].endswith(f"tones/recipe.esp:{line}:{column}"), shown


def test_a_value_that_was_set_for_the_run_is_shown_as_it_was_set(folder: Path) -> None:
    done = run(folder, "--stages", "use_own", "--set", "own.part.size=5")

    assert done.returncode == 1
    assert f"tones/recipe.esp:{line_of('config own')}:" in done.stderr
    done = run(folder, "--stages", "create_dataset", "--set", "own.exp_tag=1e999x")
    assert done.returncode == 1


def test_a_stage_of_the_recipes_own_is_known_by_its_config(folder: Path) -> None:
    done = run(folder, "--stages", "use_own")

    assert done.returncode == 1
    line = line_of("config own")
    assert "\nerror: ValueError: too large\n" in done.stderr
    assert f"tones/recipe.esp:{line}:21" in done.stderr
    assert "^^^^^^^^^^^^^^^ `part`\n" in done.stderr


def test_a_metric_that_cannot_be_made(folder: Path) -> None:
    done = run(folder, "--stages", "measure")

    assert done.returncode == 1
    assert f"tones/recipe.esp:{line_of('scale = -2')}:56\n" in done.stderr
    assert "^^ `metrics[0].metric.scale`\n" in done.stderr


def test_run_py_lists_what_the_configs_name(folder: Path) -> None:
    built(folder)
    text = (folder / "run.py").read_text(encoding="utf-8")
    listed = text.split("TARGETS = (\n")[1].split("\n)\n")[0]

    assert [each.strip(' ",') for each in listed.split("\n")] == [
        "espnet3.components.data.data_organizer.DataOrganizer",
        "recipe_data.melodies",
        "src.parts.Metric",
        "src.parts.Model",
        "src.parts.output",
    ]


@pytest.mark.parametrize(
    "old, new, place",
    [
        ("_target_: src.parts.Model", "_target_: os.system", "model._target_"),
        ("size: 3", "size: {_target_: subprocess.run, args: ls}", "model.size._target_"),
        ("size: 3", "size: {_target_: hydra.utils.get_object, path: os.getcwd}", "model.size.path"),
        ("_target_: src.parts.Model", "_target_: src.parts.Metric2", "model._target_"),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_the_recipe_did_not_name_is_refused(folder: Path, old: str, new: str, place: str, elsewhere: bool) -> None:
    built(folder)
    config = folder / "conf" / "inference.yaml"
    text = config.read_text(encoding="utf-8").replace(old, new)
    number = text[: text.index(new.split(",")[0])].count("\n") + 1
    if elsewhere:
        config = folder.parent / "other.yaml"
    config.write_text(text, encoding="utf-8")
    command = (sys.executable, "tones/run.py")
    done = run(folder, "--stages", "infer", "--inference_config", str(config), "--dry_run", command=command)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"{config}:{number}: {place}: " in done.stderr
    assert "is not named in the recipe" in done.stderr
    assert f"{os.path.relpath(config, folder.parent)}:{number}:" in done.stderr


def test_a_function_by_name_is_refused_when_it_is_needed(folder: Path) -> None:
    built(folder)
    config = folder / "conf" / "inference.yaml"
    config.write_text(config.read_text().replace("output_fn: src.parts.output", "output_fn: os.system"))
    command = (sys.executable, "tones/run.py", "--stages", "infer")
    arguments = ("--training_config", "tones/conf/training.yaml", "--inference_config", str(config))
    done = run(folder, *arguments, command=command)

    assert done.returncode == 1
    assert "error: output_fn: os.system is not named in the recipe" in done.stderr
    assert "was edited, or the recipe was built again" in done.stderr


def test_a_misspelt_key_of_a_config_that_was_edited_is_told(folder: Path) -> None:
    built(folder)
    config = folder / "conf" / "inference.yaml"
    config.write_text(config.read_text().replace("input_key:", "my_own: 1\ninputs_key:"))
    command = (sys.executable, "tones/run.py", "--stages", "infer", "--dry_run")
    done = run(folder, "--inference_config", str(config), command=command)
    line = config.read_text().split("\n").index("my_own: 1") + 2

    assert (
        f"warning: {config}:{line}: nothing here reads the key 'inputs_key'; did you mean 'input_key'?" in done.stderr
    )
    assert "my_own" not in done.stderr


@pytest.mark.parametrize("stages", [["--dry-run"], ["--stages", "create_dataset", "--set", 'recipe.exp_tag="u"']])
def test_a_reader_that_leaves_ends_the_run_quietly(folder: Path, stages: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*ESP3C, "run", str(folder / "recipe.esp"), *stages], stdout=writer, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writer)

    assert done.stderr == ""
    assert done.returncode == 1


def test_a_recipe_handed_on_without_its_manifest_still_runs(folder: Path) -> None:
    built(folder)
    shutil.rmtree(folder / ".esp3c")
    command = (sys.executable, "tones/run.py", "--stages", "measure")
    given = [f"--{name}_config=tones/conf/{name}.yaml" for name in ("training", "metrics")]
    done = run(folder, *given, command=command)

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert " --> tones/conf/metrics.yaml:" in done.stderr
