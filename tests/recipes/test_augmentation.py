"""The clips of recipes/augmentation: made offline, changed online, held in shards and as a stream; and its whole run."""

import importlib.util
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from esp3c.cli.main import main

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SETTINGS: dict[str, Any] = {"utterances": 60, "speeds": [0.9, 1.0, 1.1], "keep": 0.5, "seed": 3}

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="espeakng-loader is not installed (pip install 'esp3c[espeak]')",
)

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(importer_of: Callable[[str], Load]) -> Load:
    return importer_of("augmentation")


@pytest.fixture(scope="module")
def recipe_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for this recipe's data, beside the recipe whose digits it takes."""
    folder = tmp_path_factory.mktemp("recipes")
    shutil.copytree(RECIPES / "spoken_digits" / "dataset", folder / "spoken_digits" / "dataset")
    (folder / "augmentation").mkdir()
    return folder / "augmentation"


def peak(samples: Any, rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def test_speech_at_another_speed_is_shorter_and_higher(load: Load) -> None:
    """By the same factor; another sample rate changes neither length in seconds nor pitch."""
    audio = load("dataset.audio")
    tone = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000).astype(np.float32)
    faster, slower = audio.at_speed(tone, 1.1), audio.at_speed(tone, 0.9)
    narrow = audio.resampled(tone, 16_000, 8_000)

    assert [len(faster), len(slower), len(narrow)] == [14_545, 17_778, 8_000]
    assert peak(faster, 16_000) == pytest.approx(440, abs=2)
    assert peak(slower, 16_000) == pytest.approx(360, abs=2)
    assert peak(narrow, 8_000) == pytest.approx(400, abs=2)
    assert np.abs(narrow[100:-100] - tone[200:-200:2]).max() < 0.01


def test_the_machine_labels_what_is_clear(load: Load) -> None:
    """The nearest centroid, and nothing for what lies between two."""
    found = load("dataset.pseudo").pseudo_labels(
        np.array([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0], [10.0, 1.0]]),
        ["3", "3", "7", "7"],
        np.array([[1.0, 0.0], [5.1, 0.5], [9.0, 1.0], [4.9, 0.5]]),
        keep=0.5,
    )

    assert [(place, label) for place, label, _ in found] == [(0, "3"), (2, "7")]
    assert all(clearness > 5 for _, _, clearness in found)


@needs_espeak
def test_the_builder_augments_offline(
    load: Load, recipe_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resampled, at three speeds, labelled by a machine; a build that was broken off goes on; settings count."""
    builder, runner = load("dataset").DatasetBuilder(), load("dataset.perturbing").ClipsRunner
    settings = {"recipe_dir": recipe_dir, **SETTINGS}
    assert not builder.is_source_prepared(**settings)
    builder.prepare_source(**settings)
    monkeypatch.setattr(runner, "merge", lambda self, shard_dirs: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        builder.build(**settings)
    assert builder.is_source_prepared(**settings)
    assert not builder.is_built(**settings)
    monkeypatch.undo()
    builder.build(**settings)
    out = capsys.readouterr().out
    folder = recipe_dir / "data" / "clips"
    clips = {
        split: load("dataset.builder").read_rows(folder, split) for split in ("labelled", "pseudo", "valid", "fast")
    }
    speech, rate = load("dataset.audio").read_wav(folder / clips["fast"][0]["wav"])
    build = json.loads((folder / "build.json").read_text())

    assert "129 clips were done before and are kept" in out
    assert builder.is_built(**settings)
    assert not builder.is_built(**{**settings, "speeds": [1.0]})
    assert {split: len(rows) for split, rows in clips.items()} == {"labelled": 90, "pseudo": 15, "valid": 3, "fast": 6}
    assert [row["utt_id"] for row in clips["labelled"][:3]] == [
        f"train-00000-x{speed}" for speed in ("0.9", "1", "1.1")
    ]
    assert (len(speech), rate) == (4_800, 8_000)
    assert build["right"] >= 9


@needs_espeak
def test_the_data_in_the_hands_of_a_training(load: Load, recipe_dir: Path) -> None:
    """Noise anew with each reading, the same clips in shards and as a stream."""
    settings = {"recipe_dir": recipe_dir, **SETTINGS}
    builder = load("dataset").DatasetBuilder()
    if not builder.is_built(**settings):
        builder.prepare_source(**settings)
        builder.build(**settings)
    clean, noisy = (load("dataset").Dataset("labelled", noisy, recipe_dir) for noisy in (False, True))
    random.seed(0)
    noises = [noisy[0]["speech"] - clean[0]["speech"] for _ in range(2)]
    whole = load("src.shards").Dataset(["labelled", "pseudo"], n_shards=4, recipe_dir=recipe_dir)
    names = [[item["utt_id"] for item in (whole.shard(n)[k] for k in range(len(whole.shard(n))))] for n in range(4)]
    stream = list(load("src.streams").ClipStream("labelled", buffer=10, recipe_dir=recipe_dir))

    assert np.abs(noises[0] - noises[1]).max() > 0
    assert len({name for shard in names for name in shard}) == sum(map(len, names)) == len(whole) == 105
    assert {item["utt_id"] for item in stream} == {clean[place]["utt_id"] for place in range(90)}
    assert [item["utt_id"] for item in stream] != [clean[place]["utt_id"] for place in range(90)]
    with pytest.raises(ValueError, match="Clips has no split 'train'"):
        load("dataset").Dataset("train", recipe_dir=recipe_dir)


def test_items_become_batches_that_the_model_takes(load: Load) -> None:
    """Whole utterances of another rate beside clips: all leave as clips of one length."""
    transforms = load("src.transforms")
    utterance = {"utt_id": "a", "speech": np.random.default_rng(0).standard_normal(40_000).astype(np.float32)}
    label = transforms.LabelAndDither()
    clip = transforms.to_clip({**utterance, "text": "3 1 4"}, sample_rate=8_000, seconds=0.6)
    changed = transforms.to_changed_clip({**utterance, "text": "3 1"}, 8_000, 0.6, max_speed=0.1, max_db=6)
    short = {"utt_id": "b", "speech": np.ones(100, dtype=np.float32), "text": "7"}
    names, batch = load("src.collate").stack_clips([label(each) for each in (clip, changed, short)], length=4_800)
    model = load("src.model").FirstDigit(length=4_800, hidden_size=4)
    loss, stats, weight = model(**batch)

    assert names == ["a", "a", "b"]
    assert batch["speech"].shape == (3, 4_800)
    assert batch["label"].tolist() == [3, 3, 7]
    assert not batch["speech"][2, 100:].any()
    assert np.abs(clip["speech"] - changed["speech"]).max() > 0
    assert float(loss.detach()) == pytest.approx(2.3, abs=1.5)
    assert (set(stats), weight) == ({"loss", "accuracy"}, 3)


def test_the_guide_shows_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/guides/data-pipeline.md shows stands in the recipe, in its Python, and in what is built of it."""
    page = (RECIPES.parent / "docs" / "guides" / "data-pipeline.md").read_text(encoding="utf-8")
    shown = {name: re.findall(rf"^```{name}\n(.*?)^```$", page, re.M | re.S) for name in ("esp", "yaml", "python")}
    folder = RECIPES / "augmentation"
    recipe = " ".join((folder / "recipe.esp").read_text(encoding="utf-8").split())
    python = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    monkeypatch.chdir(RECIPES.parent)
    assert main(["build", str(folder), "-o", str(tmp_path)]) == 0
    training = yaml.safe_load((tmp_path / "conf" / "training.yaml").read_text(encoding="utf-8"))

    assert {name: len(blocks) for name, blocks in shown.items()} == {"esp": 8, "yaml": 2, "python": 3}
    assert [block for block in shown["esp"] if " ".join(block.split()) not in recipe] == []
    assert [block for block in shown["python"] if block not in python] == []
    for block in map(yaml.safe_load, shown["yaml"]):
        assert block == {name: training[name] for name in block}


@needs_espeak
@pytest.mark.training
def test_the_recipe_runs_to_its_end(tmp_path: Path) -> None:
    """Smaller: data by tag and from its own folder, in two processes; three trainings; three test sets."""
    for name in ("augmentation", "spoken_digits"):
        kept_out = shutil.ignore_patterns(
            "data", "exp", "source", "conf", "recipe_data", ".esp3c", "run.py", "system.py"
        )
        shutil.copytree(RECIPES / name, tmp_path / name, ignore=kept_out)
    recipe = tmp_path / "augmentation" / "recipe.esp"
    recipe.write_text(recipe.read_text().replace("local(n_workers = 1)", "local(n_workers = 2)"))
    smaller = [
        "utterances=60", "own_utterances=120", "training.trainer.max_epochs=5", "training.model.hidden_size=12",
    ]  # fmt: skip
    words = [word for setting in smaller for word in ("--set", setting)]

    done = subprocess.run(
        [sys.executable, "-m", "esp3c", "run", str(recipe), *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (metrics,) = tmp_path.glob("augmentation/exp/mixed/inference/metrics.json")
    wer = json.loads(metrics.read_text())["espnet3.systems.asr.metrics.wer.WER"]
    assert set(wer) == {"seen_voices", "unseen_voices", "fast"}
    assert wer["fast"]["WER"] < 70
    assert re.search(r"pseudo labels: 36 of 60 clips, \d+ of them as they were spoken", done.stdout)
    assert all((tmp_path / "augmentation" / "exp" / name / "last.ckpt").is_file() for name in ("sharded", "stream"))
    weights = torch.load(tmp_path / "augmentation" / "exp" / "mixed" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value.float()).all() for value in weights.values())
