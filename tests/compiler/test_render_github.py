"""Workflow commands of GitHub: one line a diagnostic, whatever stands in it, and only files as files."""

from __future__ import annotations

import re

import pytest

from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of
from esp3c.pipeline import compile
from esp3c.render.github import render_github
from esp3c.source import Source, Span
from esp3c.syntax.errors import unexpected
from support.fixtures import FIXTURES, WORLD, bad_fixtures, compile_text, matches_snapshot

COMMAND = re.compile(r"::(?P<level>error|warning) (?P<properties>[^:]*)::(?P<data>.*)")
MIXED = """\
recipe digits { system = espnet3.systems.asr.system.ASRSystem }
config paths { a = 1  a = 2  b = "${a}" }
training { trainer { max_epoch = 12 } }
let unused = 1
stages {}
"""


def read(line: str) -> tuple[str, dict[str, str], str]:
    """A command as the runner reads it."""
    found = COMMAND.fullmatch(line)
    assert found, line
    properties = dict(each.split("=", 1) for each in found["properties"].split(","))
    for name, value in properties.items():
        properties[name] = unescaped(value.replace("%3A", ":").replace("%2C", ","))
    return found["level"], properties, unescaped(found["data"])


def unescaped(text: str) -> str:
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def one(path: str, text: str, start: int, end: int, message: str = "message", **others: object) -> str:
    span = Span(Source(path, text), start, end)
    diagnostic = Diagnostic(code_of(unexpected), message, Label(span, "label"), **others)  # type: ignore[arg-type]
    return render_github([diagnostic])


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_every_fixture_is_a_command_a_line_with_the_place_of_its_diagnostic(path: object) -> None:
    diagnostics = compile_text(path.read_text(encoding="utf-8"), "a/recipe.esp").diagnostics  # type: ignore[attr-defined]
    lines = render_github(diagnostics).splitlines()

    assert len(lines) == len(diagnostics)
    for line, each in zip(lines, diagnostics, strict=True):
        level, properties, data = read(line)
        row, column = each.primary.span.source.position(each.primary.span.start)
        assert level == each.severity
        assert properties["title"] == each.code.id
        assert (properties["file"], properties["line"]) == ("a/recipe.esp", str(row))
        assert properties.get("col", str(column)) == str(column)
        assert data.split("\n")[0] == each.message


def test_what_a_property_or_the_text_may_not_hold_is_escaped() -> None:
    line = one("./a,b:c%.esp", "x", 0, 1, "100 % sure,\nor: not")

    assert line.startswith("::error file=a%2Cb%3Ac%25.esp,line=1,")
    assert line.endswith("::100 %25 sure,%0Aor: not%0Alabel\n")
    assert read(line.rstrip("\n"))[1]["file"] == "a,b:c%.esp"


def test_columns_stand_for_places_on_one_line_only() -> None:
    _, several, _ = read(one("r.esp", "ab\ncd\n", 1, 5).rstrip("\n"))
    _, empty, _ = read(one("r.esp", "ab\n", 1, 1).rstrip("\n"))

    assert several == {"file": "r.esp", "line": "1", "endLine": "2", "title": "ESP0101"}
    assert (empty["col"], empty["endColumn"]) == ("2", "3")


def test_no_escape_of_a_terminal_and_no_second_command_comes_through() -> None:
    shown = one("r.esp", "x", 0, 1, "\x1b[2J\r\n::set-output name=a::b")

    assert shown.count("\n") == 1
    assert "\x1b" not in shown and "\r" not in shown


def test_the_help_the_fix_and_the_other_places_are_said() -> None:
    python = Source("src/model.py", "def f(width): ...\n")
    fix = Fix("write `width`", (Edit(Span(python, 0, 1), "x"),))
    shown = one("r.esp", "x", 0, 1, secondary=(Label(Span(python, 6, 11), "it has this"),), help=("think",), fix=fix)

    assert read(shown.rstrip("\n"))[2].split("\n") == [
        "message",
        "label",
        "help: think",
        "fix: write `width`",
        "src/model.py:1:7: it has this",
    ]


def test_an_override_is_no_file() -> None:
    override = "training.trainer.max_epoch=5"
    recipe = (
        "recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining { trainer { max_epochs = 3 } }\nstages {}"
    )
    result = compile(Source("recipe.esp", recipe), WORLD, [Source(f"--set {override}", override)])

    _, properties, data = read(render_github(result.diagnostics).rstrip("\n"))

    assert properties == {"title": "ESP0209"}
    assert data.startswith(f"in --set {override}:1:18\n")


def test_the_snapshot() -> None:
    diagnostics = compile_text(MIXED, "conf/a recipe.esp").diagnostics

    assert matches_snapshot(FIXTURES / "render" / "annotations.txt", render_github(diagnostics))
