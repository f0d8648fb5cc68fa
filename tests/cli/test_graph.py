"""`esp3c graph`: forms, files, exit codes."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from esp3c.cli.main import main

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
GOOD = """recipe good { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "音声" }
config own { a = 1 }
stages { go_on requires own runs src.stages.go_on   go_further requires own runs src.stages.go_on }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "recipe"
    (place / "src").mkdir(parents=True)
    (place / "src" / "stages.py").write_text("def go_on(own_config): ...\n", encoding="utf-8")
    (place / "recipe.esp").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(place)
    return place


def code_of(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1


@pytest.mark.parametrize(
    "name, start",
    [
        ("a.svg", "<svg "),
        ("a.SVG", "<svg "),
        ("a.dot", "digraph "),
        ("a.gv", "digraph "),
        ("a.mmd", "flowchart "),
        ("a.mermaid", "flowchart "),
    ],
)
def test_the_ending_says_what_to_write(folder: Path, name: str, start: str) -> None:
    assert code_of("graph", "-o", name) == 0

    assert (folder / name).read_text(encoding="utf-8").startswith(start)
    assert {each.name for each in folder.iterdir()} == {"src", "recipe.esp", name}


def test_a_format_goes_before_an_ending(folder: Path) -> None:
    assert code_of("graph", "-o", "a.txt", "--format", "dot") == 0

    assert (folder / "a.txt").read_text(encoding="utf-8").startswith("digraph ")


@pytest.mark.parametrize("form", ["svg", "dot", "mermaid"])
def test_a_pipe_gets_utf_8_whatever_the_terminal_speaks(folder: Path, form: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    (folder / "src" / "音声.py").write_text("class Dataset:\n    pass\n", encoding="utf-8")
    (folder / "recipe.esp").write_text(f'dataset spoken {{ source = "src.音声" }}\n{GOOD}', encoding="utf-8")
    done = subprocess.run([*ESP3C, "graph", "--format", form], env=environment, capture_output=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "src.音声" in done.stdout.decode("utf-8")


def test_without_anything_a_pipe_gets_svg(folder: Path) -> None:
    done = subprocess.run([*ESP3C, "graph"], capture_output=True, timeout=60)

    assert done.returncode == 0 and done.stderr == b""
    assert ElementTree.fromstring(done.stdout).tag.endswith("svg")


def test_a_terminal_is_not_flooded(folder: Path) -> None:
    primary, secondary = pty.openpty()
    done = subprocess.run([*ESP3C, "graph"], stdout=secondary, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(secondary)
    os.close(primary)

    assert done.returncode == 2
    assert "-o recipe.svg" in done.stderr


def test_some_stages_only(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert code_of("graph", "--format", "mermaid", "--stages", "go_further") == 0

    shown = capfdbinary.readouterr().out.decode("utf-8")
    assert "go_further" in shown and '"go_on' not in shown


def test_a_recipe_with_errors_is_not_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").write_text(GOOD.replace("a = 1", "a = nothing"), encoding="utf-8")

    assert code_of("graph", "-o", "a.svg") == 1

    shown = capsys.readouterr()
    assert "ESP0201" in shown.err and shown.out == ""
    assert not (folder / "a.svg").exists()


def test_a_recipe_with_warnings_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").write_text("let unused = 1\n" + GOOD, encoding="utf-8")

    assert code_of("graph", "-o", "a.svg") == 0

    assert "unused" in capsys.readouterr().err
    assert (folder / "a.svg").exists()


def test_an_override_is_drawn_and_checked(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert code_of("graph", "--format", "dot", "--set", "own.a=nothing") == 1
    assert code_of("graph", "--format", "dot", "--set", "own.a=2") == 0


@pytest.mark.parametrize(
    "arguments, code, part",
    [
        (["-o", "a.png"], 2, ".svg"),
        (["-o", "a"], 2, "--format"),
        (["--format", "png"], 2, "invalid choice"),
        (["--format", "dot", "--stages", "go_off"], 2, "did you mean `go_on`?"),
        (["nothing.esp", "--format", "dot"], 1, "does not exist"),
        (["-o", "nowhere/a.svg"], 1, "cannot write nowhere/a.svg"),
        (["-o", "src.svg"], 1, "cannot write src.svg"),
    ],
)
def test_what_cannot_be_done_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, part: str
) -> None:
    (folder / "src.svg").mkdir()

    assert code_of("graph", *arguments) == code

    assert part in capsys.readouterr().err
    assert {each.name for each in folder.iterdir()} == {"src", "src.svg", "recipe.esp"}


def test_a_picture_is_replaced_and_may_be_read_like_other_files(folder: Path) -> None:
    (folder / "a.svg").write_text("old", encoding="utf-8")
    before = os.umask(0o022)
    try:
        assert code_of("graph", "-o", "a.svg") == 0
    finally:
        os.umask(before)

    assert (folder / "a.svg").read_text(encoding="utf-8").startswith("<svg ")
    assert stat.S_IMODE((folder / "a.svg").stat().st_mode) == 0o644


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("graph", "--help") == 0

    assert "esp3c graph recipe.esp -o recipe.svg" in capsys.readouterr().out
