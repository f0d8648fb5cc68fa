"""`esp3c run` on a cluster and elsewhere, and the commands about its runs: which words reach whom, and which code comes back."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from esp3c.cli import child, jobs
from esp3c.cli.main import main

DIGITS = Path(__file__).parents[2] / "recipes" / "spoken_digits"
GPU = 'parallel gpu = slurm(partition = "gpu", gpus_per_node = 2, time = 4h, n_workers = 8)\n'
SAYS = "import json, sys; print(json.dumps(sys.argv[1:]))"


def code_of(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1


# -- status, logs, cancel, resume -----------------------------------------------------------------------------------------


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that says which words it got."""
    monkeypatch.setattr(jobs, "RUNTIME", [sys.executable, "-c", SAYS])


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    "words, handed_on",
    [
        (["status"], ["status", ".", "--format=text"]),
        (["status", "digits/recipe.esp"], ["status", "digits/recipe.esp", "--format=text"]),
        (
            ["status", "d", "--run", "7f", "--watch", "--all", "--format", "json"],
            ["status", "d", "--run=7f", "--format=json", "--watch", "--all"],
        ),
        (["logs"], ["logs", "."]),
        (
            ["logs", "d", "-f", "--stage", "infer", "--shard", "17", "--run", "7f", "--lines", "20"],
            ["logs", "d", "-f", "--run=7f", "--stage=infer", "--shard=17", "--lines=20"],
        ),
        (["cancel", "d", "--stage", "infer", "--run", "7f"], ["cancel", "d", "--run=7f", "--stage=infer"]),
        (["resume", "--detach"], ["resume", ".", "--detach"]),
        # A value is never taken for a flag, nor the recipe.
        (["logs", "--stage=--all", "--", "-x"], ["logs", "./-x", "--stage=--all"]),
    ],
)
def test_words_are_handed_on(words: list[str], handed_on: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    code = code_of(*words)

    assert (code, json.loads(capfd.readouterr().out)) == (0, handed_on)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    "words", [["logs", "--shard", "-1"], ["logs", "--lines", "x"], ["status", "--format", "xml"], ["cancel", "a", "b"]]
)
def test_words_that_are_wrong_are_not_handed_on(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert code_of(*words) == 2

    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("given, code", [(0, 0), (1, 1), (2, 2), (3, 1), (85, 1), (130, 130)])
def test_what_the_runtime_says_of_the_words_is_handed_back(
    given: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RUNTIME", [sys.executable, "-c", f"raise SystemExit({given})"])

    assert code_of("status") == code


@pytest.mark.usefixtures("runtime")
def test_resume_says_that_the_recipe_is_another_one_by_now(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A run goes on with the configs that it was begun with, which is not what somebody wants who has mended the recipe."""
    built = shutil.ignore_patterns(".esp3c", "exp", "data", "conf", "recipe_data", "run.py", "system.py", "__pycache__")
    recipe = shutil.copytree(DIGITS, tmp_path / "digits", ignore=built) / "recipe.esp"
    assert code_of("build", str(recipe)) == 0
    assert code_of("resume", str(recipe.parent)) == 0
    assert "has changed" not in capfd.readouterr().err

    recipe.write_text(recipe.read_text() + "\n# mended\n")
    assert code_of("resume", str(recipe)) == 0
    assert "the recipe has changed since it was built" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["status", "logs", "cancel", "resume"])
def test_the_runtime_knows_these_commands(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It takes the words that are handed on; in a folder without runs there is nothing to do, and nothing goes wrong."""
    flags = {
        "status": ["--all", "--run", "7f"],
        "logs": ["-f", "--stage", "train", "--shard", "3", "--lines", "2"],
        "cancel": ["--stage", "train"],
        "resume": ["--detach"],
    }
    code = code_of(name, str(tmp_path), *flags[name])

    shown = capfd.readouterr()
    assert code in {0, 1}
    assert "Traceback" not in shown.err and "usage:" not in shown.err


def test_nothing_of_the_compiler_is_imported_for_them() -> None:
    """They are asked often, by people who wait: each starts the runtime and does nothing else."""
    program = (
        "import sys; from esp3c.cli import jobs; jobs.RUNTIME = [sys.executable, '-c', '']\n"
        "from esp3c.cli.main import main\n"
        "for name in ('status', 'logs', 'cancel', 'resume'): assert main([name]) == 0\n"
        "print(*sorted(name for name in sys.modules if name.startswith('esp3c')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [
        "esp3c", "esp3c.cli", "esp3c.cli.cancel", "esp3c.cli.child", "esp3c.cli.jobs", "esp3c.cli.logs", "esp3c.cli.main",
        "esp3c.cli.resume", "esp3c.cli.status",
    ]  # fmt: skip


# -- the program that is started ------------------------------------------------------------------------------------------


def python(program: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, sys\n{program}"]


@pytest.mark.parametrize(
    "number, words",
    [
        (signal.SIGTERM, "run.py was ended by SIGTERM; start it again to go on"),
        (signal.SIGSEGV, "run.py was ended by SIGSEGV; a library crashed; the stage's log may say where"),
        (signal.SIGPIPE, ""),
    ],
)
def test_a_signal_that_ends_it_is_said(number: signal.Signals, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    ended = f"signal.signal({number.value}, signal.SIG_DFL)\nos.kill(os.getpid(), {number.value})"

    code = child.stream(python(ended))

    assert (code, capfd.readouterr().err) == (1, f"esp3c: {words}\n" if words else "")


def test_an_interrupt_waits_for_it(tmp_path: Path) -> None:
    """What was started hears of Ctrl-C too, and has the time to leave things as they should be."""
    left = tmp_path / "left"
    interrupted = f"os.kill(os.getppid(), signal.SIGINT)\nopen({str(left)!r}, 'w').close()\nsys.exit(3)"
    program = f"import sys\nfrom esp3c.cli import child\nsys.exit(child.stream({python(interrupted)!r}))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.returncode, left.exists(), done.stderr) == (130, True, "")


# -- run ------------------------------------------------------------------------------------------------------------------


class Called(list[list[str]]):
    """The commands that were started."""

    @property
    def words(self) -> list[str]:
        """What the only run.py was told besides stages and configs."""
        (command,) = self
        kept = [word for word in command[2:] if not word.startswith(("--stages", "/")) and not word.endswith("_config")]
        return [word for word in kept if word not in {"create_dataset", "collect_stats", "train", "infer", "measure"}]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    commands = Called()
    monkeypatch.setattr(child, "stream", lambda command: commands.append(command) or 0)
    return commands


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe of the spoken digits with its training on SLURM, which is also the working folder."""
    place = tmp_path / "digits"
    shutil.copytree(DIGITS, place, ignore=shutil.ignore_patterns("exp", "data", "conf", ".esp3c", "__pycache__"))
    path = place / "recipe.esp"
    text = path.read_text(encoding="utf-8").replace("stages {", GPU + "stages {").replace("devices = 1", "devices = 2")
    path.write_text(text.replace("  train\n", "  train on gpu\n"), encoding="utf-8")
    monkeypatch.chdir(place)
    # No site is asked, whatever machine the tests run on.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return place


def stage_parallel(folder: Path, config: str) -> Any:
    return yaml.safe_load((folder / "conf" / f"{config}.yaml").read_text(encoding="utf-8")).get("stage_parallel", {})


def test_a_stage_on_slurm_is_built_and_run(folder: Path, called: Called) -> None:
    assert code_of("run") == 0

    assert called[0][1] == str(folder / "run.py")
    assert called.words == []
    assert stage_parallel(folder, "training")["train"]["env"] == "slurm"


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--on", "here"], ["--on", "here"]),
        (["--on", "debug", "--dry-run"], ["--on", "debug", "--dry_run"]),
        (["--detach"], ["--detach"]),
        (["--detach", "--on", "gpu"], ["--detach"]),
    ],
)
def test_what_run_py_is_told(folder: Path, flags: list[str], words: list[str], called: Called) -> None:
    assert code_of("run", *flags) == 0

    assert called.words == words


def test_what_is_on_this_machine_is_built_beside_the_recipe(folder: Path, called: Called) -> None:
    """The settings are those of the recipe; it is run.py that takes them for this machine's."""
    assert code_of("run", "--on", "here") == 0

    assert called[0][1] == str(folder / "run.py")
    assert stage_parallel(folder, "training")["train"]["env"] == "slurm"


def test_only_the_stages_that_were_asked_for_are_taken_along(folder: Path, called: Called) -> None:
    assert code_of("run", "--on", "gpu", "--stages", "infer,measure") == 0
    assert code_of("run", "--on", "here", "--stages", "train") == 0

    moved, beside = (Path(command[1]).parent for command in called)
    assert moved.parent == folder / ".esp3c" / "set"
    assert beside == folder
    assert stage_parallel(moved, "inference")["infer"]["options"]["partition"] == "gpu"
    assert stage_parallel(beside, "inference")["infer"]["env"] == "local"
    assert stage_parallel(moved, "training") == stage_parallel(beside, "training")


def test_all_stages_are_taken_to_another_parallel(folder: Path, called: Called) -> None:
    text = (folder / "recipe.esp").read_text(encoding="utf-8")
    (folder / "recipe.esp").write_text(text + "parallel two = local(n_workers = 2)\n", encoding="utf-8")

    assert code_of("run", "--on", "two") == 0

    moved = Path(called[0][1]).parent
    found = {
        **stage_parallel(moved, "training"),
        **stage_parallel(moved, "inference"),
        **stage_parallel(moved, "metrics"),
    }
    assert all(setting == {"env": "local", "n_workers": 2} for setting in found.values())
    assert list(found) == ["create_dataset", "collect_stats", "train", "infer", "measure"]


def test_the_folder_of_a_place_is_found_again(folder: Path, called: Called) -> None:
    for words in (["--stages", "infer", "measure"], ["--stages", "measure,infer"], ["--stages", "infer"], []):
        assert code_of("run", "--on", "gpu", *words) == 0

    first, again, fewer, all_of_them = (command[1] for command in called)
    assert first == again
    assert len({first, fewer, all_of_them}) == 3


def test_a_recipe_is_checked_with_the_place_that_it_gets(
    folder: Path, called: Called, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / "recipe.esp").read_text(encoding="utf-8")
    (folder / "recipe.esp").write_text(text + GPU.replace("gpu =", "one =").replace("= 2", "= 1"), encoding="utf-8")

    assert code_of("run", "--on", "one") == 1

    assert "ESP0801" in capsys.readouterr().err
    assert called == [] and not (folder / ".esp3c").exists()


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--on", "gup"], "--on gup: the recipe has no such `parallel`; did you mean `gpu`?"),
        (["--on", "xyzzy"], "--on xyzzy: the recipe has no such `parallel`; there are here, gpu, debug"),
        (["--on", "gpu", "--stages", "trian"], "did you mean `train`?"),
        (["--on", "here", "--detach"], "--detach leaves the stages to SLURM, and --on here keeps them"),
        (["--on", "debug", "--detach"], "--on debug keeps them"),
    ],
)
def test_places_that_are_none(
    folder: Path, flags: list[str], words: str, called: Called, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(os.listdir(folder))

    assert code_of("run", *flags) == 2

    assert words in capsys.readouterr().err
    assert called == [] and sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("place", ["here", "debug", "gpu"])
def test_the_generated_run_py_takes_the_place(folder: Path, place: str) -> None:
    """Nothing is sent or run: configs and stages are checked where they are to run."""
    done = subprocess.run(
        [sys.executable, "-m", "esp3c", "run", "--on", place, "--dry-run", "--stages", "train", "infer"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\d\. (\w+)", done.stdout, re.MULTILINE) == ["train", "infer"]
