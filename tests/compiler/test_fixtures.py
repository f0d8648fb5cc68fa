"""Every rule has a fixture that shows it, and says on its lines what is wrong; correct recipes get no diagnostic."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3c.check import RULES
from esp3c.check.limits import LIMITS
from esp3c.check.shapes import SHAPES
from esp3c.diagnostics import FAMILIES, code_of
from esp3c.pipeline import codes
from esp3c.render.text import TextRenderer, summary
from esp3c.source import Source
from esp3c.syntax.errors import SYNTAX_ERRORS
from support.fixtures import (
    FIXTURES,
    bad_fixtures,
    check_text,
    compile_text,
    expectations,
    matches_snapshot,
    ok_fixtures,
)

# Mistakes that no fixture of a few lines can show; each has a test of its own below.
TOO_LARGE = {"too_deep", "too_many"}


def name_of(path: Path) -> str:
    return path.relative_to(FIXTURES).with_suffix("").as_posix()


@pytest.mark.parametrize("path", bad_fixtures(), ids=name_of)
def test_bad_fixture_says_what_is_wrong_where_it_is_wrong(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = sorted((line, code) for line, code, _ in expectations(text))

    found = check_text(text)

    actual = sorted((each.primary.span.source.line_of(each.primary.span.start), each.code.id) for each in found)
    assert expected == actual
    for line, code, part in expectations(text):
        messages = [
            each.message
            for each in found
            if (each.primary.span.source.line_of(each.primary.span.start), each.code.id) == (line, code)
        ]
        assert any(part in message for message in messages), (part, messages)


@pytest.mark.parametrize("path", bad_fixtures(), ids=name_of)
def test_bad_fixture_is_shown_as_its_snapshot(path: Path) -> None:
    """The snapshot holds the source and the messages, so that a review reads what a user will read."""
    text = path.read_text(encoding="utf-8")
    diagnostics = compile_text(text, path.name).diagnostics

    shown = f"{text}\n{'-' * 80}\n\n{TextRenderer().render(diagnostics)}{summary(diagnostics)}\n"

    assert matches_snapshot(path.with_suffix(".txt"), shown), "run with UPDATE_SNAPSHOTS=1 and read the difference"


@pytest.mark.parametrize("path", ok_fixtures(), ids=name_of)
def test_ok_fixture_has_no_diagnostic(path: Path) -> None:
    assert check_text(path.read_text(encoding="utf-8")) == []


def test_every_rule_has_a_fixture_of_its_name() -> None:
    fixtures = {name_of(path).removeprefix("bad/") for path in bad_fixtures()}
    rules = {
        f"{code_of(rule).family}/{rule.__name__}"  # type: ignore[attr-defined]
        for rule in (*RULES, *SYNTAX_ERRORS)
        if rule.__name__ not in TOO_LARGE  # type: ignore[attr-defined]
    }

    assert rules - fixtures == set()


def test_every_fixture_earns_the_code_that_it_is_named_after() -> None:
    by_name = {rule.__name__: code_of(rule).id for rule in (*RULES, *SYNTAX_ERRORS)}  # type: ignore[attr-defined]
    for path in bad_fixtures():
        if path.stem in by_name:
            assert by_name[path.stem] in {code for _, code, _ in expectations(path.read_text(encoding="utf-8"))}


def test_codes_are_unique_and_in_the_family_of_their_module() -> None:
    functions = (*RULES, *SYNTAX_ERRORS, *LIMITS, *SHAPES)
    ids = [code_of(function).id for function in functions]

    assert len(ids) == len(set(ids)) == len(codes())
    for rule in RULES:
        # A family may have several modules: `targets`, `targets_objects`.
        assert rule.__module__.rsplit(".", 1)[-1].partition("_")[0] == FAMILIES[code_of(rule).id[3:5]]


def test_a_hundred_brackets_inside_each_other_are_too_many() -> None:
    found = check_text("let a = " + "[" * 10_000 + "\n")

    assert [each.code.id for each in found][:1] == ["ESP0108"]
    assert len(found) <= 3


def test_after_a_hundred_syntax_errors_reading_stops() -> None:
    found = check_text("let a = [1 2]\n" * 500)

    assert found[-1].code.id == "ESP0116"
    assert len([each for each in found if each.code.id == "ESP0107"]) == 100


def test_no_message_speaks_of_tokens() -> None:
    for path in bad_fixtures():
        for each in check_text(path.read_text(encoding="utf-8")):
            words = " ".join([each.message, each.primary.text, *each.help])
            assert "Token" not in words and "$END" not in words and "_star" not in words


def test_a_span_is_inside_its_source() -> None:
    for path in bad_fixtures():
        source: Source | None = None
        for each in check_text(path.read_text(encoding="utf-8")):
            for label in (each.primary, *each.secondary):
                source = label.span.source
                assert 0 <= label.span.start <= label.span.end <= len(source.text)
