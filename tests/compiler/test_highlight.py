"""The Pygments lexer: held against the compiler's own reading of recipes, against any text, and where it is used."""

from __future__ import annotations

import argparse
import ast
import inspect
import io
import os
import pty
import re
import subprocess
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, get_lexer_by_name, guess_lexer
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
    _TokenType,
)

import esp3c
from esp3c.highlight import EspLexer
from esp3c.highlight.terminal import MOST, Colors, painted, painted_page
from esp3c.pipeline import codes, compile
from esp3c.render.text import TextRenderer
from esp3c.source import Source
from support.fixtures import FIXTURES, WORLD
from support.token_roles import disguised, roles

ROOT = Path(__file__).parents[2]
CORRECT = [
    path.read_text(encoding="utf-8")
    for path in (
        *sorted((FIXTURES / "ok").glob("*.esp")),
        *sorted((FIXTURES / "format").glob("*.esp")),
        *sorted((ROOT / "recipes").glob("*/recipe.esp")),
        Path(esp3c.__file__).parent / "templates" / "tones" / "recipe.esp",
    )
]
WHOLE = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")
SGR = re.compile(r"\x1b\[[\d;]*m")

KINDS: dict[str, tuple[_TokenType, ...]] = {
    "declaration": (Keyword.Declaration,),
    "keyword": (Keyword,),
    "true or null": (Keyword.Constant,),
    "key": (Name.Attribute, Name.Builtin.Pseudo),
    "argument": (Name.Variable,),
    "path": (Name, Name.Namespace, Name.Class, Name.Function, Name.Builtin),
    "type": (Keyword.Type, Name, Name.Variable),
    "stage": (Name.Function, Name.Builtin),
    "class": (Name.Class,),
    "constant": (Name.Constant,),
    "number": (Number.Integer, Number.Float),
    "text": (String.Double,),
}
"""The kinds of a token that a word of a role may have."""


def tokens(text: str) -> list[tuple[int, _TokenType, str]]:
    found: list[tuple[int, _TokenType, str]] = list(EspLexer().get_tokens_unprocessed(text))
    return found


def kinds(text: str) -> list[tuple[_TokenType, str]]:
    return [(kind, value) for _, kind, value in tokens(text) if value and kind not in (Whitespace, Punctuation)]


def holds_together(text: str) -> None:
    at = 0
    for start, kind, value in tokens(text):
        assert start == at
        assert kind is not Error
        at += len(value)
    assert "".join(value for _, _, value in tokens(text)) == text


# -- what each word is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", CORRECT)
def test_every_word_is_what_the_parser_takes_it_for(text: str) -> None:
    agrees(text)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CORRECT), st.integers(0, 2**32))
def test_layout_and_names_that_are_words_of_the_language_mislead_nobody(text: str, seed: int) -> None:
    agrees(disguised(text, Random(seed)))


def agrees(text: str) -> None:
    holds_together(text)
    known = roles(text)
    assert known
    found = {start: (kind, value) for start, kind, value in tokens(text) if value}
    for at, word, role in known:
        kind, value = found[at]
        assert kind in KINDS[role], (word, role, kind, text[max(0, at - 40) : at + 40])
        assert value == word or role in {"text", "number"}


def test_words_of_each_kind() -> None:
    assert kinds("parallel gpu = slurm(mem = 32GB)  # esp: ignore[ESP0802] later") == [
        (Keyword.Declaration, "parallel"),
        (Name.Constant, "gpu"),
        (Operator, "="),
        (Name.Builtin, "slurm"),
        (Name.Variable, "mem"),
        (Operator, "="),
        (Number.Integer, "32"),
        (Keyword.Type, "GB"),
        (Comment.Special, "# esp: ignore[ESP0802]"),
        (Comment.Single, " later"),
    ]
    assert kinds("training { model { _target_ = src.Model } norm = partial torch.nn.LayerNorm() }")[1:] == [
        (Name.Attribute, "model"),
        (Name.Builtin.Pseudo, "_target_"),
        (Operator, "="),
        (Name.Namespace, "src"),
        (Name.Class, "Model"),
        (Name.Attribute, "norm"),
        (Operator, "="),
        (Keyword, "partial"),
        (Name.Namespace, "torch"),
        (Name.Namespace, "nn"),
        (Name.Class, "LayerNorm"),
    ]
    assert kinds("stages { train  own runs src.stages.own }") == [
        (Keyword.Declaration, "stages"),
        (Name.Builtin, "train"),
        (Name.Function, "own"),
        (Keyword, "runs"),
        (Name.Namespace, "src"),
        (Name.Namespace, "stages"),
        (Name.Function, "own"),
    ]
    assert kinds("dataset d { sample { mel?: float32[frames, 80] } }")[3:] == [
        (Name.Attribute, "mel"),
        (Operator, "?"),
        (Keyword.Type, "float32"),
        (Name.Variable, "frames"),
        (Number.Integer, "80"),
    ]


def test_parts_of_text() -> None:
    # The quotes are tokens of their own.
    assert kinds(r'a = "${exp_dir}/${oc.env:HOME}\n \u{1F600} $${x} $5"')[2:] == [
        (String.Double, '"'),
        (String.Interpol, "${"),
        (Name.Variable, "exp_dir"),
        (String.Interpol, "}"),
        (String.Double, "/"),
        (String.Interpol, "${"),
        (Name.Function, "oc.env"),
        (String.Double, "HOME"),
        (String.Interpol, "}"),
        (String.Escape, r"\n"),
        (String.Double, " "),
        (String.Escape, r"\u{1F600}"),
        (String.Double, " "),
        (String.Escape, "$${"),
        (String.Double, "x} "),
        (String.Double, "$"),
        (String.Double, "5"),
        (String.Double, '"'),
    ]
    assert kinds('a = """\n "b" ${c}\n"""\nd = 1')[-3:] == [
        (Name.Attribute, "d"),
        (Operator, "="),
        (Number.Integer, "1"),
    ]


@pytest.mark.parametrize(
    "before",
    [
        'training { a = "b',
        'training { a = "${b',
        "training { a = [1, 2",
        "training { a = f(b = [{ c = 1",
        "training { dataset { train {",
        "training { a = 'b",
        "stages { train on",
    ],
)
def test_what_is_not_closed_costs_no_more_than_its_declaration(before: str) -> None:
    behind = "\nconfig b extends c { d = 1 }" if "stages" not in before else "\n}\nconfig b extends c { d = 1 }"

    assert kinds(before + behind)[-7:] == [
        (Keyword.Declaration, "config"),
        (Name.Class, "b"),
        (Keyword, "extends"),
        (Name.Class, "c"),
        (Name.Attribute, "d"),
        (Operator, "="),
        (Number.Integer, "1"),
    ]


def test_a_part_of_a_recipe_is_read_like_the_inside_of_a_block() -> None:
    assert [
        value
        for kind, value in kinds("dataset { train = [digits()] }\ntrainer.max_epochs = 3")
        if kind is Name.Attribute
    ] == [
        "dataset",
        "train",
        "trainer",
        "max_epochs",
    ]


# -- any text ---------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.text()
    | st.text(alphabet="{}[]()=,:.?\"'\\$#\n\r\t _-0a9é音😀\x00\ufeff²")
    | st.lists(st.sampled_from(CORRECT)).map("".join),
    st.integers(0, 400),
    st.integers(0, 400),
)
@example('"${{${"', 0, 0)
@example('recipe\nr{a=[(}}])"""', 0, 0)
@example("config a {\nlet b = 1", 0, 0)
def test_no_character_is_lost_and_nothing_is_an_error(text: str, cut: int, at: int) -> None:
    holds_together(text[:at] + text[at + cut :])


@pytest.mark.parametrize(
    "piece",
    [
        "[", "(", "{", "}", '"', '"""', "'", "${", '"${', '"${{', "a.", "a . ", "# c\n", "#", " ", "\n", "new ", "a = ", "a\n",
        "let a = ", "recipe ", "recipe r {\n", "a = [\n", "1.", "\\", '"\\', "_target_", "partial ", "stages { a on ", "# esp: a[",
        "a # c\n. ",
    ],
)  # fmt: skip
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    begun = 'let a = [b\n, "c"'

    def seconds(count: int) -> float:
        text = begun + piece * count
        start = time.process_time()
        assert sum(len(value) for _, _, value in tokens(text)) == len(text)
        return time.process_time() - start

    # Eight times the text: eight times as long, or 64 times if a token cost as much as all before it.
    assert min(seconds(4000), seconds(4000)) < 25 * seconds(500) + 0.02


def test_it_is_as_fast_as_the_lexer_of_python() -> None:
    recipes = "".join(CORRECT) * 2
    python = "".join(map(inspect.getsource, (argparse, typing, ast)))[: len(recipes)]

    def speed(lexer: typing.Any, text: str) -> float:
        list(lexer.get_tokens_unprocessed(text[:2000]))
        start = time.process_time()
        assert sum(1 for _ in lexer.get_tokens_unprocessed(text))
        return len(text) / (time.process_time() - start)

    # Twice to three times as fast where nothing else runs.
    assert max(speed(EspLexer(), recipes) for _ in range(3)) > 0.7 * speed(PythonLexer(), python)


# -- where it is used -------------------------------------------------------------------------------------------------


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lexer as Pygments finds it: by an entry point of an installed distribution."""
    info = tmp_path / "recipes_of_esp-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: recipes-of-esp\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[pygments.lexers]\nesp = esp3c.highlight:EspLexer\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("alias", ["esp", "esp3c"])
def test_pygments_finds_it_by_its_names(alias: str) -> None:
    lexer = get_lexer_by_name(alias)
    html = highlight(WHOLE, lexer, HtmlFormatter())

    assert isinstance(lexer, EspLexer)
    assert '<span class="kd">recipe</span>' in html
    assert '<span class="si">${</span>' in html
    assert 'class="err"' not in html


@pytest.mark.usefixtures("registered")
def test_rich_colours_a_recipe() -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=140).print(Syntax(WHOLE, "esp"))
    assert Syntax.guess_lexer("recipe.esp") == "esp"
    line = next(line for line in out.getvalue().splitlines() if "system" in line)

    assert len(SGR.findall(line)) > 4
    assert SGR.sub("", line).rstrip() == "  system  = src.system.DigitsSystem"


@pytest.mark.usefixtures("registered")
def test_a_text_is_guessed_to_be_a_recipe() -> None:
    assert isinstance(guess_lexer(WHOLE), EspLexer)
    assert EspLexer.analyse_text("# recipe for a cake\nstages = 3\n") == 0


@pytest.mark.parametrize("text", ["", WHOLE, 'a = "b\nc"', "\n\n# c"])
def test_colours_of_a_terminal_change_no_character(text: str) -> None:
    colored = painted(text)

    assert SGR.sub("", colored) == text
    # None is still on where a line ends.
    assert all(line.count("\x1b[0m") * 2 == len(SGR.findall(line)) for line in colored.split("\n"))


def test_the_colours_of_a_place_are_those_of_the_whole() -> None:
    everything = Colors(WHOLE).between(0, len(WHOLE))
    colors = Colors(WHOLE)

    for start in range(0, len(WHOLE), 37):
        assert colors.between(start, start + 50) == [
            run for run in everything if run[0] < start + 50 and run[1] > start
        ]
    assert Colors("# c\n" * MOST).between(MOST + 10, MOST + 20) == []


def test_examples_of_a_page_are_coloured_and_its_python_is_not() -> None:
    pages = {code.id: code.page for code in codes().values()}

    assert "    \x1b[36mtrainer\x1b[0m {" in painted_page(pages["ESP0301"])
    assert "\x1b" not in painted_page(pages["ESP0611"])
    for page in pages.values():
        assert SGR.sub("", painted_page(page)) == page


# -- diagnostics ------------------------------------------------------------------------------------------------------


def drawn(text: str, colors: Callable[[Source], Colors | None] | None) -> str:
    result = compile(Source("recipe.esp", text), WORLD)
    return TextRenderer(color=True, colors=colors).render(result.diagnostics)


def test_the_marked_place_has_the_colour_of_its_underline() -> None:
    text = 'training { trainer { max_epoch = 12  logger = "x" } }\n'
    shown = drawn(text, lambda source: Colors(source.text))

    assert "\x1b[36mtrainer\x1b[0m { \x1b[1;31mmax_epoch\x1b[0m = \x1b[33m12\x1b[0m" in shown
    assert "\x1b[1;31m^^^^^^^^^\x1b[0m" in shown


@pytest.mark.parametrize("path", sorted((FIXTURES / "bad").rglob("*.esp"))[::4], ids=lambda path: path.stem)
def test_a_coloured_diagnostic_says_the_same(path: Path) -> None:
    result = compile(Source("recipe.esp", path.read_text(encoding="utf-8")), WORLD)
    plain = TextRenderer().render(result.diagnostics)
    colored = TextRenderer(color=True, colors=lambda source: Colors(source.text)).render(result.diagnostics)

    assert [line.rstrip() for line in SGR.sub("", colored).split("\n")] == plain.split("\n")


def on_terminal(words: list[str], folder: Path, **environment: str) -> tuple[str, str]:
    """What a command prints on a terminal, and the modules that it imports."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-X", "importtime", "-m", "esp3c", *words]
    settings = {**os.environ, "TERM": "xterm", "ESP3C_NO_CACHE": "1", **environment}
    process = subprocess.Popen(
        command, cwd=folder, env=settings, stdin=subprocess.DEVNULL, stdout=follower, stderr=subprocess.PIPE, text=True
    )
    os.close(follower)
    out = b""
    while True:
        try:
            got = os.read(leader, 65536)
        except OSError:
            break
        if not got:
            break
        out += got
    imported = process.communicate()[1]
    os.close(leader)
    return out.decode().replace("\r\n", "\n"), imported


def test_only_a_mistake_on_a_terminal_with_colour_needs_pygments(tmp_path: Path) -> None:
    (tmp_path / "good.esp").write_text(
        "recipe r { system = espnet3.systems.asr.system.ASRSystem }\nstages {}\n", encoding="utf-8"
    )
    (tmp_path / "bad.esp").write_text("training { trainer { max_epoch = 1 } }\n", encoding="utf-8")

    colored, imported = on_terminal(["check", "bad.esp"], tmp_path)
    assert "\x1b[1;31mmax_epoch\x1b[0m = \x1b[33m1\x1b[0m" in colored
    assert "pygments.lexer" in imported

    fine, imported = on_terminal(["check", "good.esp"], tmp_path)
    assert "no problems found" in fine
    assert "esp3c.pipeline" in imported
    assert "pygments" not in imported

    plain, imported = on_terminal(["check", "bad.esp"], tmp_path, NO_COLOR="1")
    assert "max_epoch" in plain
    assert "\x1b" not in plain
    assert "pygments" not in imported


def test_explain_colours_recipes_on_a_terminal(tmp_path: Path) -> None:
    shown, _ = on_terminal(["explain", "ESP0301"], tmp_path)
    plain = subprocess.run(
        [sys.executable, "-m", "esp3c", "explain", "ESP0301"], capture_output=True, text=True, check=True
    ).stdout

    assert "\x1b[36mtrainer\x1b[0m" in shown
    assert SGR.sub("", shown) == plain
