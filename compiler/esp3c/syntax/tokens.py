"""From text to tokens. The lexer never fails: what no word can begin with is reported and left out."""

from __future__ import annotations

from lark import Token

from esp3c.diagnostics import Diagnostic
from esp3c.source import Source, Span
from esp3c.syntax import errors
from esp3c.syntax.brackets import span_of
from esp3c.syntax.grammar import parser, virtual


def tokenize(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """All words of the text, each of a kind that the grammar can use, and what was wrong with the rest."""
    diagnostics: list[Diagnostic] = []
    out: list[Token] = []
    illegal: Span | None = None
    for token in parser().lex(source.text):
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
            out.append(virtual("MISSING", token.start_pos or 0, token.end_pos))
        elif kind in {"UNCLOSED", "UNCLOSED_LONG"}:
            span = span_of(source, token)
            text = span.text.rstrip()
            span = Span(source, span.start, span.start + len(text))
            first_line = Span(source, span.start, span.start + len(text.split("\n", 1)[0].rstrip("\r")))
            diagnostics.append(errors.unclosed_string(first_line, kind == "UNCLOSED_LONG"))
            out.append(virtual("MISSING", span.start, span.end))
        else:
            out.append(token)
    return out, diagnostics
