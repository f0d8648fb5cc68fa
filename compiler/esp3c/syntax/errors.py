"""Syntax errors in plain words. One function a kind of mistake; its docstring is the page of its code."""

from __future__ import annotations

import re
from collections.abc import Iterable

from esp3c.diagnostics import Code, Diagnostic, Edit, Fix, Label, Severity, code_of, explained
from esp3c.source import Span
from esp3c.suggest import certain, did_you_mean, nearest, one_of
from esp3c.syntax.grammar import DECLARATIONS, WELL_KNOWN
from esp3c.syntax.literal_errors import (
    bad_escape,
    bad_interpolation,
    bad_number,
    lone_unit,
    number_with_points,
    of_literal,
    single_quoted,
)

__all__ = ["lone_unit", "number_with_points", "of_literal", "single_quoted"]

ALL_DECLARATIONS = (*DECLARATIONS, *WELL_KNOWN)


@explained("ESP0101", "something else was expected here")
def unexpected(found: Span, what: str, expected: str, where: Label | None) -> Diagnostic:
    """A word or sign stands where the language has no place for it.

    The message says what was found and what could stand there instead.

        stages { train => infer }

    Here a stage line is its name and its clauses (`requires`, `runs`, `on`), nothing else:

        stages { train  infer }
    """
    return Diagnostic(
        code_of(unexpected),
        f"{what} cannot stand here",
        Label(found, f"expected {expected}"),
        secondary=(where,) if where else (),
    )


@explained("ESP0102", "a bracket is never closed")
def unclosed(opener: Span, noticed: Span, culprit: Span | None, more: int) -> Diagnostic:
    """A `{`, `[` or `(` has no partner.

        training {
          trainer { max_epochs = 12

        inference { … }

    The message points to the bracket, and to where its partner is missed at the latest. Where the indentation shows
    which bracket was forgotten, that one is named.
    """
    opened = culprit or opener
    noun = {"{": "block", "[": "list", "(": "list of arguments"}[opened.text]
    closing = {"{": "}", "[": "]", "(": ")"}[opened.text]
    secondary = [Label(noticed, f"`{closing}` is missing before this")]
    if culprit is not None and culprit != opener:
        secondary.append(Label(opener, "so this one seems to be left open"))
    help = ("the indentation tells which one was meant",) if culprit is not None else ()
    if more:
        help = (*help, f"{more} more opened before it {'is' if more == 1 else 'are'} not closed either")
    return Diagnostic(
        code_of(unclosed),
        f"this {noun} is never closed",
        Label(opened, "opened here"),
        tuple(secondary),
        help,
    )


@explained("ESP0103", "a closing bracket closes nothing")
def stray_closer(found: Span, opener: Span | None) -> Diagnostic:
    """A `}`, `]` or `)` has no opening partner, or the bracket that is open is of another kind.

        batch_size = [1, 2)

    Either the bracket is one too many, or it is the wrong one.
    """
    secondary = (Label(opener, "this is what is open"),) if opener else ()
    return Diagnostic(
        code_of(stray_closer),
        f"`{found.text}` closes nothing",
        Label(found, "one too many" if opener is None else "does not match"),
        secondary,
    )


@explained("ESP0104", "a string is never closed")
def unclosed_string(found: Span, long: bool) -> Diagnostic:
    '''A string has no closing quote.

    A string in simple quotes ends on its own line; text of several lines stands between three quotes:

        notes = """
          first line
          second line
        """
    '''
    quote = '"""' if long else '"'
    help = () if long else ('text of several lines stands between `"""` and `"""`',)
    return Diagnostic(
        code_of(unclosed_string),
        "this string is never closed",
        Label(found, f"`{quote}` is missing at the end"),
        help=help,
    )


@explained("ESP0105", "a value is missing")
def missing_value(key: Span, equals: Span, noticed: Span) -> Diagnostic:
    """A key is followed by `=` and then by no value.

        optimizer = torch.optim.AdamW(lr = , weight_decay = 0.01)

    Write the value, or take the key out.
    """
    return Diagnostic(
        code_of(missing_value),
        f"`{key.text}` has no value" if key.text else "a value is missing",
        Label(equals.at_end() if noticed.start < equals.end else equals, "a value is expected behind this"),
    )


@explained("ESP0106", "`=` is missing")
def missing_equals(key: Span, value: Span) -> Diagnostic:
    """A key and its value stand side by side with nothing between them.

        trainer { max_epochs 12 }

    A setting is `key = value`:

        trainer { max_epochs = 12 }
    """
    return Diagnostic(
        code_of(missing_equals),
        f"`=` is missing between `{key.text}` and its value",
        Label(value, "this seems to be its value"),
        fix=Fix("insert `=`", (Edit(key.at_end(), " ="),)),
    )


@explained("ESP0107", "`,` is missing")
def missing_comma(before: Span, after: Span) -> Diagnostic:
    """Two values of a list, or two arguments of a call, stand side by side without a comma.

        betas = [0.9 0.98]

    Values of a list and arguments of a call are separated by commas:

        betas = [0.9, 0.98]
    """
    return Diagnostic(
        code_of(missing_comma),
        "`,` is missing between two values",
        Label(after, "a `,` is expected before this"),
        fix=Fix("insert `,`", (Edit(before.at_end(), ","),)),
    )


@explained("ESP0108", "nested too deeply")
def too_deep(found: Span, limit: int) -> Diagnostic:
    """Brackets stand inside each other more than a hundred deep.

    No recipe needs that; it is most often the sign of a file that was cut or glued together. What is inside the
    bracket shown is not read.
    """
    return Diagnostic(
        code_of(too_deep),
        f"brackets are nested more than {limit} deep",
        Label(found, "not read from here on"),
    )


@explained("ESP0112", "a character that the language does not have")
def illegal(found: Span) -> Diagnostic:
    """A character stands outside of strings and comments that has no meaning in a recipe.

        lr = 1e-3;

    Often it is a habit from another language (`;`, single quotes), or an invisible character from a web page. Text
    stands between double quotes.
    """
    char = found.text[0]
    shown = f"`{char}`" if char.isprintable() and not char.isspace() else f"U+{ord(char):04X}"
    hints = {
        "'": "an apostrophe belongs into text, between double quotes",
        ";": "entries are separated by white space",
        "/": "a path is text, between double quotes; a comment begins with `#`",
        "$": "`${name}` stands inside a string; outside, the name alone is a reference",
        "-": "a number begins with a digit, or with `-` and a digit",
        "!": "this sign has no meaning here",
        "\u201c": "text stands between plain double quotes",
        "\u201d": "text stands between plain double quotes",
        "+": "there is no arithmetic in a recipe: write the value",
        "*": "there is no arithmetic in a recipe: write the value",
        "\u00a0": "an invisible no-break space: type a plain one",
    }
    return Diagnostic(
        code_of(illegal),
        f"{shown} has no meaning in a recipe",
        Label(found, hints.get(char, "take it out")),
        fix=_plain(found),
    )


def _plain(found: Span) -> Fix | None:
    """What certainly is meant by signs from a text editor or another language."""
    spaced = re.sub("[\u00a0\u202f\u2007]", " ", found.text)
    if spaced != found.text and re.fullmatch(r"[\w .]+", spaced):
        return Fix("write a plain space", (Edit(found, spaced),))
    if found.text[0] in "\u201c\u201d" and found.text[-1] in "\u201c\u201d" and len(found.text) > 1:
        inside = found.text[1:-1]
        if not set(inside) & set('"\\$\u201c\u201d'):
            return Fix("use plain double quotes", (Edit(found, f'"{inside}"'),))
    text, end = found.source.text, found.end
    if found.text == ";" and (end == len(text) or text[end].isspace() or text[end] in "}#"):
        return Fix("take it out", (Edit(found, " " if text[end : end + 1] in {"}", "#"} else ""),))
    return None


@explained("ESP0118", "the file ends too early")
def early_end(at: Span, expected: str) -> Diagnostic:
    """The file ends in the middle of a declaration.

        recipe

    Finish it, or take it out.
    """
    return Diagnostic(
        code_of(early_end), "the file ends in the middle of a declaration", Label(at, f"expected {expected}")
    )


@explained("ESP0113", "not a declaration")
def unknown_declaration(found: Span, word: str) -> Diagnostic:
    """Outside of every block, a file holds declarations, and this word begins none.

        trainning { … }

    The declarations are `recipe`, `dataset`, `training`, `inference`, `metrics`, `publication`, `demo`, `config`,
    `parallel`, `stages` and `let`.
    """
    meant = certain(word, nearest(word, ALL_DECLARATIONS), closed=True)
    return Diagnostic(
        code_of(unknown_declaration),
        f"`{word}` does not begin a declaration",
        Label(found, did_you_mean(word, ALL_DECLARATIONS) or "expected " + one_of(ALL_DECLARATIONS)),
        fix=Fix(f"write `{meant}`", (Edit(found, meant),)) if meant else None,
    )


@explained("ESP0114", "`:` where `=` is meant")
def colon_for_equals(key: Span, colon: Span) -> Diagnostic:
    """A setting is written as YAML writes it, with a colon.

        trainer { max_epochs: 12 }

    In a recipe a setting is `key = value`; `name: type` declares a field of a `sample` block.

        trainer { max_epochs = 12 }
    """
    behind = colon.source.text[colon.end :]
    if not behind.partition("\n")[0].partition("#")[0].strip():
        # `optimizer:` with the rest indented below it.
        return Diagnostic(
            code_of(colon_for_equals),
            f"`{key.text}` is set with `=`, not with `:`",
            Label(colon, "a block is written `key { … }`"),
        )
    return Diagnostic(
        code_of(colon_for_equals),
        f"`{key.text}` is set with `=`, not with `:`",
        Label(colon, "write `=`"),
        fix=Fix("write `=`", (Edit(colon, "=" if colon.start > key.end else " ="),)),
    )


@explained("ESP0115", "a declaration lacks its name")
def missing_name(keyword: Span, found: Span) -> Diagnostic:
    """`recipe`, `dataset`, `config`, `parallel` and `let` are followed by the name of what they declare.

        dataset { class = dataset.dataset.SpokenDigits }

    Give it one:

        dataset digits { class = dataset.dataset.SpokenDigits }
    """
    return Diagnostic(
        code_of(missing_name),
        f"this `{keyword.text}` has no name",
        Label(found, "a name is expected before this"),
        secondary=(Label(keyword, ""),),
    )


@explained("ESP0116", "too many errors")
def too_many(at: Span, limit: int) -> Diagnostic:
    """The file has so many errors that more messages would not help. What follows the place shown is not read."""
    return Diagnostic(code_of(too_many), f"more than {limit} syntax errors", Label(at, "not read from here on"))


@explained("ESP0130", "an ignore that ignores nothing", Severity.WARNING)
def useless_ignore(found: Span, message: str, label: str, fix: Fix | None = None) -> Diagnostic:
    """A comment asks to ignore a code, and that has no effect.

        exp_tag = "ctc"              # esp: ignore[ESP0301]

    An ignore takes out the diagnostics of the codes that it lists. Behind something it is about its own line; alone on
    its line, about the line below. Words behind the list are a reason:

        trainer { my_key = 1 }       # esp: ignore[ESP0301] read by our own callback

    It has no effect where nothing with that code begins on that line (any more), where the code does not exist, where
    no list stands behind `ignore` (a comment that ignored everything would hide what comes later), and with the codes
    that cannot be ignored: syntax errors, this one, and those with which nothing could be written, such as undefined names.
    On the command line, `--ignore` leaves any code out of what is shown.
    """
    return Diagnostic(code_of(useless_ignore), message, Label(found, label), fix=fix)


SYNTAX_ERRORS = (
    unexpected, unclosed, stray_closer, unclosed_string, missing_value, missing_equals, missing_comma, too_deep,
    bad_number, bad_escape, bad_interpolation, illegal, unknown_declaration, colon_for_equals, missing_name, too_many, single_quoted,
    early_end,
    lone_unit, useless_ignore,
)  # fmt: skip


def codes() -> Iterable[Code]:
    return (code_of(function) for function in SYNTAX_ERRORS)


def structure_known(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether all brackets had their partners, so that it is certain what stands in what."""
    brackets = {code_of(unclosed), code_of(stray_closer), code_of(too_deep), code_of(too_many)}
    return not any(each.code in brackets for each in diagnostics)
