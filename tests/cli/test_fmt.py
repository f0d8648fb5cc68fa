"""`esp3c fmt`: what it writes, what it leaves, what it says."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esp3c.cli import fmt
from esp3c.cli.main import main

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
LOOSE = "let a=1\nlet long_name = 2 # note\n"
FORMATTED = "let a = 1\nlet long_name = 2" + " " * 40 + "# note\n"
BROKEN = "let a = [1,\nlet b =\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.esp").write_text(LOOSE, encoding="utf-8")
    return tmp_path


def run(*arguments: str, text: str | bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    data = text.encode("utf-8") if isinstance(text, str) else text
    return subprocess.run([*ESP3C, "fmt", *arguments], input=data, cwd=cwd, capture_output=True, timeout=60)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- writing ------------------------------------------------------------------------------------------------------------


def test_a_file_is_formatted_in_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "recipe.esp"]) == 0
    assert files(folder) == {"recipe.esp": FORMATTED.encode()}
    assert capsys.readouterr().out == "formatted recipe.esp\n1 file formatted\n"

    assert main(["fmt"]) == 0
    assert capsys.readouterr().out == "1 file unchanged\n"


def test_an_unchanged_file_is_not_written(folder: Path) -> None:
    main(["fmt", "recipe.esp"])
    before = (folder / "recipe.esp").stat()

    main(["fmt", "recipe.esp"])

    after = (folder / "recipe.esp").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_every_recipe_of_a_folder_is_formatted_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one/recipe.esp", "one/deeper/b.esp", "one/.hidden/c.esp", "one/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(LOOSE, encoding="utf-8")

    assert main(["fmt", "one/recipe.esp", "one", "recipe.esp"]) == 0

    changed = {name for name, data in files(folder).items() if data == FORMATTED.encode()}
    assert changed == {"recipe.esp", "one/recipe.esp", "one/deeper/b.esp"}
    assert capsys.readouterr().out.splitlines() == [
        "formatted one/recipe.esp",
        "formatted one/deeper/b.esp",
        "formatted recipe.esp",
        "3 files formatted",
    ]


def test_the_mode_is_kept(folder: Path) -> None:
    (folder / "recipe.esp").chmod(0o640)

    assert main(["fmt"]) == 0
    assert (folder / "recipe.esp").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "recipe.esp").rename(folder / "there" / "real.esp")
    (folder / "recipe.esp").symlink_to("there/real.esp")

    assert main(["fmt", "recipe.esp", "there"]) == 0

    assert (folder / "recipe.esp").is_symlink()
    assert (folder / "there" / "real.esp").read_text(encoding="utf-8") == FORMATTED
    assert sorted(os.listdir(folder / "there")) == ["real.esp"]


def test_line_ends_are_kept_and_a_byte_order_mark_is_not(folder: Path) -> None:
    (folder / "recipe.esp").write_bytes(b"\xef\xbb\xbf" + LOOSE.replace("\n", "\r\n").encode())

    assert main(["fmt"]) == 0
    assert (folder / "recipe.esp").read_bytes() == FORMATTED.replace("\n", "\r\n").encode()
    assert main(["fmt", "--check"]) == 0


def test_a_byte_order_mark_alone_is_a_change(folder: Path) -> None:
    (folder / "recipe.esp").write_bytes(b"\xef\xbb\xbf" + FORMATTED.encode())

    assert main(["fmt", "--check"]) == 1


def test_a_file_is_always_whole_when_the_process_is_killed(folder: Path) -> None:
    text = "".join(f"let a{n}=1\nlet long_name{n} = 2 # note\n" for n in range(200))
    (folder / "recipe.esp").write_text(text, encoding="utf-8")
    whole = {text.encode(), run("-", text=text).stdout}
    assert len(whole) == 2
    for wait in (0.05, 0.15, 0.25, 0.3, 0.35, 0.4, 0.5):
        (folder / "recipe.esp").write_text(text, encoding="utf-8")
        child = subprocess.Popen([*ESP3C, "fmt"], cwd=folder, stdout=subprocess.DEVNULL)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
        assert (folder / "recipe.esp").read_bytes() in whole


# -- refusing -----------------------------------------------------------------------------------------------------------


def test_syntax_errors_are_shown_and_the_file_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.esp").write_text(BROKEN, encoding="utf-8")

    assert main(["fmt", "bad.esp", "recipe.esp"]) == 1

    out, err = capsys.readouterr()
    assert files(folder) == {"bad.esp": BROKEN.encode(), "recipe.esp": FORMATTED.encode()}
    assert "error[ESP01" in err and "--> bad.esp:" in err
    assert out == "formatted recipe.esp\n1 file formatted, 1 file left as it is\n"


@pytest.mark.parametrize(
    "name, data, code, part",
    [
        ("absent.esp", None, 1, "does not exist"),
        ("no.esp", b"let a = \xff", 1, "not UTF-8"),
        ("notes.txt", b"# a", 2, "is no recipe: name a .esp file"),
        ("empty/", None, 1, "there is no .esp file in empty/"),
    ],
)
def test_what_is_no_recipe_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes | None, code: int, part: str
) -> None:
    (folder / "empty").mkdir()
    if data is not None:
        (folder / name).write_bytes(data)

    assert main(["fmt", name]) == code
    out, err = capsys.readouterr()
    assert part in err
    assert data is not None or out == ""
    assert data is None or (folder / name).read_bytes() == data


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.esp")

    done = run("pipe.esp", cwd=folder)

    assert done.returncode == 1
    assert b"is not a plain file" in done.stderr


def test_a_write_protected_file_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipe.esp").chmod(0o444)

    assert main(["fmt", "--check"]) == 1
    assert main(["fmt"]) == 1
    assert "write-protected" in capsys.readouterr().err
    assert files(folder) == {"recipe.esp": LOOSE.encode()}


def test_what_somebody_else_wrote_meanwhile_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    formatted = fmt._formatted

    def slow(data: bytes, shown: str) -> str:
        (folder / "recipe.esp").write_text("let other = 1\n", encoding="utf-8")
        return formatted(data, shown)

    monkeypatch.setattr(fmt, "_formatted", slow)

    assert main(["fmt"]) == 1
    assert "changed by somebody else" in capsys.readouterr().err
    assert files(folder) == {"recipe.esp": b"let other = 1\n"}


def test_a_result_that_says_something_else_is_never_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("esp3c.format._print", lambda source, file: "let a = 2\n")

    assert main(["fmt"]) == 1
    assert "would not say the same" in capsys.readouterr().err
    assert files(folder) == {"recipe.esp": LOOSE.encode()}


# -- showing only ---------------------------------------------------------------------------------------------------------


def test_check_names_what_would_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "good.esp").write_text(FORMATTED, encoding="utf-8")

    assert main(["fmt", "--check", "."]) == 1
    assert capsys.readouterr().out == "would format ./recipe.esp\n1 file would be formatted, 1 file unchanged\n"
    assert main(["fmt", "--check", "good.esp"]) == 0
    assert files(folder) == {"recipe.esp": LOOSE.encode(), "good.esp": FORMATTED.encode()}


def test_the_diff_is_one_that_patch_takes(folder: Path) -> None:
    text = LOOSE.replace("note", "no\u2028te").rstrip("\n")
    (folder / "recipe.esp").write_text(text, encoding="utf-8")

    done = run("--diff", cwd=folder)

    assert done.returncode == 1
    assert done.stderr == b"1 file would be formatted\n"
    lines = done.stdout.decode().replace("no\u2028te", "note").splitlines()
    assert lines[:4] == ["--- recipe.esp", "+++ recipe.esp", "@@ -1,2 +1,2 @@", "-let a=1"]
    assert lines[-4:] == [
        "-let long_name = 2 # note",
        "\\ No newline at end of file",
        "+let a = 1",
        "+" + FORMATTED.splitlines()[1],
    ]
    assert (folder / "recipe.esp").read_text(encoding="utf-8") == text
    assert run("--diff", "--check", cwd=folder).returncode == 1


def test_the_diff_is_coloured_on_a_terminal_and_obeys_nothing(folder: Path) -> None:
    (folder / "recipe.esp").write_text(LOOSE + "# \x1b[2J\n", encoding="utf-8")
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    child = subprocess.Popen([*ESP3C, "fmt", "--diff"], cwd=folder, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass
    child.wait(timeout=30)
    os.close(ours)

    assert b"\x1b[31m-let a=1\x1b[0m" in shown
    assert b"\x1b[32m+let a = 1\x1b[0m" in shown
    assert b"\x1b[2J" not in shown


# -- standard input ---------------------------------------------------------------------------------------------------


def test_standard_input_to_standard_output(folder: Path) -> None:
    done = run("-", text=LOOSE.replace("\n", "\r\n") + 'let é = "\u2028"')

    assert done.returncode == 0
    assert done.stdout.decode() == (FORMATTED + 'let é         = "\u2028"\n').replace("\n", "\r\n")
    assert done.stderr == b""


def test_standard_input_with_syntax_errors(folder: Path) -> None:
    done = run("-", text=BROKEN)

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"--> <stdin>:" in done.stderr


def test_standard_input_is_checked(folder: Path) -> None:
    assert run("-", "--check", text=LOOSE).returncode == 1
    assert run("-", "--check", text=FORMATTED).returncode == 0
    shown = run("-", "--diff", text=LOOSE)
    assert (shown.returncode, b"+let a = 1\n" in shown.stdout) == (1, True)
    assert run("-", "--diff", text=FORMATTED).returncode == 0
    assert run("-", "recipe.esp", cwd=folder).returncode == 2
    assert run("-", text=b"\xff").returncode == 1
