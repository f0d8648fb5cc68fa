"""Networks, losses, segments and metric of recipes/digits_vocoder, its guide page, and a small run of all its stages."""

import ast
import csv
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "digits_vocoder"
GUIDE = ROOT / "docs" / "guides" / "gan-training.md"


@pytest.fixture
def load(importer_of: Callable[[str], Callable[[str], ModuleType]]) -> Callable[[str], ModuleType]:
    return importer_of("digits_vocoder")


@pytest.fixture
def model(load: Callable[[str], ModuleType]) -> Any:
    torch.manual_seed(0)
    return load("src.model").DigitsVocoder(sample_rate=8_000, n_mels=20, channels=16)


def test_sound_has_as_many_samples_as_its_spectra_have_frames(model: Any) -> None:
    """64 samples a frame, within [-1, 1]; what does not fill a frame is left out."""
    made = model.synthesize(torch.randn(2, 640 + 17))

    assert model.mel(torch.randn(2, 640)).shape == (2, 20, 10)
    assert made.shape == (2, 640)
    assert float(made.abs().max()) <= 1


def test_each_turn_learns_with_its_own_network(model: Any) -> None:
    """The discriminator's loss reaches no weight of the generator; the generator's reaches all of its own."""
    speech = torch.randn(2, 1024) * 0.1
    result = model(forward_generator=False, speech=speech, speech_lengths=torch.tensor([1024, 1024]))
    result["loss"].backward()
    reached = {name for name, weight in model.named_parameters() if weight.grad is not None}
    second = model(speech=speech)
    second["loss"].backward()

    assert (result["optim_idx"], second["optim_idx"]) == (1, 0)
    assert reached == {name for name, _ in model.named_parameters() if name.startswith("discriminator.")}
    assert all(weight.grad is not None for weight in model.generator.parameters())
    assert set(second["stats"]) == {"mel_loss", "adversarial_loss", "feature_loss"}


def test_a_tone_lies_in_the_band_of_its_frequency(load: Callable[[str], ModuleType]) -> None:
    """The loudest of the bands is the one whose centre is nearest on the mel scale."""
    mel = load("src.mel").LogMel(8_000, 20)
    for hertz in (300.0, 1_000.0, 2_500.0):
        tone = torch.sin(2 * torch.pi * hertz * torch.arange(1024) / 8_000)[None]
        step = 2595 * np.log10(1 + 4_000 / 700) / 21
        nearest = round(2595 * np.log10(1 + hertz / 700) / step) - 1

        assert int(mel(tone).mean(-1).argmax()) == nearest


def test_segments_are_of_one_length(load: Callable[[str], ModuleType]) -> None:
    """Anywhere in the utterance or in its middle; what is too short ends in silence."""
    segment = load("src.segments").Segment
    long = {"utt_id": "a", "speech": np.arange(1, 1001, dtype=np.float32), "text": "1"}
    random.seed(0)
    starts = {int(segment(128, shuffle=True)(long)["speech"][0]) for _ in range(50)}
    middle = segment(128, shuffle=False)(long)
    short = segment(128, shuffle=True)({"utt_id": "b", "speech": np.ones(100, np.float32), "text": "2"})

    assert len(starts) > 30
    assert (set(middle), middle["speech"][0], len(middle["speech"])) == ({"utt_id", "speech"}, 437.0, 128)
    assert (short["speech"].sum(), len(short["speech"])) == (100.0, 128)
    with pytest.raises(ValueError, match="samples = 100: a stretch has whole frames"):
        segment(100, shuffle=True)


def test_the_metric_measures_decibels(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """Nothing between a sound and itself, 6 dB where it is half as loud; other lengths cannot be compared."""
    metric = load("src.metrics").MelDistance()
    noise = np.random.default_rng(0).standard_normal(4_000).astype(np.float32) * 0.1
    soundfile.write(tmp_path / "whole.wav", noise, 8_000, subtype="FLOAT")
    soundfile.write(tmp_path / "half.wav", noise / 2, 8_000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", noise[:3_000], 8_000, subtype="FLOAT")

    def distance(made: str) -> float:
        for field, name in (("recorded", "whole"), ("made", made)):
            (tmp_path / f"{field}.scp").write_text(f"a {tmp_path / name}.wav\n")
        return metric({key: tmp_path / f"{key}.scp" for key in ("recorded", "made")}, "test", tmp_path)[
            "mel_distance_db"
        ]

    assert distance("whole") == 0
    assert distance("half") == pytest.approx(20 * np.log10(2), abs=0.1)
    with pytest.raises(ValueError, match=r"a: .*whole.wav has 4000 samples at 8000 Hz, .*short.wav 3000"):
        distance("short")


def is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(is_part(each, whole.get(key)) for key, each in part.items())
    return bool(part == whole)


def test_the_guide_shows_this_recipe(tmp_path: Path) -> None:
    """The YAML is a part of what is built of the recipe, the rest stands in its files."""
    page = GUIDE.read_text(encoding="utf-8")
    shown = {
        language: re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for language in ("python", "yaml", "esp")
    }
    subprocess.run([sys.executable, "-m", "esp3c", "build", str(RECIPE), "-o", str(tmp_path)], check=True)
    built = yaml.safe_load((tmp_path / "conf" / "training.yaml").read_text(encoding="utf-8"))

    def flat(text: str) -> str:
        return " ".join(text.split())

    def without_docs(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
                del node.body[0]
        return ast.unparse(tree)

    (code,) = shown["python"]
    _, forward = ast.unparse(ast.parse(code)).split("\n", 1)
    assert forward in without_docs((RECIPE / "src" / "model.py").read_text(encoding="utf-8"))
    assert [is_part(yaml.safe_load(text), built) for text in shown["yaml"]] == [True]
    recipe = flat((RECIPE / "recipe.esp").read_text(encoding="utf-8"))
    system, optimizers, criterion = (flat(text) for text in shown["esp"])
    assert system.removesuffix(" }") in recipe
    assert optimizers in recipe
    assert criterion in recipe


@pytest.mark.training
def test_the_vocoder_learns(tmp_path: Path) -> None:
    """A small run of all stages: the spectra come nearer, and every utterance is there to be listened to."""
    pytest.importorskip("espeakng_loader")
    for name in ("digits_vocoder", "spoken_digits"):
        shutil.copytree(
            RECIPE.parent / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("__pycache__", "exp", "data", "conf", "recipe_data", ".esp3c"),
        )
    folder = tmp_path / "digits_vocoder"
    recipe = folder / "recipe.esp"
    smaller = {
        "utterances = 240": "utterances = 60",
        "samples = 4096": "samples = 1024",
        "channels = 64": "channels = 32",
        "max_epochs = 14": "max_epochs = 8",
        "batch_size = 16": "batch_size = 4",
    }
    text = recipe.read_text(encoding="utf-8")
    for written, small in smaller.items():
        assert written in text
        text = text.replace(written, small)
    recipe.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "esp3c", "run", str(recipe)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (folder / "exp" / "gan" / "history.csv").open(encoding="utf-8", newline="") as handle:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(handle)]
    scores = json.loads((folder / "exp" / "gan" / "inference" / "metrics.json").read_text(encoding="utf-8"))
    losses = [row["valid/mel_loss"] for row in rows]
    print(f"valid/mel_loss: {losses[0]:.3f} after the first epoch, {losses[-1]:.3f} after the last")

    assert losses[-1] < 0.85 * losses[0]
    assert {"valid/generator_loss", "valid/discriminator_loss", "lr.1"} <= set(rows[0])
    assert rows[0]["lr"] > rows[-1]["lr"]
    distances = re.findall(r"'mel_distance_db': ([\d.]+)", str(scores))
    assert len(distances) == 2
    assert all(0 < float(each) < 40 for each in distances)
    for field in ("made", "recorded"):
        lines = (folder / "exp" / "gan" / "inference" / "seen_voices" / f"{field}.scp").read_text().splitlines()
        sound, rate = soundfile.read(folder / lines[0].split(maxsplit=1)[1])
        assert (rate, sound.ndim) == (8_000, 1)
        assert len(sound) % 64 == 0
