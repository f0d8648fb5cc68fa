"""From `esp3c init` to a printed error rate, as a new user would go: one recipe, every stage, in processes of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
ROOT = Path(__file__).parent.parent


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ESP3C, *words], cwd=cwd, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The template, trained once, with the data and the epochs that it comes with."""
    folder = tmp_path_factory.mktemp("end_to_end") / "tones"
    assert run("init", str(folder), cwd=folder.parent).returncode == 0
    return folder, run("run", str(folder), cwd=folder.parent)


@pytest.mark.training
def test_a_recipe_runs_to_a_low_error_rate(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = trained

    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((folder / "exp/ctc/inference/metrics.json").read_text(encoding="utf-8"))
    wer = metrics["espnet3.systems.asr.metrics.wer.WER"]["melodies"]
    assert wer["WER"] <= 5.0
    assert wer["words"] > 100
    assert re.search(r"melodies\s+WER\s+\d+\.\d\d\s+123 words", done.stdout)


@pytest.mark.training
def test_a_successful_run_prints_at_most_sixty_lines(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = trained

    assert len((done.stdout + done.stderr).splitlines()) <= 60


@pytest.mark.training
def test_every_stage_logs_to_its_own_file(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = trained

    logs = {path.name for path in (folder / "exp").rglob("*.log")}
    assert {f"{stage}.log" for stage in ("create_dataset", "collect_stats", "train", "infer", "measure")} <= logs
    assert (folder / "exp/ctc/learning_curve.png").stat().st_size > 1000
    assert list((folder / "exp/ctc").rglob("events.out.tfevents.*"))


@pytest.mark.training
def test_a_second_run_keeps_what_is_there_and_says_the_same(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = trained
    before = (folder / "exp/ctc/last.ckpt").read_bytes()

    again = run("run", str(folder), cwd=folder.parent)

    assert again.returncode == 0, again.stdout + again.stderr
    measured = [line.split() for line in again.stdout.splitlines() if " WER " in line]
    assert measured == [line.split() for line in done.stdout.splitlines() if " WER " in line] != []
    assert (folder / "exp/ctc/last.ckpt").read_bytes() == before


def test_a_built_recipe_runs_where_the_compiler_is_not(tmp_path: Path) -> None:
    assert run("init", "tones", cwd=tmp_path).returncode == 0
    assert run("build", "tones", cwd=tmp_path).returncode == 0
    without = (
        "import runpy, sys; sys.modules['esp3c'] = None; "
        "sys.argv = ['run.py', *sys.argv[1:]]; runpy.run_path('run.py', run_name='__main__')"
    )
    flags = ["--stages", "create_dataset", "--training_config", "conf/training.yaml"]

    done = subprocess.run(
        [sys.executable, "-c", without, *flags], cwd=tmp_path / "tones", capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "tones/data/melodies/train.jsonl").is_file()


def test_run_py_works_from_any_folder(tmp_path: Path) -> None:
    assert run("init", "tones", cwd=tmp_path).returncode == 0
    assert run("build", "tones", cwd=tmp_path).returncode == 0

    done = subprocess.run(
        [
            sys.executable,
            "tones/run.py",
            "--dry_run",
            "--stages",
            "train",
            "--training_config",
            "tones/conf/training.yaml",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "train" in done.stdout


def test_a_missing_config_stops_the_run_before_any_stage(tmp_path: Path) -> None:
    assert run("init", "tones", cwd=tmp_path).returncode == 0
    assert run("build", "tones", cwd=tmp_path).returncode == 0

    done = subprocess.run(
        [sys.executable, "run.py", "--stages", "all", "--training_config", "conf/training.yaml"],
        cwd=tmp_path / "tones",
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "--inference_config" in done.stderr and "--metrics_config" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "tones/data").exists()


def test_run_py_help_and_dry_run_import_nothing_heavy(tmp_path: Path) -> None:
    assert run("init", "tones", cwd=tmp_path).returncode == 0
    assert run("build", "tones", cwd=tmp_path).returncode == 0
    flags = [f"--{name}_config=conf/{name}.yaml" for name in ("training", "inference", "metrics")]
    for words in (["--help"], ["--dry_run", *flags]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "run.py", *words],
            cwd=tmp_path / "tones",
            capture_output=True,
            text=True,
        )

        assert done.returncode == 0, done.stdout
        imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert not imported & {"torch", "lightning", "hydra", "numpy", "rich", "soundfile", "matplotlib", "submitit"}


@pytest.mark.parametrize("recipe", sorted(path.parent.name for path in (ROOT / "recipes").glob("*/recipe.esp")))
def test_the_recipes_of_the_project_are_correct(recipe: str) -> None:
    done = run("check", f"recipes/{recipe}", cwd=ROOT)

    assert done.returncode == 0, done.stdout
    assert "no problems found" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no signal for the death of a parent")
def test_a_run_ends_when_esp3c_is_killed(tmp_path: Path) -> None:
    assert run("init", "tones", cwd=tmp_path).returncode == 0
    stage = "def wait():\n    import os, time\n    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(120)\n"
    (tmp_path / "tones/src/stages.py").write_text(stage, encoding="utf-8")
    recipe = tmp_path / "tones/recipe.esp"
    text = recipe.read_text(encoding="utf-8").replace("  measure\n}", "  measure\n  wait_long runs src.stages.wait\n}")
    recipe.write_text(text, encoding="utf-8")
    driver = subprocess.Popen([*ESP3C, "run", "tones", "--stages", "wait_long"], cwd=tmp_path)
    try:
        pid = int(_soon(lambda: (tmp_path / "tones/pid").read_text(encoding="utf-8")))
    finally:
        driver.kill()
        driver.wait()

    assert _soon(lambda: "gone" if not Path(f"/proc/{pid}").exists() else "") == "gone"


def _soon(ask: Callable[[], str]) -> str:
    """The first answer that is not empty, within half a minute."""
    for _ in range(300):
        try:
            answer = ask()
        except OSError:
            answer = ""
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError("no answer in half a minute")
