"""Makes every bracket of a token list have its partner, and says which had none.

If the brackets balance, the list comes back as it is. Otherwise a second look takes two habits of people into
account: a declaration that begins in the first column begins a declaration, however many brackets are open; and a
closing bracket that stands first on its line stands under the line that it closes.
"""

from __future__ import annotations

from esp3c.diagnostics import Diagnostic
from esp3c.record import mutable
from esp3c.source import Source, Span
from esp3c.syntax import errors
from esp3c.syntax.grammar import CLOSERS, DECLARATIONS, OPENERS, WELL_KNOWN, virtual
from esp3c.syntax.lalr import Token

MAX_DEPTH = 100


def span_of(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos, token.end_pos)


def balance(source: Source, tokens: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with every bracket closed by its own kind, at most `MAX_DEPTH` deep, and what was wrong."""
    tokens, deep = _flatten(source, tokens)
    if _balanced(tokens):
        return tokens, deep
    repair = _Repair(source, tokens)
    repair.run()
    return repair.out, deep + ([] if deep else repair.diagnostics)


def _balanced(tokens: list[Token]) -> bool:
    stack: list[str] = []
    for token in tokens:
        kind = token.type
        if kind in CLOSERS:
            stack.append(CLOSERS[kind])
        elif kind in OPENERS and (not stack or stack.pop() != kind):
            return False
    return not stack


def _flatten(source: Source, tokens: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    depth = 0
    out: list[Token] = []
    diagnostics: list[Diagnostic] = []
    for token in tokens:
        if token.type in CLOSERS:
            depth += 1
            if depth == MAX_DEPTH + 1:
                if not diagnostics:
                    diagnostics.append(errors.too_deep(span_of(source, token), MAX_DEPTH))
                out.append(virtual("MISSING", token.start_pos))
        if depth <= MAX_DEPTH:
            out.append(token)
        if token.type in OPENERS:
            depth = max(0, depth - 1)
    return (out, diagnostics) if diagnostics else (tokens, [])


@mutable
class _Open:
    token: Token
    indent: int
    # The first bracket pair inside this one whose closing line is indented less than its opening line.
    suspect: Token | None = None


class _Repair:
    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.stack: list[_Open] = []
        self.out: list[Token] = []
        self.diagnostics: list[Diagnostic] = []

    def run(self) -> None:
        last_line = 0
        for index, token in enumerate(self.tokens):
            line = self.source.line_of(token.start_pos)
            first = line != last_line
            last_line = line
            if first and self.stack and self._begins_declaration(index):
                self.close_all(token.start_pos, Span(self.source, token.start_pos, token.end_pos))
            if token.type in CLOSERS:
                self.stack.append(_Open(token, self.indent(line)))
            elif token.type in OPENERS and not self.close(token, line, first):
                continue
            self.out.append(token)
        end = len(self.source.text.rstrip())
        self.close_all(end, Span(self.source, end, end))

    def indent(self, line: int) -> int:
        text = self.source.line_text(line)
        return len(text) - len(text.lstrip(" \t"))

    def close(self, token: Token, line: int, first: bool) -> bool:
        kinds = [CLOSERS[each.token.type] for each in self.stack]
        if token.type not in kinds:
            opener = span_of(self.source, self.stack[-1].token) if self.stack else None
            self.diagnostics.append(errors.stray_closer(span_of(self.source, token), opener))
            return False
        if kinds[-1] != token.type:
            # A bracket of another kind is open inside: that one was forgotten, unless this is one too many on a line.
            depth = len(kinds) - 1 - kinds[::-1].index(token.type)
            if token.type != "RBRACE" and any(kind == "RBRACE" for kind in kinds[depth + 1 :]):
                opener = span_of(self.source, self.stack[-1].token)
                self.diagnostics.append(errors.stray_closer(span_of(self.source, token), opener))
                return False
            self.close_down_to(depth + 1, token.start_pos, span_of(self.source, token))
        closed = self.stack.pop()
        if first and self.indent(line) < closed.indent:
            for outer in self.stack:
                outer.suspect = outer.suspect or closed.token
        return True

    def close_all(self, at: int, noticed: Span) -> None:
        self.close_down_to(0, at, noticed)

    def close_down_to(self, depth: int, at: int, noticed: Span) -> None:
        left = self.stack[depth:]
        if not left:
            return
        innermost = left[-1]
        opener = span_of(self.source, innermost.token)
        suspect = next((each.suspect for each in left if each.suspect is not None), None)
        culprit = span_of(self.source, suspect) if suspect is not None else None
        self.diagnostics.append(errors.unclosed(opener, noticed, culprit, len(left) - 1))
        while len(self.stack) > depth:
            self.out.append(virtual(CLOSERS[self.stack.pop().token.type], at))

    def _begins_declaration(self, index: int) -> bool:
        token = self.tokens[index]
        if token.type != "NAME" or self.source.position(token.start_pos)[1] != 1:
            return False
        following = [each.type for each in self.tokens[index + 1 : index + 3]]
        if str(token) in WELL_KNOWN or str(token) == "stages":
            return following[:1] == ["LBRACE"]
        return str(token) in DECLARATIONS and following[:1] == ["NAME"]
