"""SARIF 2.1.0: the structure that the standard asks for, and that every place in it is one of the source."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from esp3c import __version__
from esp3c.diagnostics import Diagnostic, Label, code_of
from esp3c.pipeline import compile
from esp3c.render.sarif import render_sarif
from esp3c.source import Source, Span
from esp3c.syntax.errors import unexpected
from support.fixtures import FIXTURES, WORLD, bad_fixtures, compile_text, matches_snapshot

MIXED = """\
recipe digits { system = espnet3.systems.asr.system.ASRSystem }
config paths { a = 1  a = 2  b = "${a}" }
training { trainer { max_epoch = 12 } }
let unused = 1
stages {}
"""

# The objects of the standard that are used here: for each property its form, and `!` where it is required.
# A name is another object, a list holds the form of its items, a tuple is an enumeration.
OBJECTS: dict[str, dict[str, Any]] = {
    "log": {"$schema": "uri", "version!": ("2.1.0",), "runs!": ["run"]},
    "run": {
        "tool!": "tool",
        "columnKind": ("utf16CodeUnits", "unicodeCodePoints"),
        "results": ["result"],
    },
    "tool": {"driver!": "component"},
    "component": {"name!": "text", "version": "text", "semanticVersion": "text", "rules": ["rule"]},
    "rule": {
        "id!": "text",
        "shortDescription": "multiformat",
        "fullDescription": "multiformat",
        "help": "multiformat",
        "defaultConfiguration": "configuration",
        "properties": "bag",
    },
    "multiformat": {"text!": "text", "markdown": "text"},
    "configuration": {"level": ("none", "note", "warning", "error")},
    "bag": {"tags": ["text"]},
    "result": {
        "ruleId": "text",
        "ruleIndex": "from 0",
        "level": ("none", "note", "warning", "error"),
        "message!": "message",
        "locations": ["location"],
        "relatedLocations": ["location"],
        "fixes": ["fix"],
        "partialFingerprints": "texts",
        "suppressions": ["suppression"],
    },
    "message": {"text": "text"},
    "suppression": {"kind!": ("inSource", "external")},
    "location": {
        "id": "from 0",
        "physicalLocation": "physical",
        "logicalLocations": ["logical"],
        "message": "message",
    },
    "physical": {"artifactLocation": "artifact", "region": "region"},
    "logical": {"fullyQualifiedName": "text", "kind": "text"},
    "artifact": {"uri": "uri"},
    "region": {"startLine": "from 1", "startColumn": "from 1", "endLine": "from 1", "endColumn": "from 1"},
    "fix": {"description": "message", "artifactChanges!": ["change"]},
    "change": {"artifactLocation!": "artifact", "replacements!": ["replacement"]},
    "replacement": {"deletedRegion!": "region", "insertedContent": "content"},
    "content": {"text": "text"},
}
# At least one item is required there.
NOT_EMPTY = {"artifactChanges", "replacements"}


def valid(value: Any, form: Any, at: str = "log") -> None:
    if isinstance(form, tuple):
        assert value in form, at
    elif isinstance(form, list):
        assert isinstance(value, list), at
        assert value or at.rsplit(".", 1)[-1] not in NOT_EMPTY, at
        for number, each in enumerate(value):
            valid(each, form[0], f"{at}[{number}]")
    elif form == "text":
        assert isinstance(value, str), at
    elif form == "texts":
        assert isinstance(value, dict) and all(isinstance(each, str) for each in value.values()), at
    elif form == "uri":
        assert re.fullmatch(r"[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+", value), (at, value)
    elif form.startswith("from "):
        assert type(value) is int and value >= int(form[5:]), at
    else:
        known = {name.rstrip("!"): inner for name, inner in OBJECTS[form].items()}
        assert isinstance(value, dict), at
        assert {name.rstrip("!") for name in OBJECTS[form] if name.endswith("!")} <= value.keys() <= known.keys(), at
        for name, each in value.items():
            valid(each, known[name], f"{at}.{name}")


def log_of(diagnostics: Any, ignored: Any = ()) -> dict[str, Any]:
    text = render_sarif(diagnostics, ignored)
    assert text.isascii()
    log: dict[str, Any] = json.loads(text)
    valid(log, "log")
    return log


def cut(text: str, region: dict[str, int]) -> str:
    """What stands in a region, as a reader of the standard would cut it."""
    lines = text.split("\n")
    here = lines[region["startLine"] - 1 : region["endLine"]]
    here[-1] = here[-1][: region["endColumn"] - 1]
    here[0] = here[0][region["startColumn"] - 1 :]
    return "\n".join(here)


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_every_fixture_has_the_structure_of_the_standard_and_places_of_its_source(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    diagnostics = compile_text(text).diagnostics

    (run,) = log_of(diagnostics)["runs"]

    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({each.code.id for each in diagnostics})
    assert len(run["results"]) == len(diagnostics)
    for result, each in zip(run["results"], diagnostics, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == each.code.id
        assert result["level"] == each.severity
        (location,) = result["locations"]
        assert cut(text, location["physicalLocation"]["region"]) == each.primary.span.text
        assert len(result.get("relatedLocations", [])) == len(each.secondary)
        if each.fix is not None:
            changes = result["fixes"][0]["artifactChanges"]
            found = [
                (cut(text, one["deletedRegion"]), one.get("insertedContent", {"text": ""})["text"])
                for change in changes
                for one in change["replacements"]
            ]
            assert found == [(edit.span.text, edit.text) for edit in each.fix.edits]


def one(path: str, text: str, start: int, end: int, message: str = "message") -> Diagnostic:
    return Diagnostic(code_of(unexpected), message, Label(Span(Source(path, text), start, end), "label"))


@pytest.mark.parametrize(
    "path", ["recipe.esp", "./recipe.esp", "a b/größe 100%.esp", "/x/recipe.esp", "a:b.esp", "\udcff.esp"]
)
def test_a_path_is_a_uri_that_leads_back_to_it(path: str) -> None:
    (result,) = log_of([one(path, "x", 0, 1)])["runs"][0]["results"]

    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]

    assert unquote(uri.removeprefix("file://"), errors="surrogateescape") == path.removeprefix("./")
    assert not re.match(r"[a-z]+:(?!//)", uri)


def test_columns_count_characters() -> None:
    (result,) = log_of([one("r.esp", '# 𝄞 é\n"𝄞" x', 10, 11)])["runs"][0]["results"]

    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 2,
        "startColumn": 5,
        "endLine": 2,
        "endColumn": 6,
    }


def test_braces_are_no_placeholders() -> None:
    (result,) = log_of([one("r.esp", "x", 0, 1, "write `{ a }`")])["runs"][0]["results"]

    assert result["message"]["text"] == "write `{{ a }}`\nlabel"


def test_an_override_has_a_logical_location_and_no_fix() -> None:
    override = "training.trainer.max_epoch=5"
    recipe = (
        "recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining { trainer { max_epochs = 3 } }\nstages {}"
    )
    diagnostics = compile(Source("recipe.esp", recipe), WORLD, [Source(f"--set {override}", override)]).diagnostics

    (result,) = log_of(diagnostics)["runs"][0]["results"]

    assert diagnostics[0].fix is not None and "fixes" not in result
    assert result["locations"] == [
        {"logicalLocations": [{"fullyQualifiedName": f"--set {override}", "kind": "parameter"}]}
    ]


def test_fingerprints_stay_when_lines_come_and_go_and_tell_twins_apart() -> None:
    bad = "  trainer { max_epoch = 1 }\n"
    recipe = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining {\n" + bad + "}\n"

    def marks(text: str) -> list[str]:
        results = log_of(compile_text(text).diagnostics)["runs"][0]["results"]
        return [each["partialFingerprints"]["esp3c/v1"] for each in results]

    once = marks(recipe)
    assert once == marks("# a line\n\n" + recipe)
    assert once != marks(recipe.replace("max_epoch ", "max_epoch_ "))
    twins = [one("r.esp", "x x", 0, 1), one("r.esp", "x x", 2, 3)]
    both = [each["partialFingerprints"]["esp3c/v1"] for each in log_of(twins)["runs"][0]["results"]]
    assert len(set(both)) == 2


def test_what_is_ignored_in_the_source_is_suppressed() -> None:
    ignored = one("r.esp", "x", 0, 1)

    first, second = log_of([one("r.esp", "y", 0, 1)], [ignored])["runs"][0]["results"]

    assert "suppressions" not in first
    assert second["suppressions"] == [{"kind": "inSource"}]


def test_nothing_wrong_is_a_run_without_results() -> None:
    (run,) = log_of([])["runs"]

    assert run["results"] == [] and run["tool"]["driver"]["rules"] == []


def test_the_snapshot() -> None:
    text = render_sarif(compile_text(MIXED, "conf/a recipe.esp").diagnostics)

    assert matches_snapshot(FIXTURES / "render" / "results.sarif", text.replace(f'"{__version__}"', '"VERSION"'))
