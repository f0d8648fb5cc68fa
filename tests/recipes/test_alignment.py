"""The recipe of stages of one's own: words are found where they are, frames are decoded, and the export says the same."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from support.pages import blocks_of, files_of

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "system-specific-stages.md"
RATE = 16_000

Importer = Callable[[str], Any]


@pytest.fixture
def load(importer_of: Callable[[str], Importer]) -> Importer:
    return importer_of("alignment")


def bursts(*parts: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Noise of these (seconds, level), one after the other."""
    draw = np.random.default_rng(3)
    return np.concatenate([draw.normal(0.0, level, round(seconds * RATE)) for seconds, level in parts])


def test_words_lie_between_the_valleys_of_the_energy(load: Importer) -> None:
    """Three words of different lengths with a pause, a valley and silence around them, to within 40 ms."""
    segmentation = load("src.segmentation")
    speech = bursts((0.2, 1e-3), (0.3, 0.1), (0.1, 1e-3), (0.45, 0.1), (0.03, 0.01), (0.3, 0.1), (0.2, 1e-3))

    segments = segmentation.segment_words(segmentation.frame_energies(speech, RATE), ["3", "7", "1"], 0.3, 1.0)

    assert [each.word for each in segments] == ["3", "7", "1"]
    expected = [(0.2, 0.5), (0.6, 1.05), (1.08, 1.38)]
    for each, (start, end) in zip(segments, expected, strict=True):
        assert abs(each.start / 100 - start) <= 0.04
        assert abs(each.end / 100 - end) <= 0.04


def test_words_are_in_order_and_do_not_overlap(load: Importer) -> None:
    """Whatever the energies; and an utterance that is too short for its words is refused."""
    segmentation = load("src.segmentation")
    draw = random.Random(1)
    for _ in range(50):
        words = [draw.choice("0123456789") for _ in range(draw.randint(1, 6))]
        energies = np.array([draw.uniform(-60, 0) for _ in range(draw.randint(60, 150))])
        segments = segmentation.segment_words(energies, words, 0.3, 1.0)
        bounds = [bound for each in segments for bound in (each.start, each.end)]

        assert [each.word for each in segments] == words
        assert bounds == sorted(bounds)
        assert all(each.start < each.end for each in segments)
    with pytest.raises(ValueError, match="too few for 6 words"):
        segmentation.segment_words(np.linspace(-60, 0, 30), list("123456"), 0.3, 1.0)


def test_alignments_come_back_from_their_file_as_labels(load: Importer, tmp_path: Path) -> None:
    """Each word's frames are half of its first state and half of its second; a file that is no CTM names its line."""
    labels, segmentation = load("src.labels"), load("src.segmentation")
    written = {"a": [segmentation.Segment("3", 2, 6), segmentation.Segment("0", 6, 9)]}
    (tmp_path / "train.ctm").write_text(labels.ctm_text(written))
    (tmp_path / "valid.ctm").write_text("")

    assert labels.read_ctm(tmp_path / "train.ctm") == written
    made = labels.FrameLabels(tmp_path)({"utt_id": "a", "speech": np.zeros(400 + 10 * 160), "text": "3 0"})
    assert made["labels"].tolist() == [0, 0, 7, 7, 8, 8, 1, 2, 2, 0, 0]
    with pytest.raises(ValueError, match="has no utterance b"):
        labels.FrameLabels(tmp_path)({"utt_id": "b", "speech": np.zeros(400)})
    (tmp_path / "valid.ctm").write_text("a 1 0.1 3\n")
    with pytest.raises(ValueError, match=r"valid.ctm:1: not `utterance channel"):
        labels.FrameLabels(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the stage prepare_alignment first"):
        labels.FrameLabels(tmp_path / "nowhere")


def test_the_best_way_through_the_states_gives_the_digits_back(load: Importer) -> None:
    """Digits that are said twice, with a pause and without, through scores that are wrong in single frames."""
    inference, labels = load("src.inference"), load("src.labels")
    draw = random.Random(5)
    for _ in range(30):
        digits = [draw.choice("0123456789") for _ in range(draw.randint(1, 6))]
        states = [0] * 4
        for digit in digits:
            first = labels.first_half(digit)
            states += [first] * draw.randint(4, 9) + [first + 1] * draw.randint(4, 9)
            states += [0] * draw.choice([0, 0, 5])
        scores = np.full((len(states), labels.STATES), np.log(0.01), dtype=np.float32)
        scores[np.arange(len(states)), states] = np.log(0.8)
        wrong = draw.randrange(len(states))
        scores[wrong] = np.log(0.01)
        scores[wrong, draw.randrange(labels.STATES)] = np.log(0.8)

        assert inference.digits_of(inference.best_path(scores, 6.0)) == digits


def test_padding_changes_no_score(load: Importer, one_thread: None) -> None:
    """An utterance alone and in a batch beside a longer one."""
    torch.manual_seed(0)
    model = load("src.model").FrameReader(n_mels=20, hidden_size=8).eval()
    long, short = torch.rand(1, 12_000) - 0.5, torch.rand(1, 6_000) - 0.5
    batch = torch.cat([long, torch.nn.functional.pad(short, (0, 6_000))])
    frames = load("src.frames").frame_count(6_000, RATE)
    lengths = torch.tensor([load("src.frames").frame_count(12_000, RATE), frames])

    with torch.no_grad():
        together, alone = model.scores(batch, lengths)[1, :frames], model.scores(short)[0]

    assert (together - alone).abs().max() < 1e-5


def test_the_export_says_what_the_model_says_and_is_made_once(
    load: Importer, one_thread: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any batch and length; a second run changes nothing; a difference above the tolerance leaves no file."""
    torch.manual_seed(0)
    stages, errors = load("src.stages"), load("espnet3.utils.errors")
    model = load("src.model").FrameReader(n_mels=20, hidden_size=8)
    checkpoint, path = tmp_path / "last.ckpt", tmp_path / "model.onnx"
    training = OmegaConf.create({"model": {"_target_": "src.model.FrameReader", "n_mels": 20, "hidden_size": 8}})
    export = OmegaConf.create({"checkpoint": str(checkpoint), "path": str(path), "opset": 18, "tolerance": 1e-4})
    with pytest.raises(errors.ConfigError, match=r"last.ckpt is not there; run the stage train first"):
        stages.export_onnx(training, export)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights}, checkpoint)

    strict = OmegaConf.merge(export, {"tolerance": -1.0})
    with pytest.raises(errors.ConfigError, match="tolerance: scores of the exported model differ by up to"):
        stages.export_onnx(training, strict)
    assert not path.exists()
    stages.export_onnx(training, export)
    before = path.read_bytes()
    assert "ONNX Runtime and torch differ by at most" in capsys.readouterr().out
    stages.export_onnx(training, export)
    assert capsys.readouterr().out == f"export_onnx: {path} is there and unchanged\n"
    other = load("src.model").FrameReader(n_mels=20, hidden_size=8).eval()
    onnx_model = load("src.onnx_model")

    assert path.read_bytes() == before
    assert onnx_model.largest_difference(model.eval(), before, [(1, 9_000), (4, 17_777)]) < 1e-4
    assert onnx_model.largest_difference(other, before, [(1, 9_000)]) > 1e-2
    assert json.loads((tmp_path / "model.onnx.json").read_text())["made_from"]["opset"] == 18


def test_a_missing_package_is_told_with_the_way_to_get_it(load: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(load("espnet3.utils.errors").ConfigError, match=r"pip install 'esp3c\[onnx\]'"):
        load("src.onnx_model").session(b"")


def test_what_the_guide_shows_stands_in_the_recipe() -> None:
    """Each piece of a recipe, as it is there."""
    recipe = (ROOT / "recipes" / "alignment" / "recipe.esp").read_text(encoding="utf-8")
    shown = blocks_of(GUIDE, "esp")

    assert len(shown) == 4
    assert [piece for piece in shown if piece not in recipe] == []
    assert set(files_of(GUIDE)) == {"src/system.py", "run.py", "conf/export.yaml"}


@pytest.mark.training
def test_the_recipe_runs_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """Every stage with fewer utterances and epochs; then the alignment and the export are there."""
    for name in ("alignment", "spoken_digits"):
        tracked = shutil.ignore_patterns("data", "exp", "conf", "recipe_data", ".esp3c", "run.py", "__pycache__")
        shutil.copytree(ROOT / "recipes" / name, tmp_path / name, ignore=tracked)

    def run(*words: str) -> str:
        smaller = ("--set", "utterances=40", "--set", "training.trainer.max_epochs=3")
        done = subprocess.run(
            [sys.executable, "-m", "esp3c", "run", "alignment", *smaller, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first = run()
    exp = tmp_path / "alignment" / "exp" / "frames"
    before = {path.name: path.read_bytes() for path in (exp / "model.onnx", *exp.glob("alignment/*"))}
    second = run("--stages", "prepare_alignment", "export_onnx")

    assert "ONNX Runtime and torch differ by at most" in first
    losses = [float(text) for text in re.findall(r"^epoch .* valid/loss ([\d.]+)", first, re.MULTILINE)]
    assert losses[2] < losses[0]
    assert second.count("is there and unchanged") == 3
    assert {path.name: path.read_bytes() for path in (exp / "model.onnx", *exp.glob("alignment/*"))} == before
    scores = json.loads((exp / "inference" / "metrics.json").read_text())
    assert scores["espnet3.systems.asr.metrics.wer.WER"]["seen_voices"]["words"] > 0

    # The same by hand, with the files that the guide shows: it finds everything made.
    built = subprocess.run([sys.executable, "-m", "esp3c", "build", "alignment"], cwd=tmp_path, capture_output=True)
    assert built.returncode == 0
    for name, text in files_of(GUIDE).items():
        (tmp_path / "alignment" / name).write_text(text, encoding="utf-8")
    (command,) = re.findall(r"^python (run\.py .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    by_hand = subprocess.run(
        [sys.executable, *command.split()], cwd=tmp_path / "alignment", capture_output=True, text=True
    )

    assert by_hand.returncode == 0, by_hand.stderr
    assert by_hand.stdout.count("is there and unchanged") == 3
