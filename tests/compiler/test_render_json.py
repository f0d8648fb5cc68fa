"""Diagnostics as JSON: the form of the document, and that its places are those of the source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esp3c.pipeline import compile
from esp3c.render.json import render_json
from esp3c.source import Source
from support.fixtures import WORLD, bad_fixtures, compile_text

SPAN = {
    "file": str,
    "line": int,
    "column": int,
    "end_line": int,
    "end_column": int,
    "start": int,
    "end": int,
}
LABEL = {**SPAN, "label": str}
EDIT = {**SPAN, "text": str}


def checked(data: Any, fields: dict[str, type]) -> dict[str, Any]:
    assert isinstance(data, dict)
    assert {key: type(value) for key, value in data.items()} == fields
    return data


def place_of(text: str, data: dict[str, Any]) -> None:
    """The line and column count characters; both are those of the offsets."""
    for offset, line, column in (
        (data["start"], data["line"], data["column"]),
        (data["end"], data["end_line"], data["end_column"]),
    ):
        assert 0 <= offset <= len(text)
        before = text[:offset]
        assert (before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1) == (line, column)
    assert data["start"] <= data["end"]


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_the_form_and_the_places_of_every_diagnostic(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    result = compile_text(text, path.name)

    document = json.loads(render_json(result.diagnostics))

    # The recipe, and the Python that secondary labels stand in.
    texts = {label.span.source.path: label.span.source.text for each in result.diagnostics for label in each.secondary}
    texts[path.name] = text
    assert list(document) == ["version", "errors", "warnings", "diagnostics"]
    assert document["version"] == 1
    assert document["errors"] + document["warnings"] == len(document["diagnostics"]) == len(result.diagnostics)
    assert document["errors"] == sum(each["severity"] == "error" for each in document["diagnostics"])
    for each in document["diagnostics"]:
        assert list(each) == ["code", "family", "severity", "message", "primary", "secondary", "help", "fix"]
        assert each["severity"] in {"error", "warning"}
        assert each["code"].startswith("ESP")
        assert each["message"]
        assert all(isinstance(line, str) for line in each["help"])
        assert each["primary"]["file"] == path.name
        labels = [checked(each["primary"], LABEL), *(checked(label, LABEL) for label in each["secondary"])]
        edits = [] if each["fix"] is None else each["fix"]["edits"]
        if each["fix"] is not None:
            assert list(each["fix"]) == ["title", "edits"]
            assert edits
        for place in [*labels, *(checked(edit, EDIT) for edit in edits)]:
            place_of(texts[place["file"]], place)


def test_a_whole_document() -> None:
    text = 'let a = "音"\r\ntraining { sede = 3 }\r\n'

    document = json.loads(render_json(compile_text(text).diagnostics))

    assert document["diagnostics"][-1] == {
        "code": "ESP0301",
        "family": "keys",
        "severity": "error",
        "message": "unknown key `sede` in `training`",
        "primary": {
            "file": "recipe.esp",
            "line": 2,
            "column": 12,
            "end_line": 2,
            "end_column": 16,
            "start": 24,
            "end": 28,
            "label": "did you mean `seed`?",
        },
        "secondary": [],
        "help": [],
        "fix": {
            "title": "write `seed`",
            "edits": [
                {
                    "file": "recipe.esp",
                    "line": 2,
                    "column": 12,
                    "end_line": 2,
                    "end_column": 16,
                    "start": 24,
                    "end": 28,
                    "text": "seed",
                }
            ],
        },
    }


def test_no_diagnostics_are_a_document_too() -> None:
    assert json.loads(render_json([])) == {"version": 1, "errors": 0, "warnings": 0, "diagnostics": []}


def test_whatever_the_recipe_holds_the_document_is_ascii() -> None:
    text = 'training { "é\x1b😀\u2028" = 1 }'
    shown = render_json(compile_text(text, "ré\udce9cipe.esp").diagnostics)

    assert shown.isascii()
    assert "\x1b" not in shown
    assert any("é" in each["message"] for each in json.loads(shown)["diagnostics"])


def test_a_set_argument_is_a_file_of_its_own() -> None:
    override = "training.sed=1"
    recipe = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining { seed = 1 }\nstages {}\n"
    result = compile(Source("recipe.esp", recipe), WORLD, [Source(f"--set {override}", override)])

    [each] = json.loads(render_json(result.diagnostics))["diagnostics"]

    assert each["primary"]["file"] == "--set training.sed=1"
    place_of(override, each["primary"])


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_a_fix_takes_its_mistake_away(path: Path) -> None:
    """Applying a fix never leaves the same mistake at the same place, and never breaks the file anew."""
    text = path.read_text(encoding="utf-8")
    before = compile_text(text).diagnostics
    for each in before:
        if each.fix is None:
            continue
        mended = text
        for edit in sorted(each.fix.edits, key=lambda edit: edit.span.start, reverse=True):
            mended = mended[: edit.span.start] + edit.text + mended[edit.span.end :]
        after = compile_text(mended).diagnostics
        same = [
            other
            for other in after
            if (other.code, other.message, other.primary.span.start)
            == (each.code, each.message, each.primary.span.start)
        ]
        assert same == [], each.message
        assert mended != text
