"""The recipe of two trainings: short utterances are short, and the second training begins where the first ended."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from support.pages import blocks_of, files_of

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "model-and-system.md"

Importer = Callable[[str], Any]


@pytest.fixture
def load(importer_of: Callable[[str], Importer]) -> Importer:
    return importer_of("curriculum")


def copy_of(folder: Path) -> Path:
    """The recipe and the one whose data it takes, without what runs have left."""
    left = shutil.ignore_patterns("data", "exp", "conf", "recipe_data", ".esp3c", "run.py", "system.py", "__pycache__")
    for name in ("curriculum", "spoken_digits"):
        shutil.copytree(ROOT / "recipes" / name, folder / name, ignore=left)
    return folder / "curriculum"


def esp3c(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "esp3c", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def test_short_utterances_are_those_of_few_digits(load: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order and as they are; a limit that leaves none is an error."""
    texts = ["1 2", "3 1 4 1", "7", "0 0 0"]
    digits = [{"utt_id": str(index), "text": text} for index, text in enumerate(texts)]
    short = load("dataset.short")
    module = SimpleNamespace(Dataset=lambda split, recipe_dir: digits)
    monkeypatch.setattr(short, "load_dataset_module", lambda tag, recipe_dir: module)

    chosen = short.ShortDigits("train", most_digits=3)

    assert [chosen[index]["text"] for index in range(len(chosen))] == ["1 2", "7", "0 0 0"]
    with pytest.raises(ValueError, match="no utterance of train has 0 digits or fewer"):
        short.ShortDigits("train", most_digits=0)


def test_symbols_become_text_again(load: Importer) -> None:
    """Repeats are one symbol, and a blank lies between symbols that are said twice."""
    tokens = load("src.text").CharTokens("0123456789 ")
    numbers = tokens({"text": "4 4"})["text"]

    assert numbers.tolist() == [5, 11, 5]
    assert tokens.decode([0, 5, 5, 0, 11, 11, 5, 0, 5]) == "4 44"


def test_padding_changes_no_score(load: Importer, one_thread: None) -> None:
    """An utterance alone and in a batch beside a longer one."""
    torch.manual_seed(0)
    model = load("src.model").CTCReader(n_bands=8, hidden_size=8, vocab_size=12).eval()
    long, short = torch.rand(1, 12_000) - 0.5, torch.rand(1, 6_000) - 0.5
    batch = torch.cat([long, torch.nn.functional.pad(short, (0, 6_000))])

    with torch.no_grad():
        together, lengths = model.encode(batch, torch.tensor([12_000, 6_000]))
        alone, own = model.encode(short, torch.tensor([6_000]))

    assert lengths[1] == own[0] == alone.shape[1]
    assert (together[1, : own[0]] - alone[0]).abs().max() < 1e-5


def test_the_built_system_puts_the_config_back(tmp_path: Path) -> None:
    """Also after a training that failed."""
    recipe = copy_of(tmp_path)
    built = esp3c(recipe, "build", "recipe.esp")
    assert built.returncode == 0, built.stdout
    namespace: dict[str, Any] = {}
    exec((recipe / "system.py").read_text(encoding="utf-8"), namespace)
    seen = []

    class Failing(namespace["CurriculumSystem"]):  # type: ignore[misc]
        def train(self) -> None:
            seen.append(self.training_config)
            raise RuntimeError("diverged")

    system = Failing(training_config={"full": 1}, training_easy_config={"easy": 1})
    for stage in ("train_easy", "train_full"):
        with pytest.raises(RuntimeError, match="diverged"):
            getattr(system, stage)()
        assert system.training_config == {"full": 1}

    assert seen == [{"easy": 1}, {"full": 1}]


def test_what_the_guide_shows_stands_in_the_recipe(tmp_path: Path) -> None:
    """Each piece of a recipe, as it is there; the model's YAML is what is built of it."""
    recipe = copy_of(tmp_path)
    text = (recipe / "recipe.esp").read_text(encoding="utf-8")
    assert esp3c(recipe, "build", "recipe.esp").returncode == 0
    shown = blocks_of(GUIDE, "esp")

    assert len(shown) == 4
    assert [piece for piece in shown if piece not in text] == []
    (model,) = blocks_of(GUIDE, "yaml")
    assert model in (recipe / "conf" / "training_easy.yaml").read_text(encoding="utf-8")


@pytest.mark.training
def test_the_full_training_begins_with_what_the_easy_one_learned(tmp_path: Path) -> None:
    """With a learning rate of zero it ends with the very same weights; both have folders of their own."""
    recipe = copy_of(tmp_path)
    smaller = ("utterances=40", "training.trainer.max_epochs=1", "training_easy.trainer.max_epochs=2",
               "training.optimizer.lr=0.0", "training_easy.optimizer.lr=3e-3")  # fmt: skip
    done = esp3c(recipe, "run", "recipe.esp", *(word for each in smaller for word in ("--set", each)))
    assert done.returncode == 0, done.stdout + done.stderr

    easy, full = (
        torch.load(recipe / "exp" / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("easy", "full")
    )

    assert all(torch.equal(easy[name], full[name]) for name in easy)
    assert easy.keys() == full.keys()
    assert "pretrained: 16 of 16 weights of CTCReader" in done.stdout
    losses = [float(text) for text in re.findall(r"^epoch \d/2: train/loss ([\d.]+)", done.stdout, re.MULTILINE)]
    assert losses[1] < losses[0]
    logs = {path.relative_to(recipe / "exp").as_posix() for path in (recipe / "exp").glob("*/train*.log")}
    assert logs == {"easy/train_easy.log", "full/train_full.log"}
    assert (recipe / "exp" / "full" / "inference" / "metrics.json").is_file()

    # The same by hand, with the files that the guide shows: it finds both trainings complete.
    (conf,) = recipe.glob(".esp3c/set/*/conf")
    shutil.copytree(conf, recipe / "conf")
    shutil.copytree(conf.parent / "recipe_data", recipe / "recipe_data")
    (recipe / "conf" / "training.yaml").rename(recipe / "conf" / "training_full.yaml")
    for name, text in files_of(GUIDE).items():
        (recipe / name).write_text(text, encoding="utf-8")
    commands = re.findall(r"^python (run\.py .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    for command, stage in zip(commands, ("easy", "full"), strict=True):
        by_hand = subprocess.run([sys.executable, *command.split()], cwd=recipe, capture_output=True, text=True)
        assert by_hand.returncode == 0, by_hand.stderr
        assert re.search(rf"train: nothing to do, .*\(exp/{stage}\)", by_hand.stdout), by_hand.stdout
