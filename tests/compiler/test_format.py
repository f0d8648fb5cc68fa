"""The formatter: one form, the same meaning, every comment once and in its order, and nothing left to do after once."""

from __future__ import annotations

import random
import re
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import esp3c
from esp3c.emit.files import Layout
from esp3c.emit.recipe import emit
from esp3c.format import edits, format_source, format_text
from esp3c.format.covered import uncovered
from esp3c.format.same import meaning, same
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.syntax.comments import comments
from esp3c.syntax.parse import parse
from esp3c.syntax.tokens import tokenize
from support.any_recipe import recipe, spaced
from support.fixtures import FIXTURES, WORLD, bad_fixtures, matches_snapshot, ok_fixtures

ROOT = Path(__file__).parents[2]
FORMATS = sorted(path for path in (FIXTURES / "format").glob("*.esp") if not path.stem.endswith(".formatted"))
WRITTEN = [
    *sorted((ROOT / "recipes").glob("*/*.esp")),
    *sorted(Path(esp3c.__file__).parent.rglob("templates/**/*.esp")),
]
RECIPES = [path.read_text(encoding="utf-8") for path in (*ok_fixtures(), *WRITTEN, *FORMATS)]


def formatted(text: str) -> str:
    """Formats, and holds the result against what must always hold."""
    source = Source("recipe.esp", text)
    result = format_text(source)
    assert result is not None
    assert format_text(Source("recipe.esp", result)) == result, "formatting again changes it"
    assert noted(result) == noted(text)
    moved = any(word in text for word in ("_target_", "requires", "runs"))
    assert words(result, moved=moved) == words(text, moved=moved)
    assert not re.search(r"\n[ \t\r]*\n[ \t\r]*\n", without_long_texts(result)), "two empty lines"
    assert not re.search(r"[ \t]\n", without_long_texts(result)), "space at the end of a line"
    assert not result or (result.endswith("\n") and not result.endswith("\n\n") and not result.startswith("\n"))
    return result


def noted(text: str) -> list[str]:
    return [comment.text.rstrip() for comment in comments(Source("r", text))]


def without_long_texts(text: str) -> str:
    return re.sub(r'"""[\s\S]*?"""', '""', text)


def words(text: str, *, moved: bool) -> list[str]:
    """The words of a text, without what has two forms: commas, and `=` before a brace.

    `moved` is for texts with more than that, clauses in another order or the block form of a call. Their words are
    sorted: what is lost or made up is seen here, what is moved is seen by the tree.
    """
    tokens, _ = tokenize(Source("r", text))
    found = [str(token).replace("\r\n", "\n") for token in tokens if token.type != "COMMA"]
    found = [word for word, after in zip_longest(found, found[1:]) if (word, after) != ("=", "{")]
    if not moved:
        return found
    # Brackets and `=` of a call stand for the braces of its block.
    loose = [re.sub(r'^"(.*)"$', r"\1", word) for word in found if word not in set("{}()=.")]
    loose = [part for word in loose for part in word.split(".")]
    return sorted(word for word in loose if word not in {"_target_", "_partial_", "partial", "true", "false"})


def tree_of(text: str) -> object:
    file, wrong = parse(Source("r", text))
    assert wrong == []
    return meaning(file)


# -- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)
def test_example_is_formatted_as_its_snapshot(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")

    assert matches_snapshot(path.with_suffix(".formatted.esp"), formatted(text)), "run with UPDATE_SNAPSHOTS=1"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.parent.name)
def test_our_own_recipes_are_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert formatted(text) == text


@pytest.mark.parametrize("path", ok_fixtures(), ids=lambda path: path.stem)
def test_a_formatted_recipe_makes_the_same_files(path: Path) -> None:
    """Above all where the block form of a call becomes a call."""
    text = path.read_text(encoding="utf-8")

    def files(text: str) -> dict[str, str]:
        # Whatever the rules say of it: what is asked for is the meaning.
        recipe = compile(Source("recipe.esp", text), WORLD).recipe
        # The manifest says where in the recipe a value stands.
        return {
            file.path: file.text for file in emit(recipe, Layout("recipe.esp")) if not file.path.startswith(".esp3c/")
        }

    assert files(formatted(text)) == files(text)


@pytest.mark.parametrize(
    "before, after",
    [
        ("", ""),
        ("\n\n  \n", ""),
        ("# only this", "# only this\n"),
        ("\ufeff let  a=1", "let a = 1\n"),
        ("let a = 1 let b = 2", "let a = 1\nlet b = 2\n"),
        ("let a = [ ]", "let a = []\n"),
        ("let a = {\n\n}", "let a = { }\n"),
        ("let a = f(\n)", "let a = f()\n"),
        ("let a = {x=1,y=2,}", "let a = { x = 1  y = 2 }\n"),
        ("let a = {x={}}", "let a = { x { } }\n"),
        ("let a = [1,\n2]", "let a = [1, 2]\n"),
        ("let a = [x,\ny]", "let a = [x, y]\n"),
        ("let a = [\nx,y]", "let a = [\n  x,\n  y,\n]\n"),
        ("let a = [1_000,2e-3,16kHz,-1.50]", "let a = [1_000, 2e-3, 16kHz, -1.50]\n"),
        ('let a = "\\u{41}${ b }"', 'let a = "\\u{41}${ b }"\n'),
        ("let a = b . c\n (x\n=1)", "let a = b.c(x = 1)\n"),
        ("let a = partial b(1,)", "let a = partial b(1)\n"),
        ("let a = [{\nx = 1\n}]", "let a = [{\n  x = 1\n}]\n"),
        ("let a = [{\nx = 1\n}, 2]", "let a = [\n  {\n    x = 1\n  },\n  2,\n]\n"),
        ("let a = {_target_=b.C,x=1}", "let a = b.C(x = 1)\n"),
        ("let a = {x=1 _target_=\"b.C\" _partial_=true}", "let a = partial b.C(x = 1)\n"),
        ("let a = {_target_=b.C _partial_=false _convert_=\"all\"}", 'let a = b.C(_convert_ = "all")\n'),
        ("let a = {_target_=b.C _partial_=c}", "let a = { _target_ = b.C  _partial_ = c }\n"),
        ("let a = {_target_=b.C x=1 x=2}", "let a = { _target_ = b.C  x = 1  x = 2 }\n"),
        ("let a = {_target_=b.C x.y=1}", "let a = { _target_ = b.C  x.y = 1 }\n"),
        ("let a = {_target_=b.C new x=1}", "let a = { _target_ = b.C  new x = 1 }\n"),
        ("let a = {_target_=b.C true=1}", "let a = { _target_ = b.C  true = 1 }\n"),
        ("let a = {_target_=\"b-c\"}", 'let a = { _target_ = "b-c" }\n'),
        ("let a = {_target_=\"true\"}", 'let a = { _target_ = "true" }\n'),
        ("training{x{_target_=b.C y{z=1}}}", "training { x = b.C(y = { z = 1 }) }\n"),
        ("config a extends b{new c=1 new d{e=2}}", "config a extends b { new c = 1  new d { e = 2 } }\n"),
        ("stages{a on b runs c.d requires e,f g}", "stages { a requires e, f runs c.d on b  g }\n"),
        ("stages{a on b{c=1}}", "stages { a on b { c = 1 } }\n"),
        ("dataset d{sample{a?:int b:float32[x,80]}}", "dataset d { sample { a?: int  b: float32[x, 80] } }\n"),
    ],
)  # fmt: skip
def test_one_form(before: str, after: str) -> None:
    assert formatted(before) == after


@pytest.mark.parametrize(
    "before, after",
    [
        ("let # a\n x = 1 # b", "# a\nlet x = 1" + " " * 48 + "# b\n"),
        ("let x = f( # a\n)", "let x = f(" + " " * 47 + "# a\n)\n"),
        ("let x = f(y # a\n)", "let x = f(\n  y," + " " * 53 + "# a\n)\n"),
        ("let x = f(\ny\n# a\n\n\n# b\n)", "let x = f(\n  y,\n  # a\n\n  # b\n)\n"),
        ("let x = d(a # 1\n) # 2\n {}", "let x = d(\n  a," + " " * 53 + "# 1\n) {" + " " * 54 + "# 2\n}\n"),
        ("let x = d(a) # 2\n {}", "# 2\nlet x = d(a) { }\n"),
        ("let x = { _target_ = b.C # 1\n y = 1 }", "let x = b.C(" + " " * 45 + "# 1\n  y = 1,\n)\n"),
        (
            "let x = { # 0\n _target_ = b.C # 1\n y = 1 # 2\n}",
            "let x = b.C(" + " " * 45 + "# 0\n  # 1\n  y = 1," + " " * 49 + "# 2\n)\n",
        ),
        ("let x = [1, # a\n 2]", "let x = [\n  1," + " " * 53 + "# a\n  2,\n]\n"),
    ],
)
def test_a_comment_stays_beside_what_it_stood_beside(before: str, after: str) -> None:
    assert formatted(before) == after


def test_line_ends_are_those_of_the_first_line() -> None:
    long = 'let a = """\r\n  x\n  y\r\r\n"""'

    assert formatted(f"{long}\nlet b = 1") == 'let a = """\r\n  x\r\n  y\r\r\n"""\r\nlet b = 1\r\n'
    assert formatted(f"# c\n{long}\r\n") == '# c\nlet a = """\n  x\n  y\r\r\n"""\n'
    assert tree_of(formatted(long)) == tree_of(long)


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_syntax_errors_are_refused_and_nothing_else_is(path: Path) -> None:
    source = Source(path.name, path.read_bytes().decode("utf-8"))
    _, wrong = parse(source)

    result = format_source(source)

    assert (result.text is None) == bool(wrong)
    assert [each.message for each in result.diagnostics] == [each.message for each in wrong]


def test_lines_are_broken_where_they_get_too_long() -> None:
    for size in range(1, 130):
        text = formatted(f"training {{ model = a.B({'x' * size} = 1, y = [2, {'z' * 30}]) }}")
        assert max(map(len, text.split("\n"))) <= 120 or size > 110


def test_numbers_of_a_list_fill_their_lines() -> None:
    text = formatted(f"let a = [\n{', '.join(map(str, range(1000, 1060)))}\n]")

    assert text.count("\n") == 6
    assert max(map(len, text.split("\n"))) <= 120


def test_the_comparison_sees_what_differs() -> None:
    def parsed(text: str) -> tuple[Source, object]:
        source = Source("r", text)
        return source, parse(source)[0]

    base = "let a = { x = 1_0  y = f(z = b) } # c\n"
    for other in (
        base.replace("1_0", "10"),
        base.replace("= b", "= bb"),
        base.replace("z = b", "b"),
        base.replace("# c", "# d"),
        base.replace("# c", ""),
        base.replace("f(", "partial f("),
        base.replace("x = 1_0", "new x = 1_0"),
        base.replace("let", "parallel"),
    ):
        assert not same(parsed(base), parsed(other)), other  # type: ignore[arg-type]
    assert same(parsed(base), parsed(base.replace(" ", "\n", 1)))  # type: ignore[arg-type]


# -- ignores -----------------------------------------------------------------------------------------------------------

LONG = ", ".join(f"an_argument_that_is_long_{number} = {number}" for number in range(5))
IGNORED = {
    "a long line": (f"let a = x.Y({LONG})  # esp: ignore[ESP0402]\n", None),
    "a long line below": (f"# esp: ignore[ESP0402]\nlet a = x.Y({LONG})\n", None),
    "several on a line": (
        "training {\n  # esp: ignore[ESP0301]\n  a=3, b = 4\n  c = 5  d = 6\n}\n",
        "training {\n  # esp: ignore[ESP0301]\n  a = 3  b = 4\n  c = 5\n  d = 6\n}\n",
    ),
    "items of a list": (
        "let a = [\n  x,  y, # esp: ignore[ESP0201]\n  z, w]\n",
        f"let a = [\n{'  x, y,':57}# esp: ignore[ESP0201]\n  z,\n  w,\n]\n",
    ),
    "stages": (
        "stages { a  b requires c # esp: ignore[ESP0601]\n d }\n",
        f"stages {{\n{'  a  b requires c':57}# esp: ignore[ESP0601]\n  d\n}}\n",
    ),
    "behind the bracket around it": (
        "let b=1\nlet a = { c=3\n   d=4 } # esp: ignore[ESP0301]\n",
        f"let b = 1\n\nlet a = {{ c=3\n{'   d=4 }':57}# esp: ignore[ESP0301]\n",
    ),
    "another comment": ("let a = { c=3\n   d=4 } # none\n", f"let a = {{\n  c = 3\n  d = 4\n{'}':57}# none\n"),
}


@pytest.mark.parametrize("case", IGNORED)
def test_what_an_ignore_is_about_stays_on_its_line(case: str) -> None:
    text, expected = IGNORED[case]

    assert (expected or text) == formatted(text)


def test_an_ignore_is_about_the_same_wherever_it_stands() -> None:
    chance = random.Random(7)
    for text in RECIPES:
        lines = text.split("\n")
        for number in chance.sample(range(len(lines)), min(2, len(lines))):
            behind = [*lines[:number], f"{lines[number]}  # esp: ignore[ESP0301]", *lines[number + 1 :]]
            above = [
                *lines[:number],
                "# esp: ignore[ESP0301]",
                " ".join(lines[number : number + 2]),
                *lines[number + 2 :],
            ]
            for changed in (behind, above):
                source = Source("recipe.esp", "\n".join(changed))
                file, wrong = parse(source)
                if wrong:
                    continue
                again = Source("recipe.esp", formatted(source.text))
                assert uncovered((source, file), (again, parse(again)[0])) == frozenset(), source.text


# -- properties -------------------------------------------------------------------------------------------------------


def holds(text: str) -> None:
    # A line that ends with `=`, before one that looks like a setting, is read as a setting without a value.
    assume(not parse(Source("r", text))[1])
    result = formatted(text)
    assert tree_of(result) == tree_of(text)


@settings(max_examples=120, deadline=None)
@given(recipe, st.randoms(use_true_random=False))
def test_any_recipe_with_comments_anywhere(words: list[str], chance: random.Random) -> None:
    holds(spaced(words, chance))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RECIPES), st.randoms(use_true_random=False))
def test_our_recipes_with_comments_anywhere(text: str, chance: random.Random) -> None:
    tokens, _ = tokenize(Source("r", text))

    holds(spaced([text[token.start_pos : token.end_pos] for token in tokens], chance))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RECIPES), st.randoms(use_true_random=False))
def test_our_recipes_with_a_few_comments_and_line_ends(text: str, chance: random.Random) -> None:
    tokens, _ = tokenize(Source("r", text))
    for number, token in enumerate(sorted(chance.sample(tokens, 5), key=lambda token: -(token.start_pos or 0))):
        at = token.start_pos or 0
        text = text[:at] + chance.choice(["\n", " ", "\n\n", f"# {number}\n"]) + text[at:]

    holds(text)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RECIPES), st.randoms(use_true_random=False))
def test_the_edits_make_the_text(text: str, chance: random.Random) -> None:
    for _ in range(3):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice("\n ") + text[at:] if text[at] == " " else text
    assert edited(text) == format_text(Source("r", text))


def edited(text: str) -> str | None:
    changes = edits(Source("r", text))
    for edit in reversed(changes or ()):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return None if changes is None else text


@pytest.mark.parametrize(
    "text", ["", "\n", "let a = 1\n", "let a = 1", "\nlet a=1", "let a=1\n\n\n", "# a\n" * 9 + "let a=1\n" * 900]
)
def test_the_edits_of_any_text(text: str) -> None:
    assert edited(text) == format_text(Source("r", text))


def test_the_edits_touch_only_what_changes() -> None:
    source = Source("r", "let a = 1\n\nlet b=2\n\nlet c = 3\n\n\n\nlet d = 4\n")

    assert [(each.span.text, each.text) for each in edits(source) or ()] == [("let b=2\n", "let b = 2\n"), ("\n\n", "")]
    assert edits(Source("r", "let a = 1\n")) == ()
    assert edits(Source("r", "let a =")) is None


# -- comments ---------------------------------------------------------------------------------------------------------


def test_comments_are_what_the_lexer_leaves_out() -> None:
    text = 'a # 1\n"# no" # 2 "\n\'# no\' \' # 3\n"""# no\n# no""" # 4\r\n"\\" # no" "never closed # no\n# 5\n"""# no'

    assert noted(text) == ["# 1", '# 2 "', "# 3", "# 4", "# 5"]
    assert all("\r" not in span.text for span in comments(Source("r", text)))


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("#\"'\\\n\r ab{}=é")))
def test_no_word_overlaps_a_comment(text: str) -> None:
    source = Source("r", text)
    inside = {at for span in comments(source) for at in range(span.start, span.end)}
    tokens, _ = tokenize(source)

    for token in tokens:
        if token.type != "MISSING":
            assert inside.isdisjoint(range(token.start_pos or 0, token.end_pos or 0))
