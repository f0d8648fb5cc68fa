"""Diagnostics as text: what exactly is drawn, in which columns, and what never reaches a terminal."""

from __future__ import annotations

import re
import time
from textwrap import dedent

import pytest

from esp3c.diagnostics import Code, Diagnostic, Label, Severity
from esp3c.pipeline import compile
from esp3c.render.text import TextRenderer, summary
from esp3c.source import Source, Span
from support.fixtures import WORLD, check_text

ERROR = Code("ESP0101", "title", Severity.ERROR, "page")
WARNING = Code("ESP0205", "title", Severity.WARNING, "page")


def span_of(source: Source, words: str, start: int = 0) -> Span:
    at = source.text.index(words, start)
    return Span(source, at, at + len(words))


def drawn(primary: Label, *secondary: Label, help: tuple[str, ...] = (), code: Code = ERROR) -> str:
    return TextRenderer().one(Diagnostic(code, "message", primary, secondary, help))


def expected(drawing: str) -> str:
    return dedent(drawing).lstrip("\n")


def test_one_label_on_one_line() -> None:
    source = Source("recipe.esp", "recipe a {}\ntrainer { max_epoch = 12 }\n")

    shown = drawn(Label(span_of(source, "max_epoch"), "did you mean `max_epochs`?"), help=("one", "two"))

    assert shown == expected("""
        error[ESP0101]: message
         --> recipe.esp:2:11
          |
        2 | trainer { max_epoch = 12 }
          |           ^^^^^^^^^ did you mean `max_epochs`?
          |
          = help: one
          = help: two
        """)


def test_a_label_without_text_underlines_only_and_the_severity_is_said() -> None:
    source = Source("recipe.esp", "abc def\n")

    assert drawn(Label(span_of(source, "def")), code=WARNING) == expected("""
        warning[ESP0205]: message
         --> recipe.esp:1:5
          |
        1 | abc def
          |     ^^^
        """)


def test_a_tab_takes_the_columns_up_to_the_next_stop() -> None:
    source = Source("recipe.esp", "\ta\tvalue = 1\n")

    assert drawn(Label(span_of(source, "value"), "here")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:4
          |
        1 |     a   value = 1
          |         ^^^^^ here
        """)


def test_a_wide_character_takes_two_columns() -> None:
    source = Source("recipe.esp", 'name = "音声認識" x\n')

    assert drawn(Label(span_of(source, '"音声認識"'), "text"), Label(span_of(source, "x"), "that")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:8
          |
        1 | name = "音声認識" x
          |        ^^^^^^^^^^ - that
          |        |
          |        text
        """)


def test_a_combining_character_takes_no_column() -> None:
    source = Source("recipe.esp", 'a = "e\u0301e\u0301" x\n')

    assert drawn(Label(span_of(source, "x"), "here")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:12
          |
        1 | a = "e\u0301e\u0301" x
          |          ^ here
        """)


def test_an_emoji_takes_two_columns() -> None:
    source = Source("recipe.esp", 'a = "😀" x\n')

    assert drawn(Label(span_of(source, "x"), "here")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:9
          |
        1 | a = "😀" x
          |          ^ here
        """)


def test_the_line_ends_of_windows_are_not_drawn() -> None:
    source = Source("recipe.esp", "first\r\nsecond one\r\nthird\r\n")

    assert drawn(Label(span_of(source, "second"), "here"), Label(span_of(source, "third"), "there")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:2:1
          |
        2 | second one
          | ^^^^^^ here
        3 | third
          | ----- there
        """)


def test_several_labels_on_a_line_stand_under_each_other() -> None:
    source = Source("recipe.esp", "aa bb cc dd\n")

    shown = drawn(
        Label(span_of(source, "bb"), "the second"),
        Label(span_of(source, "aa"), "the first"),
        Label(span_of(source, "dd"), "the last"),
        Label(span_of(source, "cc")),
    )

    assert shown == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:4
          |
        1 | aa bb cc dd
          | -- ^^ -- -- the last
          | |  |
          | |  the second
          | |
          | the first
        """)


def test_lines_between_labels_are_left_out() -> None:
    source = Source("recipe.esp", "".join(f"line{number:02}\n" for number in range(1, 13)))

    shown = drawn(
        Label(span_of(source, "line12"), "here"),
        Label(span_of(source, "line02"), "and here"),
        Label(span_of(source, "line04"), "one line between"),
    )

    assert shown == expected("""
        error[ESP0101]: message
          --> recipe.esp:12:1
           |
         2 | line02
           | ------ and here
         3 | line03
         4 | line04
           | ------ one line between
        ...
        12 | line12
           | ^^^^^^ here
        """)


def test_a_span_over_lines_has_a_rail() -> None:
    source = Source("recipe.esp", "before\na = [\n  1,\n  2,\n  3,\n]\nafter\n")

    shown = drawn(
        Label(span_of(source, "[\n  1,\n  2,\n  3,\n]"), "this list"), Label(span_of(source, "after"), "then")
    )

    assert shown == expected("""
        error[ESP0101]: message
         --> recipe.esp:2:5
          |
        2 | / a = [
        ...
        6 | | ]
          | |_^ this list
        7 |   after
          |   ----- then
        """)


def test_a_label_in_another_source_has_an_arrow_of_its_own() -> None:
    recipe = Source("recipe.esp", "model = src.model.Model(widht = 3)\n")
    python = Source("src/model.py", "import torch\n\n\nclass Model:\n    def __init__(self, width):\n        ...\n")

    shown = drawn(Label(span_of(recipe, "widht"), "no such argument"), Label(span_of(python, "width"), "it has this"))

    assert shown == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:25
          |
        1 | model = src.model.Model(widht = 3)
          |                         ^^^^^ no such argument
         ::: src/model.py:5:24
          |
        5 |     def __init__(self, width):
          |                        ----- it has this
        """)


def test_a_set_argument_is_a_source_like_a_file() -> None:
    recipe = (
        "recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining { trainer { max_epochs = 3 } }\nstages {}"
    )
    override = "training.trainer.max_epoch=5"
    result = compile(Source("recipe.esp", recipe), WORLD, [Source(f"--set {override}", override)])

    assert TextRenderer().render(result.diagnostics) == expected("""
        error[ESP0209]: `training.trainer` has no `max_epoch` to override
         --> --set training.trainer.max_epoch=5:1:18
          |
        1 | training.trainer.max_epoch=5
          |                  ^^^^^^^^^ did you mean `max_epochs`?
          |
          = fix: write `max_epochs`

        """)


def test_an_empty_span_at_the_end_of_the_file_has_one_caret() -> None:
    source = Source("recipe.esp", "recipe")

    assert drawn(Label(Span(source, 6, 6), "a name")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:7
          |
        1 | recipe
          |       ^ a name
        """)


@pytest.mark.parametrize(
    "text, line",
    [("", 1), ("\n", 2), ("recipe a {}\n", 2), ("a\r\nb", 2)],
    ids=["empty", "only a line end", "behind the last line", "windows"],
)
def test_the_end_of_any_file_can_be_drawn(text: str, line: int) -> None:
    source = Source("recipe.esp", text)
    shown = drawn(Label(Span(source, len(text), len(text)), "here"))

    assert f"--> recipe.esp:{line}:" in shown
    assert shown.endswith("^ here\n")


def test_of_a_very_long_line_the_beginning_is_shown() -> None:
    source = Source("recipe.esp", "key = " + "x" * 1000 + "\n")

    assert drawn(Label(span_of(source, "key"), "here")) == expected(f"""
        error[ESP0101]: message
         --> recipe.esp:1:1
          |
        1 | key = {"x" * 154} …
          | ^^^ here
        """)


def test_of_a_very_long_line_the_part_around_the_label_is_shown() -> None:
    source = Source("recipe.esp", "a" * 400 + " here " + "b" * 400 + "\n")

    assert drawn(Label(span_of(source, "here"), "this")) == expected(f"""
        error[ESP0101]: message
         --> recipe.esp:1:402
          |
        1 | … {"a" * 39} here {"b" * 115} …
          | {" " * 42}^^^^ this
        """)


def test_a_cut_through_wide_characters_keeps_the_columns() -> None:
    source = Source("recipe.esp", "音" * 200 + "x" + "声" * 200 + "\n")

    for_the_odd = drawn(Label(span_of(source, "x"), "this"))
    behind = drawn(Label(Span(source, 203, 204), "that"))

    assert for_the_odd.splitlines()[3:] == ["1 | … " + "音" * 20 + "x" + "声" * 59 + " …", "  | " + " " * 42 + "^ this"]
    assert behind.splitlines()[3:] == ["1 | …  " + "音" * 17 + "x" + "声" * 62 + " …", "  | " + " " * 42 + "^^ that"]


def test_a_span_longer_than_what_is_shown_ends_with_it() -> None:
    source = Source("recipe.esp", "x" * 5000)

    lines = drawn(Label(Span(source, 10, 4000), "all this")).splitlines()

    assert lines[3] == "1 | " + "x" * 160 + " …"
    assert lines[4] == "  | " + " " * 10 + "^" * 150 + " all this"


def test_a_line_of_ten_million_characters_is_drawn_at_once() -> None:
    source = Source("recipe.esp", "a" * 5_000_000 + " here " + "b" * 5_000_000)
    begun = time.perf_counter()

    lines = drawn(Label(span_of(source, "here"), "this"), Label(span_of(source, "aaa"), "that")).splitlines()
    alone = drawn(Label(span_of(source, "here"), "this")).splitlines()

    assert time.perf_counter() - begun < 2
    assert lines[3] == "1 | " + "a" * 160 + " …"
    assert alone[3] == "1 | … " + "a" * 39 + " here " + "b" * 115 + " …"
    assert alone[4] == "  | " + " " * 42 + "^^^^ this"


# -- what a terminal would obey ---------------------------------------------------------------------------------------

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")

NASTY = {
    "escape": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "c1": "\x9b31m",
    "return": "over\rwritten",
    "backspace": "\x08\x08\x08",
    "bidi": "\u202etxt.exe\u2066",
    "separator": "\u2028new line",
}


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize(
    "recipe",
    [
        'recipe r {{ system = espnet3.systems.asr.system.ASRSystem }}\ntraining {{ "{0}" = 1 }}\nstages {{}}\n',
        'training {{ scheduler_interval = "{0}" }}\n',
        "training {{ {0} = 1 }}\n",
        "recipe {0} {{ }}\n",
        'config c {{ a = "${{{0}}}"  b = "${{{0}:x}}" }}\n',
        'config c {{ a = "{0} }}\n',
        "config c {{ a = '{0}' }}\n",
        "config c {{ a = 12{0} }}\n",
        "# {0}\nconfig c {{ a = [1 2] }} # {0}\n",
    ],
)
def test_control_characters_of_a_recipe_never_reach_the_terminal(recipe: str, nasty: str) -> None:
    found = check_text(recipe.format(nasty))
    assert found

    assert not CONTROL.search(TextRenderer().render(found))
    colored = TextRenderer(color=True).render(found)
    assert not CONTROL.search(re.sub(r"\x1b\[[\d;]*m", "", colored))
    assert set(re.findall(r"\x1b\[[\d;]*m", colored)) <= {
        "\x1b[1;31m",
        "\x1b[1;33m",
        "\x1b[1;34m",
        "\x1b[1m",
        "\x1b[0m",
    }


def test_control_characters_in_the_name_of_a_file_never_reach_the_terminal() -> None:
    result = compile(Source("re\x1b[2Jcipe.esp", "x"), WORLD, [Source("--set a\x1b[2J=1", "a\x1b[2J=1")])

    assert not CONTROL.search(TextRenderer().render(result.diagnostics))


def test_a_control_character_takes_one_column() -> None:
    source = Source("recipe.esp", 'a = "\x1b[31m\u202e" x\n')

    assert drawn(Label(span_of(source, "x"), "here")) == expected("""
        error[ESP0101]: message
         --> recipe.esp:1:14
          |
        1 | a = "\ufffd[31m\ufffd" x
          |              ^ here
        """)


# -- colour -----------------------------------------------------------------------------------------------------------


def test_colour_only_where_it_is_asked_for_and_nothing_else_changes() -> None:
    found = check_text("training { trainer { max_epoch = 1  max_epoch = 2 } }\nlet a = 3\n")
    plain, colored = TextRenderer().render(found), TextRenderer(color=True).render(found)

    assert "\x1b" not in plain
    assert "\x1b[1;31merror[ESP0301]\x1b[0m" in colored
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain


def test_no_line_ends_in_white_space() -> None:
    found = check_text("training {   \n\n  trainer { max_epoch = 1 }   \n")

    assert all(line == line.rstrip() for line in TextRenderer().render(found).split("\n"))


@pytest.mark.parametrize(
    "recipe, counted",
    [
        ("recipe r { system = espnet3.systems.asr.system.ASRSystem }\nstages {}", ""),
        ("recipe r { system = espnet3.systems.asr.system.ASRSystem }\nlet a = 1\nstages {}", "1 warning"),
        ("let a = 1\nlet a = 2\n", "2 errors, 1 warning"),
        ("a a", "1 error"),
    ],
)
def test_the_summary_counts(recipe: str, counted: str) -> None:
    assert summary(check_text(recipe)) == counted
