"""`esp3c check`: formats, what is selected and ignored, fixes, watching, standard input, and what its last line says."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from esp3c import pipeline
from esp3c.check.account import Account, Unchecked
from esp3c.cli.check import EPILOG
from esp3c.cli.fixing import Fixed, fix_all
from esp3c.cli.main import main
from esp3c.cli.report import Checked, further, text
from esp3c.cli.selection import selection
from esp3c.cli.watch import watch
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of
from esp3c.pipeline import Result
from esp3c.record import changed
from esp3c.source import Source, Span
from esp3c.syntax.errors import unexpected
from support.fixtures import WORLD, compile_text

ESP3C = [sys.executable, "-m", "esp3c.cli.main"]
GOOD = """\
recipe good { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "t" }
config own { a = 1 }
stages { go_on requires own runs src.stages.go_on }
"""
KEY = GOOD.replace('exp_tag = "t"', 'exp_tga = "t"')
UNUSED = GOOD + "let unused = 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe folder, which is also the working folder."""
    place = tmp_path / "recipe"
    (place / "src").mkdir(parents=True)
    (place / "src" / "stages.py").write_text("def go_on(own_config): ...\n", encoding="utf-8")
    write(place / "recipe.esp", GOOD)
    monkeypatch.chdir(place)
    monkeypatch.setenv("ESP3C_CACHE_DIR", str(tmp_path / "cache"))
    return place


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(["check", *arguments])
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


# -- formats ----------------------------------------------------------------------------------------------------------


def test_the_formats_say_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "recipe.esp", KEY)

    code, shown, _ = check(capsys)
    assert (code, shown.splitlines()[0]) == (1, "error[ESP0301]: unknown key `exp_tga` in `recipe`")
    code, document, _ = check(capsys, "--format", "json")
    assert (code, json.loads(document)["diagnostics"][0]["code"]) == (1, "ESP0301")
    code, commands, _ = check(capsys, "--format", "github")
    assert (code, commands.splitlines()[0][:42]) == (1, "::error file=recipe.esp,line=1,endLine=1,c")
    code, log, _ = check(capsys, "--format", "sarif")
    assert (code, json.loads(log)["runs"][0]["results"][0]["ruleId"]) == (1, "ESP0301")


def test_the_formats_for_programs_are_whole_where_nothing_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(capsys, "--format", "github")[:2] == (0, "")
    assert json.loads(check(capsys, "--format", "sarif")[1])["runs"][0]["results"] == []
    assert json.loads(check(capsys, "--format", "json")[1])["errors"] == 0


def test_an_override_is_shown_in_every_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json", "github", "sarif"):
        code, out, _ = check(capsys, "--set", "own.b=2", "--format", form)
        assert code == 1
        assert "--set own.b=2" in out


# -- --select and --ignore --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, code, found",
    [
        ((), 1, ["ESP0301", "ESP0205"]),
        (("--select", "ESP0301"), 1, ["ESP0301"]),
        (("--select", "esp03"), 1, ["ESP0301"]),
        (("--select", "keys"), 1, ["ESP0301"]),
        (("--select", "Keys,names"), 1, ["ESP0301", "ESP0205"]),
        (("--select", "ESP"), 2, []),
        (("--select", "ESP0"), 1, ["ESP0301", "ESP0205"]),
        (("--select", "keys", "--select", "ESP0205"), 1, ["ESP0301", "ESP0205"]),
        (("--ignore", "ESP0301"), 0, ["ESP0205"]),
        (("--ignore", " ESP0301 , names,"), 0, []),
        (("--select", "keys", "--ignore", "ESP0301"), 0, []),
        (("--select", "providers"), 0, []),
    ],
)
def test_what_is_not_selected_is_not_shown_and_no_failure(
    folder: Path, options: tuple[str, ...], code: int, found: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "recipe.esp", KEY + "let unused = 1\n")

    done, out, _ = check(capsys, "--format", "json", *options)

    assert done == code
    if code < 2:
        assert [each["code"] for each in json.loads(out)["diagnostics"]] == found


@pytest.mark.parametrize(
    "word, hint",
    [("ESP0031", "did you mean `ESP0301`"), ("kyes", "did you mean `keys`"), ("all", "the families are syntax, names")],
)
def test_an_unknown_code_is_a_wrong_command_line(
    folder: Path, word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = check(capsys, "--select", f"ESP0301,{word}")

    assert (code, out) == (2, "")
    assert f"--select {word}: there is no such code or family" in err and hint in err


def test_the_last_line_does_not_call_a_recipe_fine_of_which_something_is_hidden(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "recipe.esp", KEY)

    code, out, _ = check(capsys, "--ignore", "ESP0301")

    assert code == 0
    assert "no problems found" not in out and "1 not selected" in out


# -- ignores in the recipe --------------------------------------------------------------------------------------------


def test_an_ignored_error_fails_neither_check_nor_build(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "recipe.esp", KEY.replace("}\n", "}  # esp: ignore[ESP0301]\n", 1))

    code, out, _ = check(capsys)
    assert code == 0 and out.rstrip().endswith("1 ignored)")
    assert json.loads(check(capsys, "--format", "json")[1])["ignored"] == 1
    (result,) = json.loads(check(capsys, "--format", "sarif")[1])["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "inSource"}]
    assert main(["build"]) == 0
    assert "exp_tga: t" in (folder / "conf" / "own.yaml").read_text(encoding="utf-8")


# -- --fix ------------------------------------------------------------------------------------------------------------


def test_fix_writes_what_is_certain_and_says_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "recipe.esp", KEY.replace("= 1", ": 1") + "let unused = 1\n")

    code, out, _ = check(capsys, "--fix")

    assert code == 0
    assert (folder / "recipe.esp").read_text(encoding="utf-8") == GOOD + "let unused = 1\n"
    assert out.splitlines()[:2] == [
        "fixed recipe.esp:1:62: ESP0301: write `exp_tag`",
        "fixed recipe.esp:2:16: ESP0114: write `=`",
    ]
    assert "2 fixed" in out.splitlines()[-1]
    assert check(capsys, "--fix")[1].count("fixed") == 0


def test_fix_keeps_all_other_bytes_and_the_mode(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "recipe.esp"
    path.write_bytes(b"\xef\xbb\xbf" + KEY.replace("\n", "\r\n").encode() + "# größe 𝄞".encode())
    path.chmod(0o640)
    link = folder / "link.esp"
    link.symlink_to(path)

    assert check(capsys, "--fix", "link.esp")[0] == 0

    assert link.is_symlink()
    assert path.read_bytes() == b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + "# größe 𝄞".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(each.name for each in folder.iterdir()) == ["link.esp", "recipe.esp", "src"]


def test_the_difference_is_shown_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "recipe.esp", KEY.rstrip("\n"))
    before = (folder / "recipe.esp").read_bytes()

    code, out, err = check(capsys, "--fix", "--diff")

    assert (code, (folder / "recipe.esp").read_bytes()) == (1, before)
    lines = out.splitlines()
    assert lines[:2] == ["--- recipe.esp", "+++ recipe.esp"]
    assert [line[0] for line in lines[3:]] == ["-", "+", " ", " ", "\\"]
    assert err == "recipe.esp: 1 to fix, nothing written\n"
    write(folder / "recipe.esp", GOOD)
    assert check(capsys, "--fix", "--diff")[:2] == (0, "")


def test_fix_goes_by_the_selection_and_leaves_overrides_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "recipe.esp", KEY)

    assert check(capsys, "--fix", "--ignore", "keys")[0] == 0
    assert check(capsys, "--fix", "--set", "own.a=yes")[0] == 1
    assert (folder / "recipe.esp").read_text(encoding="utf-8") == GOOD, "the recipe is mended, the override is not"


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_disk_that_refuses_changes_nothing(
    folder: Path, step: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "recipe.esp", KEY)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        code, _, err = check(capsys, "--fix")

    assert (code, err) == (1, "esp3c: error: cannot write recipe.esp: No space left on device\n")
    assert (folder / "recipe.esp").read_text(encoding="utf-8") == KEY
    assert sorted(each.name for each in folder.iterdir()) == ["recipe.esp", "src"]


def test_a_file_that_somebody_changed_meanwhile_is_not_overwritten(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import esp3c.cli.fixing as fixing

    write(folder / "recipe.esp", KEY)

    def slow(*arguments: Any) -> Fixed:
        write(folder / "recipe.esp", KEY + "# and more\n")
        return fix_all(*arguments)

    monkeypatch.setattr(fixing, "fix_all", slow)

    code, _, err = check(capsys, "--fix")

    assert code == 1 and "was changed while it was checked" in err
    assert (folder / "recipe.esp").read_text(encoding="utf-8") == KEY + "# and more\n"


def with_fix(source: Source, word: str, put: str, code: str = "") -> Diagnostic:
    start = source.text.index(word)
    span = Span(source, start, start + len(word))
    return Diagnostic(code_of(unexpected), f"{word}{code}", Label(span), fix=Fix(put, (Edit(span, put),)))


def result_of(source: Source, *diagnostics: Diagnostic) -> Result:
    return changed(compile_text(""), diagnostics=diagnostics)


def test_a_fix_after_which_the_text_parses_worse_is_left_out() -> None:
    def compile(source: Source) -> Result:
        found = [with_fix(source, word, put) for word, put in (("bad", "{"), ("one", "two")) if word in source.text]
        more = [with_fix(source, "{", "{")] * 3 if "{" in source.text else []
        return result_of(source, *found, *(changed(each, fix=None) for each in more))

    fixed = fix_all(Source("r.esp", "bad one"), compile, lambda _: True)

    assert fixed.source.text == "bad two"
    assert [each.message for each in fixed.done] == ["one"]


def test_a_fix_that_does_not_help_is_not_made_again_and_again() -> None:
    text = 'let a = [\n  [1, cer", "min"],  # "quoted"\n  ["cer", 3],\n]\n'

    fixed = fix_all(Source("r.esp", text), lambda source: pipeline.compile(source, WORLD), lambda _: True)

    assert fixed.source.text.count(",") <= text.count(",") + 2


def test_fixes_that_overlap_take_turns_and_two_that_undo_each_other_end() -> None:
    def overlapping(source: Source) -> Result:
        found = [with_fix(source, word, "x") for word in ("aab", "abb", "bbc") if word in source.text]
        return result_of(source, *found)

    assert fix_all(Source("r.esp", "aabbbc"), overlapping, lambda _: True).source.text == "xx"

    def endless(source: Source) -> Result:
        word, put = ("up", "down") if source.text == "up" else ("down", "up")
        return result_of(source, with_fix(source, word, put))

    assert fix_all(Source("r.esp", "up"), endless, lambda _: True).source.text in {"up", "down"}


# -- several recipes, standard input ----------------------------------------------------------------------------------


def test_several_recipes_are_checked_and_one_that_is_absent_stops_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "bad.esp", KEY)

    code, out, err = check(capsys, "bad.esp", "nothing.esp", "recipe.esp")

    assert code == 1
    assert "nothing.esp does not exist" in err
    assert out.splitlines()[-2].startswith("bad.esp: 1 error (")
    assert out.splitlines()[-1].startswith("recipe.esp: no problems found (")
    document = json.loads(check(capsys, "bad.esp", "recipe.esp", "--format", "json")[1])
    assert [each["primary"]["file"] for each in document["diagnostics"]] == ["bad.esp"]


def test_standard_input_is_a_recipe_of_this_folder(folder: Path) -> None:
    def piped(text: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*ESP3C, "check", *arguments, "-"], input=text, capture_output=True, timeout=60)

    good, bad = piped(GOOD.encode()), piped(KEY.encode())
    assert (good.returncode, good.stdout[:28]) == (0, b"<stdin>: no problems found (")
    assert bad.returncode == 1 and b" --> <stdin>:1:62\n" in bad.stdout
    assert b"file=" not in piped(KEY.encode(), "--format", "github").stdout
    assert b"not UTF-8" in piped(b"\xff").stderr
    assert piped(KEY.encode(), "--fix", "--diff").stdout.startswith(b"--- <stdin>\n")


@pytest.mark.parametrize(
    "arguments",
    [("-", "--fix"), ("-", "recipe.esp"), ("--diff",), ("--watch", "-"), ("--watch", "--fix"),
     ("--unchecked", "--format", "sarif")],
)  # fmt: skip
def test_what_does_not_go_together_is_a_wrong_command_line(
    folder: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    code, out, err = check(capsys, *arguments)

    assert (code, out) == (2, "")
    assert err.startswith("esp3c: error: ")


# -- what was proved and what could not be known ----------------------------------------------------------------------


def of_account(proved: int, *whys: str) -> Checked:
    source = Source("recipe.esp", GOOD)
    places = [Span(source, 3 * at, 3 * at + 2) for at in range(len(whys))]
    account = Account(proved, tuple(Unchecked(at, "argument `a`", why) for at, why in zip(places, whys, strict=True)))
    result = changed(compile_text(GOOD), account=account, diagnostics=())
    return Checked.of("recipe.esp", source, result, selection((), ()))


def test_the_last_line_says_what_was_proved_and_what_is_unchecked() -> None:
    known, unknown = of_account(57), of_account(1, "made by `__getattr__`", "\x1b is compiled")

    def shown(checked: Checked, **options: bool) -> str:
        return text(checked, **{"alone": True, "unchecked": False, "color": False, **options})

    assert shown(known) == "recipe.esp: no problems found (1 stage, 1 config; 57 values proved)\n"
    assert shown(unknown) == (
        "recipe.esp: no problems found (1 stage, 1 config; 1 value proved, 2 unchecked: --unchecked lists them)\n"
    )
    assert shown(unknown, unchecked=True).splitlines() == [
        "unchecked recipe.esp:1:1  argument `a`: made by `__getattr__`",
        "unchecked recipe.esp:1:4  argument `a`: \ufffd is compiled",
        "",
        "recipe.esp: no problems found (1 stage, 1 config; 1 value proved, 2 unchecked)",
    ]


def test_json_lists_what_is_unchecked_in_any_case() -> None:
    document = further([of_account(1, "why it is"), of_account(2)])

    assert document["proved"] == 3
    (unchecked,) = document["unchecked"]
    assert (unchecked["line"], unchecked["what"], unchecked["why"]) == (1, "argument `a`", "why it is")


# -- --watch ----------------------------------------------------------------------------------------------------------


class Watching:
    """`esp3c check --watch` as a process, with what it printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out = folder.parent / "out"
        self.stream = self.out.open("wb")
        self.process = subprocess.Popen(
            [*ESP3C, "check", "--watch", *arguments], cwd=folder, stdout=self.stream, stderr=subprocess.STDOUT
        )

    def wait_for(self, words: str, times: int = 1) -> str:
        for _ in range(300):
            shown = self.out.read_text(encoding="utf-8")
            if shown.count(words) >= times and shown.endswith("Ctrl-C ends\n"):
                return shown
            assert self.process.poll() is None, shown
            time.sleep(0.1)
        raise AssertionError(f"{words!r} did not come {times} times:\n{self.out.read_text(encoding='utf-8')}")


@pytest.fixture
def watching(folder: Path) -> Iterator[Watching]:
    running = Watching(folder)
    yield running
    running.process.kill()
    running.process.wait()
    running.stream.close()


def test_watch_checks_again_when_the_recipe_or_its_python_changes(folder: Path, watching: Watching) -> None:
    watching.wait_for("no problems found")

    # An editor that writes beside and renames, one that writes in place, a file that goes and comes back.
    write(folder / "next", KEY)
    os.replace(folder / "next", folder / "recipe.esp")
    watching.wait_for("error[ESP0301]")
    write(folder / "recipe.esp", GOOD)
    watching.wait_for("no problems found", 2)
    (folder / "recipe.esp").rename(folder / "away")
    watching.wait_for("does not exist")
    (folder / "away").rename(folder / "recipe.esp")
    watching.wait_for("no problems found", 3)

    # The Python that the recipe names: changed, and a module that was not there.
    write(folder / "src" / "stages.py", "def another(own_config): ...\n")
    watching.wait_for("error[ESP0202]")
    write(folder / "recipe.esp", GOOD.replace("src.stages", "src.later"))
    watching.wait_for("error[ESP0202]", 2)
    write(folder / "src" / "later.py", "def go_on(own_config): ...\n")
    shown = watching.wait_for("no problems found", 4)

    assert "\x1b" not in shown, "the screen is cleared on a terminal only"
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(timeout=10) == 0
    assert "Traceback" not in watching.out.read_text(encoding="utf-8")


def test_watch_clears_a_terminal_and_ends_with_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> set[str]:
        print("checked")
        raise KeyboardInterrupt

    assert watch(interrupted) == 0
    assert capsys.readouterr().out == "checked\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert watch(interrupted) == 0
    assert capsys.readouterr().out == "\x1b[2J\x1b[3J\x1b[Hchecked\n"


def test_what_is_saved_while_it_is_checked_is_checked_again(tmp_path: Path) -> None:
    path, turns = tmp_path / "recipe.esp", []

    def check() -> set[str]:
        turns.append(1)
        if len(turns) == 3:
            raise KeyboardInterrupt
        time.sleep(0.05 if len(turns) == 1 else 0)
        if len(turns) == 1:
            path.write_text("saved")
            return {str(path)}
        # A second change, once nothing is being checked.
        Timer(0.1, path.write_text, ["saved once more"]).start()
        os.utime(path, (1, 1))
        return {str(path)}

    assert watch(check, interval=0.01) == 0
    assert len(turns) == 3


# -- help -------------------------------------------------------------------------------------------------------------


def test_every_option_has_an_example_or_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = check(capsys, "--help")

    assert code == 0
    assert EPILOG.splitlines()[1] in out
    for option in ("--set", "--format", "--select", "--ignore", "--fix", "--diff", "--watch", "--unchecked"):
        assert f"  {option}" in out
