"""The one form of a recipe as changes of its text: of the whole, of some lines, or of what has just been typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import accumulate, takewhile

from esp3c.diagnostics import Edit
from esp3c.format import MOST_COMPARED, Unfaithful, changes, edits, format_text, lines_of
from esp3c.format.covered import uncovered
from esp3c.format.lay import INDENT
from esp3c.format.same import same
from esp3c.query.fixes import applied
from esp3c.query.view import View
from esp3c.source import Source, Span
from esp3c.syntax import ast
from esp3c.syntax.comments import comments, directed
from esp3c.syntax.grammar import CLOSERS, OPENERS, SHOWN
from esp3c.syntax.lalr import Token
from esp3c.syntax.parse import parse

NEW_LINE = "\n"


def whole(view: View) -> tuple[Edit, ...]:
    """What brings a recipe into its one form; nothing where it has syntax errors.

    Raises:
        Unfaithful: a mistake of the formatter was found, and nothing is to be changed.
    """
    return tuple(narrowed(edits(view.source) or ()))


def within(view: View, start: int, end: int) -> tuple[Edit, ...]:
    """The same for the lines from one place to another.

    Where they cannot be changed without others, the declarations around them are changed whole. So are those that can be
    read alone while there are syntax errors elsewhere.
    """
    source, text = view.source, view.source.text
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    # A selection of whole lines ends where the next one begins.
    last = end - 1 if end > start and text[end - 1 : end] == "\n" else end
    first_line, last_line = source.line_of(start), source.line_of(max(start, last))

    def touches(span: Span) -> bool:
        until = span.end - 1 if span.end > span.start else span.end
        return source.line_of(span.start) <= last_line and source.line_of(until) >= first_line

    touched = [each for each in view.file.declarations if touches(each.span)]
    if len(touched) == 1 and _holds(touched[0].span, first_line, last_line):
        # Most often some lines of one declaration are meant, and the rest of the file need not be looked at.
        alone = declaration_alone(view, touched[0])
        found = tuple(each for each in alone or () if touches(each.span))
        if alone is not None and _faithful(_lines_of(touched[0].span), found):
            return found
    if not view.syntactic:
        found = tuple(each for each in whole(view) if touches(each.span))
        if _faithful(Span(source, 0, len(text)), found):
            return found
    return tuple(each for declaration in touched for each in declaration_alone(view, declaration) or ())


def _holds(span: Span, first_line: int, last_line: int) -> bool:
    return span.source.line_of(span.start) <= first_line and last_line <= span.source.line_of(span.end)


def _lines_of(span: Span) -> Span:
    """All of the lines on which something stands."""
    text = span.source.text
    end = text.find("\n", span.end)
    return Span(span.source, span.source.line_start(span.source.line_of(span.start)), len(text) if end < 0 else end)


def _faithful(piece: Span, found: Iterable[Edit]) -> bool:
    """Whether a part of the changes alone leaves a piece of the text that says the same."""
    found = tuple(found)
    if not found:
        return True
    source = Source(piece.source.path, piece.text)
    moved = (
        Edit(Span(source, each.span.start - piece.start, each.span.end - piece.start), each.text) for each in found
    )
    printed = Source(source.path, applied(source.text, moved))
    before, wrong = parse(source)
    after, worse = parse(printed)
    if wrong or worse:
        return False
    return same((source, before), (printed, after)) and not uncovered((source, before), (printed, after))


def narrowed(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Changes of as little as possible, so that cursors and marks stay where they are."""
    for edit in edits:
        old, new = lines_of(edit.span.text), lines_of(edit.text)
        source = edit.span.source
        places = list(accumulate(map(len, old), initial=edit.span.start))
        for kind, first, last, from_, to in _alike_lines(old, new):
            if kind != "equal":
                yield Edit(Span(source, places[first], places[last]), "".join(new[from_:to]))
                continue
            for number, now in enumerate(new[from_:to], first):
                if old[number] != now:
                    yield _of_line(Span(source, places[number], places[number + 1]), now)


def _alike_lines(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """Which lines are which: most differ by nothing but their spaces."""
    if len(old) == len(new):
        return [("equal", 0, len(old), 0, len(new))]
    if len(old) > MOST_COMPARED:
        return [("replace", 0, len(old), 0, len(new))]
    plain = ["".join(each.split()) for each in old], ["".join(each.split()) for each in new]
    return list(SequenceMatcher(None, *plain, autojunk=False).get_opcodes())


def _of_line(span: Span, now: str) -> Edit:
    was = span.text
    old, new = was.rstrip("\r\n"), now.rstrip("\r\n")
    # A change must not begin between the two characters of a line end.
    if was[len(old) :] != now[len(new) :] or "\r" in old:
        return Edit(span, now)
    ahead = _alike(old, new)
    most = min(len(old), len(new)) - ahead
    behind = min(most, _alike(old[::-1], new[::-1]))
    inside = Span(span.source, span.start + ahead, span.start + len(old) - behind)
    return Edit(inside, new[ahead : len(new) - behind])


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with together."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def declaration_alone(view: View, declaration: ast.Declaration) -> tuple[Edit, ...] | None:
    """The form of one declaration, whatever stands around it. None where it shares a line, or cannot be read alone.

    `let`s and `parallel`s stand in tables with their neighbours, and are left to those who format more than one.
    """
    source, text = view.source, view.source.text
    if isinstance(declaration, ast.LetDeclaration | ast.ParallelDeclaration):
        return None
    line = source.line_of(declaration.span.start)
    start = source.line_start(line)
    end = _end_of_line(view, declaration.span.end)
    if end is None or text[start : declaration.span.start].strip() or _covered(source, line):
        return None
    alone = Source(source.path, text[start:end])
    try:
        formatted = format_text(alone)
    except Unfaithful:
        return None
    if formatted is None:
        return None
    if not alone.text.endswith("\n"):
        formatted = formatted.rstrip("\r\n")
    return tuple(
        Edit(Span(source, start + each.span.start, start + each.span.end), each.text)
        for each in narrowed(changes(alone, formatted))
    )


def _end_of_line(view: View, at: int) -> int | None:
    """The end of a line on which nothing but a comment follows a place."""
    text = view.source.text
    end = text.find("\n", at)
    end = len(text) if end < 0 else end - (text[end - 1 : end] == "\r")
    behind = next((each.start for each in comments(view.source) if at <= each.start < end), end)
    return None if text[at:behind].strip() else end


def _covered(source: Source, line: int) -> bool:
    """Whether a comment above a line says something about it to the compiler."""
    return any(about == line and source.line_of(comment.start) != line for comment, about in directed(source))


# -- while typing -------------------------------------------------------------------------------------------------------


def typed(view: View, offset: int, sign: str) -> tuple[Edit, ...]:
    """What follows from a line end or a closing bracket that stands before a place, as it was typed last."""
    offset = max(0, min(offset, len(view.source.text)))
    return _new_line(view, offset) if sign == NEW_LINE else _closed(view, offset, sign)


def _new_line(view: View, offset: int) -> tuple[Edit, ...]:
    source = view.source
    start = source.line_start(source.line_of(offset))
    before = [each for each in view.tokens if each.start_pos < start]
    if before and (before[-1].end_pos > start or before[-1].type == "EQUAL"):
        # In a text of several lines, or before a value that is still to come.
        return ()
    opener = _open(before)
    here = next((each for each in view.tokens if each.start_pos >= start), None)
    first = here if here is not None and source.line_of(here.start_pos) == source.line_of(start) else None
    closes = opener is not None and first is not None and first.type == CLOSERS[opener.type]
    return _indented(source, start, _indent(source, opener) + ("" if closes or opener is None else INDENT))


def _closed(view: View, offset: int, sign: str) -> tuple[Edit, ...]:
    number = next((at for at, each in enumerate(view.tokens) if each.end_pos >= offset), None)
    token = view.tokens[number] if number is not None else None
    if (
        number is None
        or token is None
        or token.end_pos != offset
        or token.type not in OPENERS
        or SHOWN[token.type] != sign
    ):
        return ()
    opener = _open(view.tokens[:number])
    if opener is None or CLOSERS[opener.type] != token.type:
        return ()
    if _open(view.tokens[: number + 1]) is None:
        finished = next((each for each in view.file.declarations if each.span.end == offset), None)
        found = declaration_alone(view, finished) if finished is not None else None
        if found:
            return found
    start = view.source.line_start(view.source.line_of(token.start_pos))
    if view.source.text[start : token.start_pos].strip():
        return ()
    return _indented(view.source, start, _indent(view.source, opener))


def _open(tokens: Iterable[Token]) -> Token | None:
    """The innermost bracket that is open behind these words."""
    left: list[Token] = []
    for token in tokens:
        if token.type in CLOSERS:
            left.append(token)
        elif token.type in OPENERS:
            at = next((at for at in range(len(left) - 1, -1, -1) if left[at].type == OPENERS[token.type]), None)
            if at is not None:
                del left[at:]
    return left[-1] if left else None


def _indent(source: Source, token: Token | None) -> str:
    """The indentation of the line on which a word stands."""
    if token is None:
        return ""
    text = source.line_text(source.line_of(token.start_pos))
    return text[: len(text) - len(text.lstrip(" \t"))]


def _indented(source: Source, start: int, indent: str) -> tuple[Edit, ...]:
    text = source.text
    end = start
    while end < len(text) and text[end] in " \t":
        end += 1
    return (Edit(Span(source, start, end), indent),) if text[start:end] != indent else ()
