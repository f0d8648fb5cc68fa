"""The command line: exit codes, help, colour, what is written and what never is, and every bad input there is."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esp3c import __version__
from esp3c.cli import writer
from esp3c.cli.main import COMMANDS, main
from esp3c.pipeline import codes

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
SYSTEM = "espnet3.systems.asr.system.ASRSystem"
MODEL = "espnet3.components.data.collate.CommonCollateFn"
GOOD = f"""recipe good {{ system = {SYSTEM}  exp_tag = "t" }}
config own {{ a = 1  b = {MODEL}(int_pad_value = 0) }}
stages {{ go_on requires own runs src.stages.go_on }}
"""
BAD = GOOD.replace("a = 1", "a = nothing")
WARNS = "let unused = 1\n" + GOOD


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    return subprocess.run(
        [*ESP3C, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        encoding=encoding,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe folder, which is also the working folder."""
    place = tmp_path / "recipe"
    (place / "src").mkdir(parents=True)
    (place / "src" / "stages.py").write_text("def go_on(own_config, *more): ...\n", encoding="utf-8")
    (place / "recipe.esp").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(place)
    return place


def tree(folder: Path, *without: str) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {"lock", *without} and "__pycache__" not in path.parts
    }


def code_of(*arguments: str) -> int:
    """The exit code of a command inside this process; an exception that escapes fails the test."""
    try:
        return main(arguments)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1


# -- exit codes, help, version ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, code",
    [
        ([], 2),
        (["nothing"], 2),
        (["check", "--no-such-flag"], 2),
        (["check", "a", "b"], 1),
        (["check", "--format", "xml"], 2),
        (["check", "--set", "a"], 2),
        (["check", "--set"], 2),
        (["explain", "ESP9999"], 2),
        (["explain", "esp0301"], 0),
        (["explain"], 0),
        (["check"], 0),
        (["check", "recipe.esp"], 0),
        (["check", "."], 0),
        (["check", "--set", "own.a=2"], 0),
        (["check", "--set", "own.c=2"], 1),
        (["check", "--set", "own.a="], 1),
        (["check", "--set", "own.a=\udcff"], 2),
        (["check", "nothing.esp"], 1),
        (["build", "--check"], 1),
        (["build", "nothing.esp"], 1),
        (["run", "nothing.esp"], 1),
        (["run", "--stages", "nothing"], 2),
        (["init", "--name", "no name"], 2),
        (["--version"], 0),
        (["--help"], 0),
    ],
    ids=str,
)
def test_exit_codes(folder: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(folder)

    assert code_of(*arguments) == code

    assert tree(folder) == before
    shown = capsys.readouterr()
    assert shown.err == "" if code == 0 else shown.err + shown.out


def test_the_module_is_a_command_with_its_exit_code(folder: Path) -> None:
    (folder / "bad.esp").write_text(BAD, encoding="utf-8")

    assert run("check").returncode == 0
    assert run("check", "bad.esp").returncode == 1
    assert run("check", "--nothing").returncode == 2
    assert run("--version").stdout == f"esp3c {__version__}\n"


def test_a_warning_alone_is_no_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").write_text(WARNS, encoding="utf-8")

    assert main(["check"]) == 0
    assert "\n1 warning" in capsys.readouterr().out


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_help_of_every_command_has_examples_that_name_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(command, "--help") == 0
    shown = capsys.readouterr().out

    examples = [line.strip() for line in shown.split("examples:")[1].splitlines() if line.strip().startswith("esp3c")]
    assert len(examples) >= 2
    assert all(line.split()[1] == command for line in examples)


def test_the_examples_of_the_help_are_read_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    from esp3c.cli.main import parser

    for command in ("", *COMMANDS):
        code_of(*filter(None, [command]), "--help")
        for line in capsys.readouterr().out.splitlines():
            if re.match(r"  esp3c \w", line):
                words = re.split(r"\s{2,}| [|] ", line.strip())[0].split()[1:]
                parser(words).parse_args(words)


def test_explain_knows_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    for code in codes().values():
        assert main(["explain", code.id]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"{code.id}: {code.title} (")
        assert code.page in shown
    assert main(["explain"]) == 0
    assert [line[:7] for line in capsys.readouterr().out.splitlines()] == list(codes())
    assert code_of("explain", "ESP0310") == 2
    assert "did you mean" in capsys.readouterr().err


# -- check ------------------------------------------------------------------------------------------------------------


def test_check_prints_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").write_text(BAD, encoding="utf-8")

    assert main(["check", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["errors"], document["diagnostics"][0]["code"]) == (1, "ESP0201")
    (folder / "recipe.esp").write_text(GOOD, encoding="utf-8")
    assert main(["check", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["diagnostics"] == []


def test_a_terminal_with_another_encoding_gets_all_it_can_show(folder: Path) -> None:
    (folder / "recipe.esp").write_text(BAD.replace('"t"', '"音é"').replace("nothing", "größe"), encoding="utf-8")

    for encoding in ("ascii", "latin-1"):
        text = run("check", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert (text.returncode, text.stderr) == (1, "")
        document = run("check", "--format", "json", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert "größe" in json.loads(document.stdout)["diagnostics"][0]["message"]


def on_terminal(*arguments: str, **environment: str) -> bytes:
    leader, follower = pty.openpty()
    try:
        environment = {"TERM": "xterm", **environment}
        process = subprocess.Popen(
            [*ESP3C, *arguments],
            stdout=follower,
            stderr=follower,
            env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, **environment},
        )
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        process.wait(timeout=30)
        return shown
    finally:
        os.close(leader)


def test_colour_on_a_terminal_only(folder: Path) -> None:
    (folder / "bad.esp").write_text(BAD, encoding="utf-8")

    assert b"\x1b[1;31merror" in on_terminal("check", "bad.esp")
    assert b"\x1b" not in on_terminal("check", "bad.esp", NO_COLOR="1")
    assert b"\x1b" not in on_terminal("check", "bad.esp", TERM="dumb")
    assert "\x1b" not in run("check", "bad.esp").stdout


def test_no_escape_of_an_argument_or_a_file_reaches_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "x\x1b[31m\x07.esp"
    (folder / nasty).write_text(GOOD, encoding="utf-8")

    for arguments in (
        ["check", nasty],
        ["check", nasty, "--set", "own.\x1b[2J=1"],
        ["check", "\x1b[2J.esp"],
        ["check", "--set", "\x1b[2J"],
        ["build", nasty, "-o", "out\x1b[2J"],
        ["build", nasty, "-o", "out\x1b[2J"],
        ["run", nasty, "--stages", "\x1b[2J"],
        ["explain", "\x1b[2J"],
        ["init", "in\x1b[2Jit", "--name", "fine"],
        ["init", "in\x1b[2Jit", "--name", "fine"],
    ):
        code_of(*arguments)
        shown = capsys.readouterr()
        assert "\x1b" not in shown.out + shown.err, arguments


def test_the_reader_of_the_output_may_leave(folder: Path) -> None:
    (folder / "bad.esp").write_text(BAD + "".join(f"let a{n} = nothing{n}\n" for n in range(2000)), encoding="utf-8")
    process = subprocess.Popen([*ESP3C, "check", "bad.esp"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.read(10)
    process.stdout.close()

    assert process.wait(timeout=30) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


# -- bad input --------------------------------------------------------------------------------------------------------


def deep(opener: str, closer: str, begin: str = "config c { x = ") -> str:
    return begin + opener * 10_000 + "1" + closer * 10_000 + "}\n"


INPUTS: dict[str, bytes] = {
    "empty": b"",
    "only comments": b"# nothing\n# here\n",
    "only white space": b" \n\t\r\n\x0c",
    "binary": bytes(range(256)) * 40,
    "latin-1": "let a = \"é\"\n".encode("latin-1"),
    "utf-16": GOOD.encode("utf-16"),
    "utf-16 without a mark": GOOD.encode("utf-16-le"),
    "utf-32": GOOD.encode("utf-32"),
    "nul": GOOD.encode().replace(b"own", b"o\0wn"),
    "cut utf-8": GOOD.encode() + "# é".encode()[:-1],
    "surrogates": b"let a = \"\xed\xa0\x80\"\n",
    "large string": b'config c { x = "' + b"a" * 10_000_000 + b'" }\n',
    "large string, never closed": b'config c { x = "' + b"a" * 10_000_000,
    "large text, never closed": b'config c { x = """' + b"a\n" * 2_000_000,
    "large comment": b"#" * 10_000_000,
    "brackets": deep("[", "]").encode(),
    "braces": deep("{ a = ", "}").encode(),
    "blocks": deep("a { ", "}", "config c { ").encode(),
    "parentheses": deep("f(x = ", ")").encode(),
    "positional": deep("f(", ")").encode(),
    "open brackets": b"config c { x = " + b"[" * 10_000,
    "open braces": b"{" * 10_000,
    "open blocks": b"a { " * 10_000,
    "open parentheses": b"let a = " + b"f(" * 10_000,
    "closing": b"}])" * 5_000,
    "mixed": b"[{(" * 3_000 + b"]})" * 3_000,
    "interpolations": b'let a = "' + b"${" * 20_000 + b'"\n',
    "dots": b"let a = " + b".".join([b"a"] * 20_000) + b"\n",
    "a long name": b"let " + b"a" * 1_000_000 + b" = 1\n",
    "a long number": b"let a = " + b"9" * 1_000_000 + b"\n",
    "quotes": b'"' * 10_000,
    "signs": b"=,:.?" * 5_000,
    "cyclic extends": b"config a extends b {}\nconfig b extends c {}\nconfig c extends a {}\n",
    "extends itself": b"config a extends a {}\n",
    "no recipe": b"training { seed = 1 }\nstages { train }\n",
    "two recipes": (GOOD + "recipe two {}").encode(),
    "a recipe without a system": b"recipe a {}\nstages {}\n",
    "only a keyword": b"recipe",
    "python": b"import os\nclass A:\n    def f(self): return {'a': [1, 2]}\n",
    "yaml": b"training:\n  model:\n    _target_: a.B\n  list:\n    - 1\n",
    "json": b'{"training": {"model": [1, 2, {"a": null}]}}',
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_bad_input_is_said_and_nothing_is_written(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").write_bytes(INPUTS[name])
    before = tree(folder)
    begun = time.monotonic()

    result = main(["build"])

    assert result == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out
    assert shown.err
    assert len(shown.err) < 200_000
    assert tree(folder) == before
    assert time.monotonic() - begun < 20


def test_lines_by_the_hundred_thousand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fine is fine, however long; and with a mistake at the end it is found there."""
    (folder / "recipe.esp").write_text("# line\n" * 50_000 + "\n" * 50_000 + GOOD + "let a =\n", encoding="utf-8")

    assert main(["check"]) == 1
    assert "recipe.esp:100004:8" in capsys.readouterr().out


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode(), GOOD.rstrip().encode()]
)
def test_a_mark_and_the_line_ends_of_windows_are_fine(
    folder: Path, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "recipe.esp").write_bytes(data)

    assert main(["check"]) == 0


def test_what_is_no_file_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    for path, words in {
        "nothing.esp": "does not exist; in that folder: recipe.esp",
        "empty": "is a folder",
        "empty/nothing.esp": "does not exist; `esp3c init`",
        "recipe.esp/inside": "cannot be read",
        "a" * 300: "cannot be read",
        "/dev/zero": "larger than",
    }.items():
        assert main(["check", path]) == 1
        assert words in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").chmod(0)

    assert main(["check"]) == 1
    assert "cannot be read: Permission denied" in capsys.readouterr().err


def test_the_name_of_the_recipe_need_not_be_utf_8(folder: Path) -> None:
    """A file system takes any bytes as a name."""
    name = os.fsdecode(b"re\xffcipe.esp")
    (folder / name).write_text(GOOD, encoding="utf-8")

    for arguments in (["check", name], ["build", name], ["build", name, "--check"]):
        result = run(*arguments)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr


def test_a_python_file_that_is_none_is_an_error_of_the_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "src" / "stages.py").write_bytes(b"def (\xff\0" * 100)

    assert main(["check"]) == 1
    assert "ESP0414" in capsys.readouterr().out


# -- init -------------------------------------------------------------------------------------------------------------


def test_init_writes_a_recipe_that_is_fine_and_never_over_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["init", "my-Digits 2"]) == 0
    assert (tmp_path / "my-Digits 2" / "recipe.esp").read_text(encoding="utf-8").count("recipe my_digits_2 {") == 1
    assert main(["check", "my-Digits 2"]) == 0
    capsys.readouterr()
    before = tree(tmp_path)
    assert main(["init", "my-Digits 2"]) == 1
    assert "already; nothing was written" in capsys.readouterr().err
    assert tree(tmp_path) == before
    assert not list(tmp_path.rglob(".esp3c-init-*"))
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".pyc"]


def test_init_leaves_the_gitignore_of_a_folder_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n", encoding="utf-8")

    assert main(["init", str(tmp_path), "--name", "tones"]) == 0
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "mine\n"
    assert not (tmp_path / "gitignore").exists()


def test_what_a_build_and_a_run_make_is_in_the_gitignore(tmp_path: Path) -> None:
    """All that `build` writes is left out by the file that `init` writes, and nothing that `init` writes is."""
    folder = tmp_path / "tones"
    assert main(["init", str(folder)]) == 0
    given = tree(folder)
    assert main(["build", str(folder)]) == 0
    subprocess.run(["git", "init", "-q", str(folder)], check=True)

    seen = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert set(given) == set(seen.stdout.splitlines())


def test_run_py_can_be_run_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "tones"
    assert main(["init", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0

    runnable = [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o100]

    assert runnable == ["run.py"]
    assert main(["build", "--check", str(folder)]) == 0


def test_init_stops_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    assert main(["init", str(tmp_path / "file" / "inside")]) == 1
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["initt"], "init"), (["--verson"], "--version"), (["check", "--formt", "json"], "--format"),
        (["check", "--format", "jso"], "json"), (["fmt", "--dif"], None), (["xyzzy"], None),
    ],
)  # fmt: skip
def test_words_that_were_misspelt_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], meant: str | None
) -> None:
    code = code_of(*words)

    shown = capsys.readouterr().err
    assert (f"did you mean `{meant}`?" in shown) if meant is not None else "did you mean" not in shown
    assert code == (0 if words[0] == "fmt" else 2)


# -- build ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def built(folder: Path) -> Path:
    assert main(["build"]) == 0
    return folder


def change(folder: Path) -> None:
    """Another recipe: a file changes, one is new, one is stale."""
    text = GOOD.replace("a = 1", "a = 2").replace("config own", "config other { c = 3 }\nconfig own")
    (folder / "recipe.esp").write_text(text.replace("requires own", "requires own, other"), encoding="utf-8")


def test_a_build_writes_and_a_second_one_has_nothing_to_do(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(built)
    times = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()}
    capsys.readouterr()

    assert main(["build"]) == 0
    assert "3 files up to date" in capsys.readouterr().out
    assert tree(built) == before
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()} | times == times | {
        path: path.stat().st_mtime_ns for path in built.rglob("lock")
    }
    assert sorted(before) == [
        ".esp3c/manifest.json",
        "conf/own.yaml",
        "recipe.esp",
        "run.py",
        "src/stages.py",
        "system.py",
    ]


def refused(folder: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    before = tree(folder)
    assert main(["build"]) == 1
    shown = capsys.readouterr().err
    assert words in shown
    assert "nothing was written" in shown or "cannot write" in shown
    assert tree(folder) == before


def test_a_file_that_was_edited_is_not_overwritten(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(built)
    (built / "conf" / "own.yaml").write_text("mine: 1\n", encoding="utf-8")

    refused(built, capsys, "conf/own.yaml (edited since the last build)")


def test_a_file_of_somebody_else_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run.py").write_text("print('mine')\n", encoding="utf-8")

    refused(folder, capsys, "run.py (not written by esp3c)")


@pytest.mark.parametrize("kind", ["dangling", "to a file", "to itself", "folder"])
def test_what_is_no_plain_file_is_not_replaced(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "elsewhere.py").write_text("mine\n", encoding="utf-8")
    target = folder / "run.py"
    match kind:
        case "dangling":
            target.symlink_to("nowhere.py")
        case "to a file":
            target.symlink_to("elsewhere.py")
        case "to itself":
            target.symlink_to("run.py")
        case _:
            target.mkdir()

    assert main(["build"]) == 1
    assert "run.py (not a plain file)" in capsys.readouterr().err
    assert (folder / "elsewhere.py").read_text(encoding="utf-8") == "mine\n"
    assert target.is_symlink() or target.is_dir()
    assert not (folder / "system.py").exists()


def test_a_file_where_a_folder_should_be_stops_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "conf").write_text("mine", encoding="utf-8")

    refused(folder, capsys, "cannot write")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_is_read_only_stops_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.chmod(0o555)
    try:
        refused(folder, capsys, "cannot write")
    finally:
        folder.chmod(0o755)


def test_a_full_disk_changes_nothing(built: Path) -> None:
    change(built)
    before = tree(built)
    limited = subprocess.run(
        [*ESP3C, "build"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )

    assert limited.returncode == 1
    assert "cannot write to" in limited.stderr
    assert {path: data for path, data in tree(built).items() if "/stage/" not in path} == before
    assert main(["build"]) == 0
    assert not (built / ".esp3c" / "stage").exists()


@pytest.mark.parametrize("turn", range(1, 6))
def test_a_rename_that_fails_is_undone(built: Path, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    change(built)
    before = tree(built)
    turns = iter(range(1, 100))
    replace = os.replace

    def failing(source: Path, target: Path) -> None:
        # The first one puts the journal in place.
        if "stage/new" in str(source) and next(turns) == turn:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(writer.os, "replace", failing)
    assert main(["build"]) == 1
    monkeypatch.undo()
    os.chdir(built)

    assert {
        path: data for path, data in tree(built).items() if not path.startswith((".esp3c/stage", ".esp3c/journal"))
    } == before
    assert main(["build"]) == 0


def test_build_check_writes_nothing_and_says_what_would_change(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["build", "--check"]) == 0
    change(built)
    before = tree(built)

    assert main(["build", "--check"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert "new conf/other.yaml" in [line.replace("./", "") for line in lines]
    assert "changed conf/own.yaml" in [line.replace("./", "") for line in lines]
    assert tree(built) == before


def test_stale_files_are_removed_and_edited_ones_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder)
    (folder / "recipe.esp").write_text(
        (folder / "recipe.esp").read_text(encoding="utf-8") + "config third extends own { }\n", encoding="utf-8"
    )
    assert main(["build"]) == 0
    (folder / "conf" / "third.yaml").write_text("mine: 1\n", encoding="utf-8")
    (folder / "recipe.esp").write_text(GOOD, encoding="utf-8")
    capsys.readouterr()

    assert main(["build", "--check"]) == 1
    assert "stale" in capsys.readouterr().out
    assert main(["build"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"removed .*conf/other.yaml", shown)
    assert re.search(r"kept .*conf/third.yaml: edited", shown)
    assert not (folder / "conf" / "other.yaml").exists()
    assert (folder / "conf" / "third.yaml").read_text(encoding="utf-8") == "mine: 1\n"
    assert main(["build"]) == 0


def test_a_manifest_that_somebody_wrote_leads_nowhere_else(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("x", encoding="utf-8")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    (folder / ".esp3c").mkdir()
    entry = {"sha256": digest, "values": []}
    for content in (
        {"files": {"../precious.txt": entry, str(precious): entry, "src/../../precious.txt": entry, "": entry}},
        {"files": 3},
        {"files": {"run.py": 3}},
        [],
        3,
    ):
        (folder / ".esp3c" / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
        assert main(["build"]) == 0
        assert precious.exists()
        shutil.rmtree(folder / "conf")
        for name in ("run.py", "system.py"):
            (folder / name).unlink()
    (folder / ".esp3c" / "manifest.json").write_text("[" * 200_000, encoding="utf-8")
    assert main(["build"]) == 0


@pytest.mark.parametrize("before", ["nothing", "another build"])
def test_a_build_that_is_killed_anywhere_is_made_good_by_the_next(
    folder: Path, before: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed before every step that the disk sees; what is there is old or new, and the next build is clean."""
    change(folder)
    assert main(["build", "-o", str(tmp_path / "clean")]) == 0
    recipe = (folder / "recipe.esp").read_text(encoding="utf-8")
    shutil.rmtree(tmp_path / "clean")
    home = tmp_path / "home"
    point, killed = 0, True
    clean: dict[str, bytes] = {}
    while killed:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(folder, home)
        os.chdir(home)
        (home / "recipe.esp").write_text(GOOD, encoding="utf-8")
        if before == "another build":
            (home / "recipe.esp").write_text(GOOD + "config gone extends own {}\n", encoding="utf-8")
            assert main(["build"]) == 0
        old = tree(home)
        (home / "recipe.esp").write_text(recipe, encoding="utf-8")
        if not clean:
            shutil.copytree(home, tmp_path / "reference")
            os.chdir(tmp_path / "reference")
            assert main(["build"]) == 0
            clean = tree(tmp_path / "reference")
            os.chdir(home)
        killed = die_at(point)
        for path, data in tree(home).items():
            if not path.startswith(".esp3c/"):
                assert data in {old.get(path), clean.get(path)}, path
        assert main(["build"]) == 0, point
        assert tree(home) == clean, point
        assert not (home / ".esp3c" / "stage").exists()
        point += 1
    assert point > 10


def die_at(point: int) -> bool:
    """Builds in a process of its own, which is killed at its step `point`; whether it got that far."""
    child = os.fork()
    if child == 0:
        steps = 0

        def counted(name: str) -> None:
            real = getattr(os, name)

            def step(*arguments: object, **options: object) -> object:
                nonlocal steps
                if steps == point:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps += 1
                return real(*arguments, **options)

            setattr(os, name, step)

        for name in ("replace", "unlink", "fsync", "rmdir"):
            counted(name)
        try:
            os._exit(main(["build"]))
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def test_a_build_that_is_killed_at_any_time_is_made_good_by_the_next(built: Path) -> None:
    for delay in (0.02, 0.1, 0.15, 0.2, 0.3):
        change(built)
        process = subprocess.Popen([*ESP3C, "build"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.kill()
        process.wait()
        assert main(["build"]) == 0
        changed = tree(built)
        (built / "recipe.esp").write_text(GOOD, encoding="utf-8")
        assert main(["build"]) == 0
        assert sorted(set(changed) - set(tree(built))) == ["conf/other.yaml"]


def test_two_builds_at_once(folder: Path) -> None:
    builds = [subprocess.Popen([*ESP3C, "build"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(3)]
    errors = [build.communicate(timeout=60)[1] for build in builds]

    assert [(build.returncode, error) for build, error in zip(builds, errors, strict=True)] == [(0, b"")] * 3
    assert main(["build", "--check"]) == 0


# -- elsewhere, and run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The recipe that `esp3c init` begins with."""
    folder = tmp_path_factory.mktemp("home") / "tones"
    assert main(["init", str(folder)]) == 0
    yield folder


def test_a_build_elsewhere_runs_there(tones: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    before = tree(tones)
    assert main(["build", str(tones), "-o", str(out)]) == 0
    assert tree(tones) == before

    done = subprocess.run(
        [
            sys.executable,
            str(out / "run.py"),
            "--stages",
            "train",
            "--training_config",
            "conf/training.yaml",
            "--dry_run",
        ],
        cwd=out,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in "".join(data.decode() for data in tree(out).values())


def test_run_builds_and_runs(tones: Path) -> None:
    done = run("run", str(tones), "--dry-run")

    assert done.returncode == 0, done.stderr
    assert (tones / "conf" / "training.yaml").exists()


def test_run_of_an_unknown_stage_names_the_nearest(tones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tones), "--stages", "trian"]) == 2
    assert "did you mean `train`?" in capsys.readouterr().err
    assert main(["run", str(tones), "--stages", "xyzzy"]) == 2
    assert "the stages are create_dataset, collect_stats, train, infer, measure" in capsys.readouterr().err


def test_a_value_that_is_set_wrong_is_shown_in_what_was_typed(tones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tones), "--set", "training.optimizer.rl=1"]) == 1

    shown = capsys.readouterr().err
    assert "--> --set training.optimizer.rl=1:1:20" in shown
    assert "1 | training.optimizer.rl=1\n  |                    ^^ did you mean `lr`?" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("training.trainer.accelerator=cpu", "'training.trainer.accelerator=\"cpu\"'"),
        ("recipe.exp_tag=foo", "'recipe.exp_tag=\"foo\"'"),
        (
            'training.dataset.train=[melodies(split = "trian")]',
            "'training.dataset.train=[melodies(split = \"train\")]'",
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "build"])
def test_what_to_type_in_a_shell_is_said(
    tones: Path, capsys: pytest.CaptureFixture[str], command: str, typed: str, meant: str
) -> None:
    assert main([command, str(tones), "--set", typed]) == 1
    shown = capsys.readouterr()

    assert f"= help: type --set {meant}\n" in shown.out + shown.err
    (word,) = shlex.split(meant)
    assert main(["check", str(tones), "--set", word]) == 0


def test_what_is_set_for_a_run_leaves_the_files_beside_the_recipe_alone(tones: Path) -> None:
    assert main(["build", str(tones)]) == 0
    before = tree(tones)

    assert (
        run("run", str(tones), "--set", "training.optimizer.lr=0.5", "--stages", "train", "--dry-run").returncode == 0
    )

    after = tree(tones)
    new = {path for path in after if path not in before}
    assert {path: after[path] for path in before} == before
    [folder] = {"/".join(path.split("/")[:3]) for path in new if not path.startswith("exp/")}
    assert re.fullmatch(r"\.esp3c/set/[0-9a-f]{12}", folder)
    assert b"lr: 0.5" in after[f"{folder}/conf/training.yaml"]
    assert main(["build", str(tones), "--check"]) == 0


def test_the_code_of_a_run_that_fails_is_one(folder: Path) -> None:
    (folder / "src" / "stages.py").write_text("def go_on(own_config, *more): raise SystemExit(7)\n", encoding="utf-8")

    done = run("run")

    assert done.returncode == 1
