"""Importing what a `run.py` imports is cheap."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "lightning",
    "hydra",
    "numpy",
    "rich",
    "jiwer",
    "sentencepiece",
    "matplotlib",
    "submitit",
    "soundfile",
)
LIGHT = [
    "espnet3",
    "espnet3.utils.config_utils",
    "espnet3.utils.run_utils",
    "espnet3.utils.recipe_run",
    "espnet3.utils.download_utils",
    "espnet3.utils.logging_utils",
    "espnet3.utils.scp_utils",
    "espnet3.systems.base.inference",
    "espnet3.systems.base.metric",
    "espnet3.systems.base.workload",
    "espnet3.parallel.base_runner",
]
LIGHTEST = [
    "egs3.TEMPLATE.asr.run",
    "espnet3.utils.stages_utils",
    "espnet3.systems.base.system",
    "espnet3.systems.asr.system",
    "espnet3.systems.tts.system",
    "esp3rt.files",
    "esp3rt.progress",
]


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LIGHT)
def test_nothing_heavy_is_imported(module: str) -> None:
    """Heavy packages are imported where they are needed."""
    assert loaded_by(module) & set(HEAVY) == set()


@pytest.mark.parametrize("module", LIGHTEST)
def test_not_even_omegaconf_is_imported(module: str) -> None:
    """`--help` needs no configs."""
    assert loaded_by(module) & {*HEAVY, "omegaconf", "yaml"} == set()
