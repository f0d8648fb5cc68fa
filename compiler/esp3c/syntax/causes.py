"""Keeps the syntax errors that are causes, and leaves out those that only follow from them.

A string without an end swallows the brackets behind it; a bracket without a partner makes the words inside it stand in
the wrong place. What is said of those words is true of the text as it was read, and of no help.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from esp3c.diagnostics import Diagnostic, code_of
from esp3c.syntax import errors


def only_causes(
    lexical: Sequence[Diagnostic], unbalanced: Sequence[Diagnostic], structural: Sequence[Diagnostic]
) -> list[Diagnostic]:
    """The errors of the lexer, of the brackets and of the parser, without those that others explain."""
    torn = {_line(each) for each in lexical if each.code == code_of(errors.unclosed_string)}
    brackets = [each for each in unbalanced if not _opened_on(each, torn)]
    # `=>` is one mistake: the sign without a meaning is reported, so what stands next to it need not be.
    touched = {edge for each in lexical for edge in (each.primary.span.start, each.primary.span.end)}
    # Between a bracket without a partner and where that is noticed.
    doubtful = [sorted((_other(each), each.primary.span.start)) for each in brackets if each.secondary]
    kept = [
        each
        for each in structural
        if _line(each) not in torn
        and not (each.code == code_of(errors.unexpected) and _edges(each) & touched)
        and not any(start < each.primary.span.start <= end for start, end in doubtful)
    ]
    return [*lexical, *brackets, *kept]


def _line(diagnostic: Diagnostic) -> int:
    span = diagnostic.primary.span
    return span.source.line_of(span.start)


def _edges(diagnostic: Diagnostic) -> set[int]:
    return {diagnostic.primary.span.start, diagnostic.primary.span.end}


def _other(diagnostic: Diagnostic) -> int:
    return diagnostic.secondary[0].span.start


def _opened_on(diagnostic: Diagnostic, lines: Iterable[int]) -> bool:
    """Whether this is about a bracket that stands on one of these lines."""
    spans = [diagnostic.primary.span, *(label.span for label in diagnostic.secondary[:1])]
    return any(span.source.line_of(span.start) in lines for span in spans)
