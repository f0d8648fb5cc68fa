"""Completion: what is offered for which words, and that real shells put it on their command lines."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esp3c.cli.complete import Line, answer
from esp3c.cli.main import COMMANDS, main
from esp3c.pipeline import codes

ROOT = Path(__file__).parents[2]
BREAKS = " \t\n\"'><=;|&(:"

RECIPE = """
recipe digits { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "ctc" }
let reader = src.model.Reader(size = 4)
let folder = "${recipe_dir}/x"
dataset digits_data { source = "mini_an4/asr" }
training {
  model = reader
  optimizer = torch.optim.AdamW(lr = 1e-3)
  trainer { max_epochs = 2  accelerator = "cpu"  enable_progress_bar = false }
  parallel = gpu
}
config easy extends training { trainer.max_epochs = 1 }
config own { flag = true  "a key" = 1  inner { deep = 2 } }
parallel gpu = slurm(partition = "gpu", time = 1h)
parallel big = local(n_workers = 8)
stages {
  create_dataset
  train on gpu
  train_easy requires easy runs train
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, another recipe in a folder of it, and two runs; it is the working folder."""
    place = tmp_path / "work"
    (place / "sub").mkdir(parents=True)
    (place / "plain").mkdir()
    (place / "recipe.esp").write_text(RECIPE, encoding="utf-8")
    (place / "other file.esp").write_text("stages { alone }\n", encoding="utf-8")
    (place / "notes.txt").touch()
    (place / "sub" / "recipe.esp").write_text("parallel far = slurm()\nstages { go  come }\n", encoding="utf-8")
    for name, stages in (("20261121-174600-3f2a", '["train"]'), ("20261122-080000-0001", '["infer"]')):
        run = place / ".esp3c" / "runs" / name
        run.mkdir(parents=True)
        (run / "run.json").write_text(f'{{"stages": {stages}}}', encoding="utf-8")
    (place / ".esp3c" / "runs" / "something").mkdir()
    monkeypatch.chdir(place)
    return place


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """What fits for the last word behind the others, with its description."""
    *before, word = words
    assert answer(["zsh", "esp3c", *before, "--", word]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    # The first sign says whether a space belongs behind it.
    assert all(
        (line[0] == "-") == line.split("\t")[0].endswith(("=", ".", "/", ",")) for line in shown.out.splitlines()
    )
    return dict(line[1:].split("\t") for line in shown.out.splitlines())


def main_help(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The long options that the help of a command shows."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    usage = capsys.readouterr().out.partition("examples:")[0]
    return set(re.findall(r"^  (?:-\w(?: [A-Z]+)?, )?(--[a-z-]+)", usage, re.MULTILINE))


# -- what fits --------------------------------------------------------------------------------------------------------


def test_commands_and_options_are_those_of_the_parsers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, "") == COMMANDS
    assert set(offered(capsys, "-")) == {"--help", "--version"}
    for command in COMMANDS:
        assert main_help(command, capsys) == set(offered(capsys, command, "--")), command
    assert {"--stages", "--set", "--on", "--sweep", "--sweep-jobs", "--dry-run"} <= set(offered(capsys, "run", "--"))
    assert offered(capsys, "fmt", "--di") == {"--diff": "the same, and show what would change"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check", "--format", ""], ["text", "json", "github", "sarif"]),
        (["check", "--format=j"], ["--format=json"]),
        (["check", ""], ["other file.esp", "recipe.esp", "sub/", "plain/"]),
        (["check", "recipe.esp", "s"], ["sub/"]),
        (["check", "sub/"], ["sub/recipe.esp"]),
        (["run", "recipe.esp", ""], []),
        (["run", "--stages", ""], ["create_dataset", "train", "train_easy", "all"]),
        (["run", "--stages", "train", ""], ["create_dataset", "train_easy"]),
        (["run", "--stages", "train,train_"], ["train,train_easy"]),
        (["run", "--stages=train,c"], ["--stages=train,create_dataset"]),
        (["run", "sub", "--stages", ""], ["go", "come", "all"]),
        (["run", "sub/recipe.esp", "--stages", "go", ""], ["come"]),
        (["run", "--stages", "train", "--on", ""], ["gpu", "big", "here", "debug"]),
        (["run", "sub", "--on", "f"], ["far"]),
        (["logs", "--stage", "tr"], ["train", "train_easy"]),
        (["run", "--detach", "--det"], []),
        (["run", "--set", "a.b=1", "--se"], ["--set"]),
        (["status", "--run", ""], ["20261122-080000-0001", "20261121-174600-3f2a"]),
        (["cancel", ".", "--run", "20261121"], ["20261121-174600-3f2a"]),
        (["resume", "sub", "--run", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["init", ""], ["plain/", "sub/"]),
        (["explain", "ESP0301", ""], []),
        (["no-such-command", ""], []),
        (["run", "--no-such", "--set=lo"], []),
        (["run", "no-such.esp", "--stages", ""], []),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_words_that_fit(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]
) -> None:
    assert list(offered(capsys, *words)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["training.", "easy.", "own.", "recipe.", "reader.", "folder="]),
        ("training.tr", ["training.trainer."]),
        ("training.trainer.", ["max_epochs=", "accelerator=", "enable_progress_bar="]),
        ("easy.trainer.max", ["easy.trainer.max_epochs="]),
        ("training.optimizer.", ["lr="]),
        ("training.model.", []),
        ("reader.", ["size="]),
        ("own.", ["flag=", "inner."]),
        ("own.inner.d", ["own.inner.deep="]),
        ("recipe.", ["exp_tag=", "seed="]),
        ("training.trainer.accelerator=", ['"cpu"', '"auto"', '"gpu"', '"cuda"', '"mps"', '"tpu"']),
        ('training.trainer.accelerator="m', ['training.trainer.accelerator="mps"']),
        ("training.trainer.enable_progress_bar=", ["false", "true", "null"]),
        ("training.parallel=", ["gpu", "big", "null"]),
        ("training.model=", ["reader", "folder"]),
        ("training.trainer.max_epochs=", ["reader", "folder"]),
        ("own.flag=", ["true", "false"]),
        ("new training.trainer.max_s", ["new training.trainer.max_steps="]),
        ("new training.tra", ["new training.trainer."]),
        ('new training.trainer.precision="bf16-t', ['new training.trainer.precision="bf16-true"']),
        ("nothing.", []),
        ("training.trainer.max_epochs.", []),
    ],
)
def test_settings_that_can_be_set(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, expected: list[str]
) -> None:
    head = text[: text.rfind("=") + 1] or text[: text.rfind(".") + 1]
    whole = [each if each.startswith(text) else head + each for each in expected]

    assert list(offered(capsys, "run", "--set", text)) == whole
    assert list(offered(capsys, "run", f"--set={text}")) == [f"--set={each}" for each in whole]


def test_every_key_that_is_offered_is_one_that_set_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What ends in `=` can be set, to the very text that stands in the recipe."""
    from esp3c.pipeline import compile
    from esp3c.source import Source
    from support.fixtures import WORLD

    left, keys = [""], []
    while left:
        for each in offered(capsys, "run", "--set", left.pop()):
            (keys if each.endswith("=") else left).append(each)

    assert len(keys) > 10
    for key in keys:
        result = compile(Source("r", RECIPE), WORLD, [Source("set", f"{key}1")])
        assert not [each.message for each in result.diagnostics if each.code.id in {"ESP0201", "ESP0209"}], key


def test_values_of_a_sweep_go_on_behind_a_comma(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "training.trainer.accelerator="

    assert list(offered(capsys, "run", "--sweep", f'{key}"cpu","c')) == [f'{key}"cpu","cuda"']


def test_descriptions_say_what_stands_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, "run", "--stages", "train")["train_easy"] == "requires easy runs train"
    assert offered(capsys, "run", "--on", "g") == {"gpu": 'slurm(partition = "gpu", time = 1h)'}
    assert offered(capsys, "run", "--set", "training.trainer.max")["training.trainer.max_epochs="].startswith("2; ")
    assert offered(capsys, "status", "--run", "20261122")["20261122-080000-0001"] == "infer"
    assert offered(capsys, "check", "s")["sub/"] == "a recipe"


def test_codes_are_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, "explain", "") == {code.id: code.title for code in codes().values()}
    assert list(offered(capsys, "explain", "esp0301")) == ["esp0301"]
    assert list(offered(capsys, "check", "--select", "targets,fl")) == ["targets,flow"]


@pytest.mark.parametrize(
    "text", ["", "training { trainer { max", "training { a = [ } stages { go }", "\0\0", "recipe {{{{ stages", "é" * 50]
)
def test_a_broken_recipe_is_silent(folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (folder / "recipe.esp").write_text(text, encoding="utf-8")

    for words in (["--stages", ""], ["--set", ""], ["--set", "training."], ["--set", "training.a="], ["--on", ""]):
        offered(capsys, "run", *words)


def test_what_can_be_read_of_a_broken_recipe_is_offered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").write_text(RECIPE.replace("lr = 1e-3", "lr = = 3 ,,"), encoding="utf-8")

    assert "train_easy" in offered(capsys, "run", "--stages", "")
    assert "own.inner." in offered(capsys, "run", "--set", "own.")


def test_every_stage_has_a_description(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """zsh would list those without one last."""
    found = offered(capsys, "run", "--stages", "")

    assert all(found.values()) and found["create_dataset"] == "stage 1"


def test_nothing_heavy_is_imported(folder: Path) -> None:
    code = (
        "import sys; from esp3c.cli.complete import answer; "
        "answer(['bash', 'esp3c run --set training.trainer.', '']); "
        "print(sorted({'torch', 'esp3c.check', 'esp3c.emit', 'subprocess', 'platformdirs'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.splitlines()[0] == "training.trainer.max_epochs="


# -- quotes of bash ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "word", "put"),
    [
        ("esp3c run a\\ b ", ["esp3c", "run", "a b"], "", "x\\ y "),
        ("esp3c 'a b' c", ["esp3c", "a b"], "c", "x\\ y "),
        ("A=1 B='x y' esp3c c", ["esp3c"], "c", "x\\ y "),
        ("esp3c 'a b", ["esp3c"], "a b", "x y"),
        ('esp3c "a', ["esp3c"], "a", "x y"),
        ("esp3c a=b", ["esp3c"], "a=b", "y "),
        ("esp3c ''", ["esp3c"], "", "x\\ y "),
    ],
)
def test_a_line_of_bash_is_read(text: str, words: list[str], word: str, put: str) -> None:
    line = Line(text, BREAKS)

    assert (line.words, line.word, line.put("x y")) == (words, word, put)


# -- real shells --------------------------------------------------------------------------------------------------------


def test_what_bash_lists_is_not_quoted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "esp3c run --set training.trainer.accelerator="
    for kind, first in (("9", '\\"cpu\\" '), ("63", '"cpu"')):
        assert answer(["bash", line, BREAKS, kind]) == 0
        assert capsys.readouterr().out.splitlines()[0] == first


class Terminal:
    """A shell on a terminal, with an `esp3c` that says which words it was called with."""

    def __init__(self, command: list[str], folder: Path, bin: Path) -> None:
        self.called = bin / "called"
        (bin / "esp3c").write_text(
            f'#!/bin/sh\ncase "$1" in _complete|completion) exec {sys.executable} -m esp3c "$@";; esac\n'
            f'printf "%s\\n" "$@" > {self.called}.new\nmv {self.called}.new {self.called}\n'
        )
        (bin / "esp3c").chmod(0o755)
        environment = {
            **os.environ,
            "PATH": f"{bin}:{os.environ['PATH']}",
            "TERM": "xterm",
            "HOME": str(bin),
            "LC_ALL": "C.UTF-8",
        }
        self.pid, self.leader = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.shown = b""

    def type(self, keys: str) -> None:
        os.write(self.leader, keys.encode())

    def wait(self, until: bytes | None = None) -> None:
        """Reads what the shell shows, until it shows this, or `esp3c` was called."""
        end = time.monotonic() + 20
        while not (until in self.shown if until is not None else self.called.exists()):
            assert time.monotonic() < end, self.shown.decode("utf-8", "replace")
            if select.select([self.leader], [], [], 0.05)[0]:
                part = os.read(self.leader, 65536)
                # fish asks terminals what they are, and waits for an answer.
                if b"\x1b[c" in part or b"\x1b[0c" in part:
                    os.write(self.leader, b"\x1b[?62;c")
                self.shown += part

    def calls(self, keys: str) -> list[str]:
        """The words with which `esp3c` is called for a line with these keys."""
        self.called.unlink(missing_ok=True)
        self.type(keys + "\r")
        self.wait()
        return self.called.read_text(encoding="utf-8").splitlines()

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.leader)


STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(esp3c completion bash)"; echo re""ady'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -D; eval "$(esp3c completion zsh)"; echo re""ady'),
    "fish": (["fish", "--no-config", "-i"], 'esp3c completion fish | source; echo re""ady'),
}


@pytest.fixture
def shell(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[Terminal]:
    command, start = STARTS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (tmp_path / "bin").mkdir()
    terminal = Terminal(command, folder, tmp_path / "bin")
    try:
        terminal.type(start + "\r")
        terminal.wait(b"ready")
        yield terminal
    finally:
        terminal.close()


def each_shell(*shells: str) -> pytest.MarkDecorator:
    # bash is everywhere.
    given = [pytest.param(name, marks=() if name == "bash" else pytest.mark.editors) for name in shells or STARTS]
    return pytest.mark.parametrize("shell", given, indirect=True)


@each_shell()
def test_a_shell_completes(shell: Terminal) -> None:
    """A key in steps, without spaces behind dots and `=`; a value in its quotes; a name, with a space behind it."""
    lines = {
        "esp3c ex\tESP0301": ["explain", "ESP0301"],
        "esp3c run --stag\tcr\t": ["run", "--stages", "create_dataset"],
        "esp3c run --set training.tr\tmax\t3": ["run", "--set", "training.trainer.max_epochs=3"],
        'esp3c run --set training.trainer.accelerator=\\"cu\t': ["run", "--set", 'training.trainer.accelerator="cuda"'],
        "esp3c run --set 'training.trainer.acc\t\"cpu\"'": ["run", "--set", 'training.trainer.accelerator="cpu"'],
        "esp3c run sub/recipe.esp --stages c\t --on far": ["run", "sub/recipe.esp", "--stages", "come", "--on", "far"],
        "esp3c check oth\t": ["check", "other file.esp"],
        "cd . && esp3c status --run 20261121\t": ["status", "--run", "20261121-174600-3f2a"],
        "A=1 esp3c check s\tr\t --format s\t": ["check", "sub/recipe.esp", "--format", "sarif"],
    }  # fmt: skip
    for keys, words in lines.items():
        assert shell.calls(keys) == words, keys


@each_shell("zsh")
def test_zsh_shows_descriptions(shell: Terminal) -> None:
    shell.type("esp3c run --stages train_\t\t")
    shell.type("\x15esp3c run --stages \t")

    shell.wait(b"requires easy runs train")


@pytest.mark.editors
def test_fish_has_descriptions(folder: Path, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    binary = tmp_path / "esp3c"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m esp3c "$@"\n')
    binary.chmod(0o755)
    code = 'esp3c completion fish | source; complete -C "esp3c run --stages train"'
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    done = subprocess.run(
        ["fish", "--no-config", "-c", code], capture_output=True, text=True, env=environment, timeout=30
    )

    assert done.stdout.splitlines() == ["train\ton gpu", "train_easy\trequires easy runs train"]


def test_scripts_say_how_they_are_installed(capsys: pytest.CaptureFixture[str]) -> None:
    for name in STARTS:
        assert main(["completion", name]) == 0
        head = capsys.readouterr().out.splitlines()[:7]
        assert any(f"esp3c completion {name}" in line and line.startswith("#") for line in head)
        assert name != "bash" or any("package bash-completion" in line for line in head)


def test_the_page_of_the_command_line_has_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `esp3c (\w+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))

    assert list(sections) == list(COMMANDS)
    for command, text in sections.items():
        assert main_help(command, capsys) - {"--help"} <= set(re.findall(r"--[a-z-]+", text)), command
