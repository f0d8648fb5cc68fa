"""The one form as changes: of the whole, of some lines, and of what has just been typed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.format import format_text
from esp3c.query.fixes import applied
from esp3c.query.formatting import typed, whole, within
from esp3c.query.view import View, view
from esp3c.source import Source
from support.any_recipe import recipe, spaced
from support.fixtures import WORLD


def of(text: str) -> View:
    return view(Source("recipe.esp", text), WORLD)


@settings(max_examples=40, deadline=None)
@given(recipe, st.integers(0, 2**32))
def test_the_changes_of_the_whole_give_exactly_the_formatted_text(words: list[str], seed: int) -> None:
    text = spaced(words, random.Random(seed))
    here = of(text)
    formatted = format_text(here.source)

    assert applied(text, whole(here)) == (formatted if formatted is not None else text)


@settings(max_examples=25, deadline=None)
@given(recipe, st.integers(0, 2**32), st.data())
def test_the_changes_of_some_lines_leave_the_meaning_and_are_among_those_lines(
    words: list[str], seed: int, data: st.DataObject
) -> None:
    from esp3c.format.same import same

    text = spaced(words, random.Random(seed))
    here = of(text)
    start = data.draw(st.integers(0, len(text)))
    after = of(applied(text, within(here, start, data.draw(st.integers(start, len(text))))))

    assert bool(after.syntactic) == bool(here.syntactic)
    assert here.syntactic or same((here.source, here.file), (after.source, after.file))


def test_a_change_is_as_small_as_it_can_be() -> None:
    here = of('recipe a {\n  seed=3\n  exp_tag = "x"   # why\n}\n')

    assert [(each.span.text, each.text) for each in whole(here)] == [("=", "    = "), ("", " " * 39)]
    assert applied(here.source.text, whole(here)) == format_text(here.source)


def test_a_text_with_syntax_errors_is_left_as_it_is() -> None:
    assert whole(of("recipe   a { seed = }\n")) == ()


def test_only_the_lines_that_are_asked_for() -> None:
    text = "let a=1\n\n\nlet b=2\n\n\ntraining {\n seed=1\n}\n"
    line = text.index("let b")

    assert applied(text, within(of(text), line, line + 3)) == text.replace("let b=2", "let b = 2")
    assert applied(text, within(of(text), line, text.index("\n", line) + 1)) == text.replace("let b=2", "let b = 2")


def test_a_declaration_that_can_be_read_is_formatted_beside_one_that_cannot() -> None:
    text = "training {\n seed=1\n}\n\nmetrics { a = }\n"

    assert applied(text, within(of(text), 0, len(text))) == text.replace(" seed=1", "  seed = 1")


# -- while typing -------------------------------------------------------------------------------------------------------


def typing(marked: str, sign: str) -> str:
    """The text after what follows from the sign before `|`."""
    offset, text = marked.index("|"), marked.replace("|", "", 1)
    return applied(text, typed(of(text), offset, sign))


@pytest.mark.parametrize(
    "before, after",
    [
        ("training {\n|", "training {\n  "),
        ("training {\n      |\n}", "training {\n  \n}"),
        ("training {\n|seed = 1 }", "training {\n  seed = 1 }"),
        ("training {\n  |}", "training {\n}"),
        ("training {\n  trainer {\n  |\n", "training {\n  trainer {\n    \n"),
        ("training {\n  a = [b.c(\n|", "training {\n  a = [b.c(\n    "),
        ("training {\n  a = 1\n}\n  |", "training {\n  a = 1\n}\n"),
        ("training {\n\ttrainer {\n|", "training {\n\ttrainer {\n\t  "),
        ('let a = """\n   |x"""', 'let a = """\n   x"""'),
        ("let a =\n   |", "let a =\n   "),
        ("# {\n  |", "# {\n"),
        ("training {\r\n|\r\n}", "training {\r\n  \r\n}"),
    ],
)
def test_a_new_line_is_indented_by_the_bracket_that_it_is_in(before: str, after: str) -> None:
    assert typing(before, "\n") == after


@pytest.mark.parametrize(
    "before, after",
    [
        ("training {\n  trainer {\n    a = 1\n    }|\n", "training {\n  trainer {\n    a = 1\n  }\n"),
        ("training {\n  a = [\n    1\n    ]|\n", "training {\n  a = [\n    1\n  ]\n"),
        ("training {\n  a = [ 1]|\n}", "training {\n  a = [ 1]\n}"),
        ("training {\nseed=1\n  }|\n", "training {\n  seed = 1\n}\n"),
        ("metrics { b=1 }\n\ntraining {\nseed=1\n  }|  # end\n", None),
        ("let a = [ 1]|\nlet bcd = 2\n", "let a = [ 1]\nlet bcd = 2\n"),
        ("training {\nseed=\n  }|\n", "training {\nseed=\n}\n"),
        ("training {\nseed=1\n  }| let a = 1\n", "training {\nseed=1\n} let a = 1\n"),
        ('training {\n  a = "}|"\n}', 'training {\n  a = "}"\n}'),
        ("training {\n  # }|\n}", "training {\n  # }\n}"),
        ("training {\n  )|\n}", "training {\n  )\n}"),
        ("stages { train }|\nrecipe a {", "stages { train }\nrecipe a {"),
    ],
)  # fmt: skip
def test_a_closing_bracket_goes_below_its_line_and_finishes_a_declaration(before: str, after: str | None) -> None:
    sign = before[before.index("|") - 1]
    if after is None:
        after = "metrics { b=1 }\n\ntraining {\n  seed = 1\n}" + " " * 56 + "# end\n"

    assert typing(before, sign) == after


def test_a_declaration_that_an_ignore_above_is_about_is_not_formatted_alone() -> None:
    text = "# esp: ignore[ESP0301]\ntraining { b=1\nseed=1\n  }|\n"

    assert typing(text, "}") == text.replace("|", "").replace("  }", "}")
