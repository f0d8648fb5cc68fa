"""Errors inside one literal: a number, a quantity, a string. Part of `esp3c.syntax.errors`, which hands them on."""

from __future__ import annotations

from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.source import Span
from esp3c.syntax.literals import UNITS, Problem


@explained("ESP0109", "not a number")
def bad_number(problem: Problem) -> Diagnostic:
    """A number has a unit that the language does not know, or is written in a way that is not a number.

        time = 4hours
        rate = 16khz

    The units are `ms s min h d`, `B KB MB GB TB KiB MiB GiB TiB` and `Hz kHz MHz`, with the capitals shown:

        time = 4h
        rate = 16kHz
    """
    code = code_of(bad_number)
    if problem.kind == "unit":
        folded = [unit for unit in UNITS if unit.casefold() == problem.detail.casefold()]
        guess = folded[0] if folded else _LONG_UNITS.get(problem.detail.casefold())
        label = f"did you mean `{guess}`?" if guess else "the units are " + " ".join(UNITS)
        # `16k` may be a rate or a size, `5m` minutes or megabytes.
        sure = guess is not None and len(problem.detail) > 1
        fix = Fix(f"write `{guess}`", (Edit(problem.span, guess),)) if guess and sure else None
        return Diagnostic(code, f"`{problem.detail}` is not a unit", Label(problem.span, label), fix=fix)
    if problem.kind == "too-large":
        return Diagnostic(code, "this number is too large", Label(problem.span, "nothing needs such a number"))
    return Diagnostic(
        code, f"`{problem.span.text}` is not a number", Label(problem.span, "a `_` stands between two digits")
    )


_LONG_UNITS = {
    "msec": "ms", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "m": "min", "mins": "min",
    "minute": "min", "minutes": "min", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d",
    "k": "KB", "kb": "KB", "m b": "MB", "g": "GB", "gig": "GB", "t": "TB", "khz": "kHz", "hertz": "Hz",
}  # fmt: skip


def number_with_points(span: Span) -> Diagnostic:
    """`5.0.1`, which looks like a version; its page is that of `bad_number`."""
    return Diagnostic(
        code_of(bad_number),
        f"`{span.text}` is not a number",
        Label(span, f'a number has one point; text has quotes: `"{span.text}"`'),
    )


@explained("ESP0110", "a string holds an escape that does not exist")
def bad_escape(problem: Problem) -> Diagnostic:
    r"""A backslash in a string is followed by something that has no meaning there.

        path = "data\new"

    The escapes are `\n` (new line), `\t`, `\r`, `\"`, `\\` (a backslash) and `\u{1F600}`. A backslash itself is
    written twice:

        path = "data\\new"
    """
    code = code_of(bad_escape)
    if problem.kind == "unicode":
        return Diagnostic(
            code,
            "a character is written `\\u{…}` with its number in hexadecimal",
            Label(problem.span, "for example `\\u{e9}`"),
        )
    return Diagnostic(
        code,
        f"`\\{problem.detail}` is not an escape",
        Label(problem.span, "a backslash itself is written `\\\\`"),
        fix=Fix(
            "double the backslash",
            (Edit(Span(problem.span.source, problem.span.start, problem.span.start), "\\"),),
        ),
    )


@explained("ESP0111", "an interpolation is not well formed")
def bad_interpolation(problem: Problem) -> Diagnostic:
    """`${` in a string begins the name of another value and has to end with `}` on the same line.

        checkpoint = "${exp_dir/last.ckpt"

    Close it, or write `$${` for the two characters themselves:

        checkpoint = "${exp_dir}/last.ckpt"
    """
    message = "this interpolation is empty" if problem.kind == "empty-interpolation" else "`${` is never closed"
    return Diagnostic(
        code_of(bad_interpolation),
        message,
        Label(problem.span, "`${name}` stands for a value; `$${` is a plain `${`"),
    )


@explained("ESP0117", "text in single quotes")
def single_quoted(found: Span) -> Diagnostic:
    """Text stands between single quotes, as Python and YAML allow.

        exp_tag = 'ctc'

    In a recipe there is one way to write it:

        exp_tag = "ctc"
    """
    inside = found.text[1:-1]
    plain = not set(inside) & set('"\\$')
    return Diagnostic(
        code_of(single_quoted),
        "text stands between double quotes",
        Label(found, "these are single ones"),
        fix=Fix("use double quotes", (Edit(found, f'"{inside}"'),)) if plain else None,
    )


@explained("ESP0119", "a space between a number and its unit")
def lone_unit(number: Span, unit: Span, meant: str) -> Diagnostic:
    """A quantity is written with a space in it.

        sample_rate = 8 kHz

    The number and its unit are one word:

        sample_rate = 8kHz
    """
    whole = number.to(unit)
    return Diagnostic(
        code_of(lone_unit),
        f"a quantity is one word: `{number.text}{meant}`",
        Label(whole, "take the space out"),
        fix=Fix("take the space out", (Edit(whole, number.text + meant),)),
    )


def of_literal(problem: Problem) -> Diagnostic:
    """The message for a fact found while reading a literal."""
    if problem.kind in {"unit", "underscore", "too-large"}:
        return bad_number(problem)
    if problem.kind in {"interpolation", "empty-interpolation"}:
        return bad_interpolation(problem)
    return bad_escape(problem)
