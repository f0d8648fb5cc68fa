"""Literals: what numbers, quantities and strings mean, and what is wrong with those that mean nothing."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp3c.source import Source, Span
from esp3c.syntax.ast import Dimension, Interpolation
from esp3c.syntax.literals import UNITS, read_number, read_text


def number(text: str) -> tuple[int | float, Dimension | None, str | None]:
    meaning = read_number(Span(Source("recipe.esp", f"  {text} "), 2, 2 + len(text)))
    return meaning.value, meaning.dimension, meaning.problem.kind if meaning.problem else None


def text(token: str, *, long: bool = False) -> tuple[list[str], list[tuple[str, str]]]:
    """Parts (interpolations as `<name>`), and the kind and characters of each problem."""
    meaning = read_text(Span(Source("recipe.esp", f"  {token} "), 2, 2 + len(token)), long=long)
    parts = [part if isinstance(part, str) else f"<{part.expression}>" for part in meaning.parts]
    return parts, [(each.kind, each.span.text) for each in meaning.problems]


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written, value",
    [
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("-12", -12),
        ("007", 7),
        ("4_000_000", 4_000_000),
        ("1_2", 12),
        ("2.5", 2.5),
        ("1_000.000_1", 1000.0001),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("-1.5e+2", -150.0),
        ("1e400", 0),
        ("9" * 40, int("9" * 40)),
    ],
)
def test_numbers(written: str, value: float) -> None:
    found, dimension, problem = number(written)

    assert (found, dimension) == (value, None)
    assert type(found) is type(value)
    assert problem == ("too-large" if written == "1e400" else None)


@pytest.mark.parametrize("written", ["1_", "1__2", "1_.5", "1.5_", "1_e3", "12_kHz"])
def test_an_underscore_stands_between_digits(written: str) -> None:
    found, _, problem = number(written)

    assert problem in {"underscore", "unit"}
    assert found in {0, 1, 12}


def test_a_number_longer_than_any_setting_is_refused_and_costs_nothing() -> None:
    assert number("9" * 100_000) == (0, None, "too-large")


@pytest.mark.parametrize(
    "written, value, dimension",
    [
        ("250ms", 0.25, Dimension.DURATION),
        ("1000ms", 1, Dimension.DURATION),
        ("30s", 30, Dimension.DURATION),
        ("90min", 5400, Dimension.DURATION),
        ("1.5min", 90, Dimension.DURATION),
        ("4h", 14400, Dimension.DURATION),
        ("2d", 172800, Dimension.DURATION),
        ("0.1h", 360, Dimension.DURATION),
        ("1B", 1, Dimension.SIZE),
        ("512MB", 512_000_000, Dimension.SIZE),
        ("1.5GB", 1_500_000_000, Dimension.SIZE),
        ("16GiB", 16 * 2**30, Dimension.SIZE),
        ("0.5KiB", 512, Dimension.SIZE),
        ("16kHz", 16000, Dimension.FREQUENCY),
        ("44.1kHz", 44100, Dimension.FREQUENCY),
        ("22_050Hz", 22050, Dimension.FREQUENCY),
        ("1e3s", 1000, Dimension.DURATION),
        ("-1s", -1, Dimension.DURATION),
    ],
)
def test_quantities_are_in_the_base_unit_of_their_dimension(written: str, value: float, dimension: Dimension) -> None:
    found, of, problem = number(written)

    assert (found, of, problem) == (pytest.approx(value), dimension, None)
    assert isinstance(found, int) == (float(value).is_integer())


@pytest.mark.parametrize("written", ["4hours", "16khz", "32gb", "3e", "1x", "5Ms", "2é"])
def test_an_unknown_unit_is_shown_alone(written: str) -> None:
    source = Source("recipe.esp", written)
    meaning = read_number(Span(source, 0, len(written)))

    assert meaning.problem is not None
    assert (meaning.problem.kind, meaning.problem.span.text) == ("unit", written.lstrip("0123456789"))


@given(st.integers(-(10**38), 10**38))
def test_every_integer_means_itself(value: int) -> None:
    assert number(str(value)) == (value, None, None)
    assert number(f"{value:_}") == (value, None, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_means_itself(value: float) -> None:
    found, _, problem = number(repr(value))

    assert (found, problem) == (value, None)
    assert isinstance(found, float)


@given(st.integers(0, 10**9), st.sampled_from(sorted(UNITS)))
def test_every_unit_scales_exactly(value: int, unit: str) -> None:
    dimension, factor = UNITS[unit]
    found, of, problem = number(f"{value}{unit}")

    assert (of, problem) == (dimension, None)
    assert found == (value / 1000 if unit == "ms" else value * factor)


# -- strings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token, parts",
    [
        ('""', []),
        ('"a b"', ["a b"]),
        (r'"\n\t\r\\\""', ['\n\t\r\\"']),
        (r'"\u{e9}\u{1F600}\u{10ffff}"', ["é😀\U0010ffff"]),
        (r'"a\r\nb"', ["a\r\nb"]),
        ('"$ $$ a$b"', ["$ $$ a$b"]),
        ('"$${a}"', ["${a}"]),
        ('"$$${a}"', ["$${a}"]),
        ('"a ${b.c} d"', ["a ", "<b.c>", " d"]),
        ('"${ a }${b}"', ["<a>", "<b>"]),
        ('"${oc.env:HOME,${a}}"', ["<oc.env:HOME,${a}>"]),
        ('"} ${a} {"', ["} ", "<a>", " {"]),
        (r'"\\${a}"', ["\\", "<a>"]),
        ('"😀 音 \u0301"', ["😀 音 \u0301"]),
    ],
)
def test_strings(token: str, parts: list[str]) -> None:
    assert text(token) == (parts, [])


@pytest.mark.parametrize(
    "token, problems",
    [
        (r'"\x"', [("escape", r"\x")]),
        (r'"a\ b\'"', [("escape", "\\ "), ("escape", r"\'")]),
        (r'"\u00e9"', [("unicode", r"\u")]),
        (r'"\u{110000}"', [("unicode", r"\u")]),
        (r'"\u{d800}"', [("unicode", r"\u")]),
        (r'"\u{0}"', [("unicode", r"\u")]),
        (r'"\u{}"', [("unicode", r"\u")]),
        ('"${a"', [("interpolation", "${")]),
        ('"${}"', [("empty-interpolation", "${}")]),
        ('"${ }"', [("empty-interpolation", "${ }")]),
        ('"${{a}"', [("interpolation", "${")]),
        ('"${a ${b}"', [("interpolation", "${")]),
    ],
)
def test_problems_of_strings_are_shown_where_they_are(token: str, problems: list[tuple[str, str]]) -> None:
    assert text(token)[1] == problems


def test_the_place_of_an_interpolation_is_its_expression() -> None:
    source = Source("recipe.esp", '  "ab ${  c.d }" ')
    [_, part] = read_text(Span(source, 2, 16), long=False).parts

    assert isinstance(part, Interpolation)
    assert part.span.text == part.expression == "c.d"


@pytest.mark.parametrize(
    "token, parts",
    [
        ('""""""', []),
        ('"""a"""', ["a"]),
        ('"""a "b" ""c"""', ['a "b" ""c']),
        ('"""\n  a\n    b\n  """', ["a\n  b\n"]),
        ('"""\n    a\n  b\n"""', ["  a\nb\n"]),
        ('"""\n  a\n\n  b\n  """', ["a\n\nb\n"]),
        ('"""\n  a\n   \n  b"""', ["a\n\nb"]),
        ('"""a\n  b\n  c"""', ["a\nb\nc"]),
        ('"""  a\n  b"""', ["  a\nb"]),
        ('"""\n\ta\n\tb\n\t"""', ["a\nb\n"]),
        ('"""\n\n"""', ["\n"]),
        ('"""\n"""', []),
        ('"""\n  a \\\n  b\n"""', ["a   b\n"]),
        ('"""\r\n  a\r\n  b\r\n  """', ["a\nb\n"]),
        ('"""\r\n  a \\\r\nb\r\n"""', ["a b\n"]),
        ('"""\n  ${a}\n    b ${c}\n"""', ["<a>", "\n  b ", "<c>", "\n"]),
        ('"""\n    a\n  ${b}\n"""', ["  a\n", "<b>", "\n"]),
        (r'"""\"' + '"""', ['"']),
        ('"""\n  $${a}\n"""', ["${a}\n"]),
        ('"""\n  \u00a0\n"""', ["\u00a0\n"]),
    ],
)
def test_long_strings_lose_the_indentation_that_all_lines_share(token: str, parts: list[str]) -> None:
    assert text(token, long=True) == (parts, [])


_LINES = st.lists(st.text(st.sampled_from(" \tab}{é\ue000"), max_size=8), min_size=1, max_size=8)


@given(_LINES)
def test_long_strings_are_dedented_as_textwrap_does_it(lines: list[str]) -> None:
    """With spaces alone the two agree; a tab is a character like a space here."""
    body = "\n".join(lines).replace("\t", " ")

    parts, problems = text(f'"""\n{body}\n"""', long=True)

    assert problems == []
    assert "".join(parts) == textwrap.dedent(body + "\n")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\$\n\r'), max_size=30))
def test_characters_without_a_meaning_mean_themselves(body: str) -> None:
    assert "".join(text(f'"{body}"')[0]) == body


def test_thousands_of_open_interpolations_are_read_in_one_pass() -> None:
    _, problems = text('"' + "${" * 50_000 + '"')

    assert len(problems) == 50_000


def test_every_private_character_may_stand_beside_an_interpolation() -> None:
    body = "".join(map(chr, range(0xE000, 0xF900)))

    assert text(f'"""\n  {body}${{a}}\n"""', long=True) == ([body, "<a>", "\n"], [])
