"""recipes/mini_an4_espnet2, every stage of it, with the real ESPnet2 on real speech."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from support import espnet

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "recipes"
ARCHIVE = Path(os.environ.get("MINI_AN4_ARCHIVE", ROOT / ".." / "shared" / "data" / "mini_an4.tar.gz")).resolve()

# One layer each is enough to learn four utterances by heart, a little later.
SMALLER = [
    "training.trainer.max_epochs=18",
    "training.model.encoder_conf.num_blocks=1",
    "training.optimizer.lr=3e-3",
]


def run(recipe: Path, *words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "esp3c", *words]
    return subprocess.run(command, cwd=recipe, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A copy of the recipe, and beside it a copy of the one whose data it takes."""
    for name in ("mini_an4", "mini_an4_espnet2"):
        shutil.copytree(
            RECIPES / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("data", "exp", "source", "conf", ".esp3c", "__pycache__", "recipe_data"),
        )
    return tmp_path / "mini_an4_espnet2"


@pytest.mark.training
@pytest.mark.skipif(not espnet.INSTALLED, reason=espnet.REASON)
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"no AN4 archive at {ARCHIVE}; MINI_AN4_ARCHIVE names one")
def test_a_transformer_of_espnet2_learns_real_speech_by_heart(recipe: Path) -> None:
    """From the archive to the error rates; what is left is what ESPnet2 takes up."""
    environment = {**espnet.environment(), "MINI_AN4_ARCHIVE": str(ARCHIVE)}
    settings = [word for each in SMALLER for word in ("--set", each)]

    done = run(recipe, "run", "recipe.esp", *settings, environment=environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) <= 60
    exp = recipe / "exp" / "transformer"
    metrics = json.loads((exp / "inference" / "metrics.json").read_text(encoding="utf-8"))
    (wer,) = [value for key, value in metrics.items() if key.endswith("WER")]
    assert wer["train"]["WER"] <= 10.0
    assert (wer["train"]["words"], wer["test"]["words"]) == (11, 10)
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    tokens = (recipe / "data" / "tokenizer" / "tokens.txt").read_text(encoding="utf-8").splitlines()
    assert config["token_list"] == tokens
    assert (config["token_type"], config["encoder_conf"]["num_blocks"]) == ("bpe", 1)
    stats = np.load(recipe / "exp" / "stats" / "train" / "feats_stats.npz")
    assert set(stats.files) == {"count", "sum", "sum_square"}
    assert stats["sum"].shape == (40,)


def test_without_espnet2_the_recipe_is_correct_and_does_not_begin(recipe: Path) -> None:
    """A check has nothing to say; a dry run says what to install, and so does a run, before any data is made."""
    without = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    checked = run(recipe, "check", "recipe.esp", environment=without)
    tried = run(recipe, "run", "recipe.esp", environment=without)
    dry = subprocess.run(
        [sys.executable, "run.py", "--dry_run", "--training_config", "conf/training.yaml", "--stages", "train"],
        cwd=recipe,
        env=without,
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout
    assert "no problems found" in checked.stdout
    for done in (tried, dry):
        assert done.returncode != 0
        assert "pip install 'esp3c[espnet]'" in done.stderr
    assert not (recipe / "data").exists()


def test_the_tokenizers_text_is_that_of_the_training_set(
    importer_of: Callable[[str], Callable[[str], ModuleType]], tmp_path: Path
) -> None:
    """One text a line, from the manifest; without it, the stage that makes it is named."""
    transcripts = importer_of("mini_an4_espnet2")("src.text").transcripts
    with pytest.raises(FileNotFoundError, match="create_dataset"):
        list(transcripts(tmp_path))
    manifest = tmp_path / "train" / "manifest.tsv"
    manifest.parent.mkdir()
    manifest.write_text("utt_id\ttext\twav\tsamples\na\tYES\tw\t1\nb\tGO ON\tw\t1\n")

    assert list(transcripts(data_dir=tmp_path)) == ["YES", "GO ON"]
