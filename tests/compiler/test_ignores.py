"""`# esp: ignore[…]`: what it takes out, what it leaves, and that a build goes on without what was ignored."""

from __future__ import annotations

import pytest

from esp3c.check.ignores import apply_ignores, firm
from esp3c.diagnostics import Severity
from esp3c.emit.files import Layout
from esp3c.emit.recipe import emit
from esp3c.pipeline import codes, compile
from esp3c.source import Source, Span
from support.fixtures import WORLD, bad_fixtures, compile_text

HEAD = "recipe digits { system = espnet3.systems.asr.system.ASRSystem }\n"
TAIL = "\nstages {}\n"
KEY = "training { my_key = 1 }"
LAYOUT = Layout("recipe.esp", ".")


def found(body: str) -> list[str]:
    result = compile_text(HEAD + body + TAIL)
    return [each.code.id for each in result.diagnostics]


@pytest.mark.parametrize(
    "body",
    [
        f"{KEY}  # esp: ignore[ESP0301]",
        f"{KEY} #esp:ignore[esp0301,]",
        f"{KEY}  # ESP: Ignore [ ESP0301 ] our own callback reads it",
        f"{KEY}  # a word before  # esp: ignore[ESP0301]",
        f"{KEY}  ### esp: ignore[ESP0301]",
        f"# esp: ignore[ESP0301]\n{KEY}",
        f"  # esp: ignore[ESP0301]\n# and a word on why\n{KEY}",
        f"{KEY}  # esp: ignore[ESP0301]\r",
    ],
)
def test_an_ignore_takes_out_what_its_line_has(body: str) -> None:
    assert found(KEY) == ["ESP0301"]
    assert found(body) == []


@pytest.mark.parametrize(
    "body",
    [
        f"{KEY}\n# esp: ignore[ESP0301]",
        f"# esp: ignore[ESP0301]\n\n{KEY}",
        f"let a = 1  # esp: ignore[ESP0301]\n{KEY}",
        f"{KEY}  # esp: ignore[ESP0302]",
    ],
)
def test_an_ignore_not_there_at_all_takes_nothing_out_and_is_reported(body: str) -> None:
    assert sorted(set(found(body)) - {"ESP0205"}) == ["ESP0130", "ESP0301"]


@pytest.mark.parametrize(
    "comment",
    [
        "# esp:ignoring is no directive",
        "# see esp: ignore",
        '# write "# esp: ignore[ESP0301]"',
        "# esp: about this",
        "# resp: ignore",
    ],
)
def test_other_comments_are_left_in_peace(comment: str) -> None:
    assert found(f"training {{}}  {comment}") == []


def test_text_is_no_comment() -> None:
    assert found('training { exp_tag = "# esp: ignore[ESP0301]" }') == []


@pytest.mark.parametrize("listed", ["", "[]", "[ , ]", "[ESP0301", "(ESP0301)"])
def test_an_ignore_without_a_list_ignores_nothing(listed: str) -> None:
    assert found(f"{KEY}  # esp: ignore{listed}") == ["ESP0301", "ESP0130"]


def test_syntax_errors_and_what_cannot_be_written_stay() -> None:
    assert (
        found("let a = 3  # esp: ignore[ESP0205, ESP0107]\nlet b = [1 2]  # esp: ignore[ESP0107]").count("ESP0107") == 1
    )
    assert "ESP0201" in found("training { exp_tag = nothing }  # esp: ignore[ESP0201]")
    assert firm("ESP0130"), "an ignore of the message about ignores would hide itself"


def test_a_path_that_is_not_installed_here_can_be_ignored_and_a_lone_word_cannot() -> None:
    assert found("training { model = not_there_at_all.Model() }  # esp: ignore[ESP0202]") == []
    assert found("training { model = not_there_at_all() }  # esp: ignore[ESP0202]") == ["ESP0202"]


def test_a_recipe_whose_errors_may_all_be_ignored_can_be_written() -> None:
    """The promise behind `firm`: whatever may be ignored leaves a recipe from which files come."""
    tried: set[str] = set()
    for path in bad_fixtures():
        result = compile_text(path.read_text(encoding="utf-8"))
        errors = [each for each in result.diagnostics if each.severity is Severity.ERROR]
        lone = any(each.code.id == "ESP0202" and "." not in each.primary.span.text for each in errors)
        if not lone and not any(firm(each.code.id) for each in errors):
            assert any(file.path == "run.py" for file in emit(result.recipe, LAYOUT)), path.name
            tried |= {each.code.id for each in errors}

    known = {id for id, code in codes().items() if code.severity is Severity.ERROR and not firm(id)}
    assert len(tried) > len(known) // 2, sorted(known - tried)


def test_an_ignored_error_does_not_stop_a_build() -> None:
    text = HEAD + "training {\n  seed = true  # esp: ignore[ESP0302]\n}" + TAIL

    result = compile(Source("recipe.esp", text), WORLD, (), LAYOUT)

    assert result.ok and [each.code.id for each in result.ignored] == ["ESP0302"]
    (config,) = (file.text for file in result.files if file.path == "conf/training.yaml")
    assert "seed: true" in config


def test_nothing_is_said_of_a_useless_ignore_where_it_cannot_be_known() -> None:
    useless = "training {}  # esp: ignore[ESP0301]"
    assert found(useless) == ["ESP0130"]
    assert found(useless + "\nlet a = [1 2]") == ["ESP0107"]
    override = Source("--set training.seed=3", "new training.seed=3")
    assert compile(Source("recipe.esp", HEAD + useless + TAIL), WORLD, [override]).diagnostics == ()
    source = Source("recipe.esp", useless)
    assert apply_ignores(source, [], codes, doubtful=[Span(source, 3, 4)]).kept == ()


def test_an_override_cannot_be_ignored() -> None:
    text = HEAD + "training { seed = 1 }  # esp: ignore[ESP0302]" + TAIL

    result = compile(Source("recipe.esp", text), WORLD, [Source("--set x", "training.seed=true")])

    assert [each.code.id for each in result.diagnostics] == ["ESP0302"]


@pytest.mark.parametrize(
    "before, after",
    [
        ("training {}  # esp: ignore[ESP0301]", "training {}"),
        ("# esp: ignore[ESP0301]\ntraining {}", "training {}"),
        (f"{KEY}  # esp: ignore[ESP0302, ESP0301]", f"{KEY}  # esp: ignore[ESP0301]"),
        (f"{KEY}  # esp: ignore[ESP0301, ESP0302]", f"{KEY}  # esp: ignore[ESP0301]"),
        (f"{KEY}  # esp: ignore[ESP0301 , ESP0302]", f"{KEY}  # esp: ignore[ESP0301 ]"),
        ("training {}  # esp: ignore[ESP0301] for the paper", None),
        ("training {}  # for the paper # esp: ignore[ESP0301]", None),
    ],
)
def test_the_fix_takes_the_ignore_out_and_nothing_else(before: str, after: str | None) -> None:
    text = HEAD + before + TAIL
    (diagnostic,) = compile_text(text).diagnostics

    if after is None:
        assert diagnostic.fix is None
    else:
        assert diagnostic.fix is not None
        ((span, put),) = ((edit.span, edit.text) for edit in diagnostic.fix.edits)
        assert text[: span.start] + put + text[span.end :] == HEAD + after + TAIL


def test_a_hundred_thousand_ignores_take_no_square_of_time() -> None:
    text = HEAD + "# esp: ignore[ESP0301]\n" * 50_000 + "# esp: ignore[ESP9999]\n" * 50_000 + "stages {}"

    result = compile_text(text)

    assert {each.code.id for each in result.diagnostics} == {"ESP0130"}
