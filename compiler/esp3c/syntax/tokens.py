"""From text to tokens. The lexer never fails: what no word can begin with is reported and left out."""

from __future__ import annotations

from itertools import takewhile

from esp3c.diagnostics import Diagnostic
from esp3c.source import Source, Span
from esp3c.syntax import errors
from esp3c.syntax.brackets import span_of
from esp3c.syntax.grammar import CLOSERS, OPENERS, SHOWN, virtual
from esp3c.syntax.lalr import Token, words
from esp3c.syntax.literals import UNITS


def tokenize(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """All words of the text, each of a kind that the grammar can use, and what was wrong with the rest."""
    diagnostics: list[Diagnostic] = []
    out: list[Token] = []
    illegal: Span | None = None
    for token in words(source.text):
        kind = token.type
        if illegal is not None and kind in {"NAME", "NUMBER"} and token.start_pos == illegal.end:
            # `/tmp/exp`: what touches a sign without a meaning belongs to it.
            illegal = illegal.to(span_of(source, token))
            diagnostics[-1] = errors.illegal(illegal)
            if not (out and out[-1].type == "MISSING"):
                out.append(virtual("MISSING", illegal.start, illegal.end))
        elif kind == "ILLEGAL":
            here = span_of(source, token)
            # Characters that stand together are one mistake.
            if illegal is not None and illegal.end == here.start:
                illegal = illegal.to(here)
                diagnostics[-1] = errors.illegal(illegal)
            else:
                illegal = here
                diagnostics.append(errors.illegal(here))
        elif kind == "SINGLE_QUOTED":
            diagnostics.append(errors.single_quoted(span_of(source, token)))
            out.append(virtual("MISSING", token.start_pos, token.end_pos))
        elif kind in {"UNCLOSED", "UNCLOSED_LONG"}:
            span = span_of(source, token)
            text = span.text.rstrip()
            span = Span(source, span.start, span.start + len(text))
            first_line = Span(source, span.start, span.start + len(text.split("\n", 1)[0].rstrip("\r")))
            diagnostics.append(errors.unclosed_string(first_line, kind == "UNCLOSED_LONG"))
            out.append(virtual("MISSING", span.start, span.end))
            if kind == "UNCLOSED":
                out.extend(_swallowed(span, out))
        else:
            out.append(token)
    out = _without_broken_numbers(source, out, diagnostics)
    return _without_lone_units(source, out, diagnostics), diagnostics


def _swallowed(string: Span, before: list[Token]) -> list[Token]:
    """The closing brackets at the end of a string without an end, as far as they fit those opened on its line.

    `["a, 1]` has lost its quote only.
    """
    text = string.text
    tail = text[len(text.rstrip(")]} \t,")) :]
    start = string.source.line_start(string.source.line_of(string.start))
    here = takewhile(lambda token: token.start_pos >= start, reversed(before))
    stack: list[str] = []
    for token in reversed(list(here)):
        if token.type in CLOSERS:
            stack.append(SHOWN[CLOSERS[token.type]])
        elif token.type in OPENERS and stack:
            stack.pop()
    found: list[Token] = []
    for offset, sign in enumerate(tail, len(text) - len(tail)):
        if sign in " \t,":
            continue
        if not stack or stack.pop() != sign:
            break
        at = string.start + offset
        kind = next(each for each, shown in SHOWN.items() if shown == sign)
        found.append(virtual(kind, at, at + 1))
    return found


def _without_broken_numbers(source: Source, tokens: list[Token], diagnostics: list[Diagnostic]) -> list[Token]:
    """Takes `5.0.1` for one thing, which is no number."""
    out: list[Token] = []
    for token in tokens:
        point = out[-1] if out else None
        number = out[-2] if len(out) > 1 else None
        if (
            token.type == "NUMBER"
            and point is not None
            and number is not None
            and point.type == "DOT"
            and number.type in {"NUMBER", "MISSING"}
            and number.end_pos == point.start_pos
            and point.end_pos == token.start_pos
        ):
            span = Span(source, number.start_pos, token.end_pos)
            if number.type == "MISSING" and diagnostics and diagnostics[-1].primary.span.start == number.start_pos:
                diagnostics.pop()
            diagnostics.append(errors.number_with_points(span))
            out[-2:] = [virtual("MISSING", span.start, span.end)]
            continue
        out.append(token)
    return out


_UNITS = {unit.casefold(): unit for unit in UNITS}
"""The units as they are written, by how they may be misspelt."""


def _without_lone_units(source: Source, tokens: list[Token], diagnostics: list[Diagnostic]) -> list[Token]:
    """Takes `kHz` in `8 kHz` for the unit that it is, and says how it is written."""
    if not any(str(token).casefold() in _UNITS for token in tokens if token.type == "NAME"):
        return tokens
    out: list[Token] = []
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else None
        behind = tokens[position + 1].type if position + 1 < len(tokens) else ""
        if (
            token.type == "NAME"
            and (str(token) in UNITS or (len(token) > 1 and str(token).casefold() in _UNITS))
            and before is not None
            and before.type == "NUMBER"
            and str(before)[-1].isdigit()
            and behind not in {"EQUAL", "LBRACE", "COLON", "DOT"}
            and source.line_of(before.start_pos) == source.line_of(token.start_pos)
        ):
            unit = str(token) if str(token) in UNITS else _UNITS[str(token).casefold()]
            diagnostics.append(errors.lone_unit(span_of(source, before), span_of(source, token), unit))
            continue
        out.append(token)
    return out
