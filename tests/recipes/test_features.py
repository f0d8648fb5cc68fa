"""The recipe of providers and runners, and the page that is about it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from esp3c.cli.main import main
from support.pages import blocks_of, files_of

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "features"
PAGE = ROOT / "docs" / "guides" / "providers-and-runners.md"
AT_WORK = shutil.ignore_patterns("data", "exp", "source", "conf", "recipe_data", ".esp3c", "run.py", "system.py")


def test_the_recipe_has_no_problems_and_is_in_its_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands in the tree."""
    assert main(["check", str(RECIPE)]) == 0
    assert "no problems found" in capsys.readouterr().out
    assert main(["fmt", "--check", str(RECIPE)]) == 0


def test_the_guide_shows_the_recipe() -> None:
    """What docs/guides/providers-and-runners.md shows, and does not call by the name of a file, stands there."""
    recipe = " ".join((RECIPE / "recipe.esp").read_text(encoding="utf-8").split())
    python = "".join(path.read_text(encoding="utf-8") for path in RECIPE.rglob("*.py"))
    own = set(files_of(PAGE).values())
    shown = [block for block in blocks_of(PAGE, "python") if block not in own]

    assert (len(shown), len(blocks_of(PAGE, "esp")), len(own)) == (3, 2, 3)
    assert [block for block in blocks_of(PAGE, "esp") if " ".join(block.split()) not in recipe] == []
    assert [block for block in shown if block not in python] == []


def test_dask_by_hand_prints_what_the_guide_says(tmp_path: Path) -> None:
    """Its program, as it stands on the page."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    (tmp_path / "count_frames.py").write_text(files_of(PAGE)["count_frames.py"], encoding="utf-8")
    done = subprocess.run([sys.executable, "count_frames.py"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert f"It prints `{done.stdout.strip()}`." in PAGE.read_text(encoding="utf-8")


def test_by_hand_and_in_one_file_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of the recipe, run; and the method of the page, called with the page's settings in one process."""
    pytest.importorskip("espeakng_loader", reason="the extra `espeak` is not installed")
    for name in ("features", "spoken_digits"):
        shutil.copytree(ROOT / "recipes" / name, tmp_path / name, ignore=AT_WORK)
    folder = tmp_path / "features"
    recipe = folder / "recipe.esp"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("utterances = 80", "utterances = 20"), encoding="utf-8"
    )
    run = [sys.executable, "-m", "esp3c", "run", "recipe.esp", "--stages", "create_dataset,extract_spectra"]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    files = files_of(PAGE)
    by_hand = """
from omegaconf import OmegaConf
from src.system import FeatureSystem
config = OmegaConf.merge(OmegaConf.load("conf/training.yaml"), OmegaConf.load("conf/by_hand.yaml"))
config.exp_dir = "by_hand"
print(FeatureSystem(training_config=config).extract_spectra())
"""
    config: Any = OmegaConf.load(folder / "conf" / "training.yaml")
    assert config.stage_parallel.extract_spectra == {"n_workers": 2, "n_shards": 12, "env": "local"}
    assert OmegaConf.create(files["conf/by_hand.yaml"]).parallel == config.stage_parallel.extract_spectra
    (folder / "src" / "system.py").write_text(files["src/system.py"], encoding="utf-8")
    (folder / "conf" / "by_hand.yaml").write_text(files["conf/by_hand.yaml"], encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run([sys.executable, "-c", by_hand], cwd=folder, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\{'frames': \d{3,}\}", done.stdout)
    (built,) = (path for path in folder.glob("exp/*/spectra/spectra.f32"))
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (built, folder / "by_hand/spectra/spectra.f32")]
    assert hashes[0] == hashes[1]
    assert built.stat().st_size > 10_000
