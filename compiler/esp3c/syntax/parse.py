"""Text to syntax tree, with recovery: a file with five mistakes gets five messages and one tree of all the rest.

The steps, each over the whole file:

1. `tokenize` makes words of the text; strings without an end and signs without a meaning are reported there.
2. `balance` gives every bracket its partner.
3. The LALR tables are fed token by token. A NAME becomes a keyword where the parser's state has a use for the keyword,
   so that a key of a block may be called `dataset` or `on`. Where a token does not fit, `_Recovery` first tries a
   repair of one token that it can name (`=` missing, `,` missing, a value missing, a misspelt declaration), and
   otherwise drops the entry in which the token stands, within the brackets that are open there.
4. `build_file` turns the tree of the grammar into `esp3c.syntax.ast`.
"""

from __future__ import annotations

from esp3c.diagnostics import Diagnostic, Label
from esp3c.source import Source, Span
from esp3c.suggest import nearest
from esp3c.syntax import ast, errors
from esp3c.syntax.brackets import balance, span_of
from esp3c.syntax.build import build_file, build_override
from esp3c.syntax.causes import only_causes
from esp3c.syntax.expected import describe, in_words
from esp3c.syntax.grammar import CLOSERS, CONSTANTS, KEYWORDS, OPENERS, virtual
from esp3c.syntax.lalr import Machine, Token, Tree, Unexpected
from esp3c.syntax.tokens import tokenize

MAX_ERRORS = 100

_VALUE_STARTS = {"STRING", "LONG_STRING", "NUMBER", "NAME", "LBRACE", "LSQB", "MISSING"}
_BEHIND_A_KEY = {"EQUAL", "COLON", "LBRACE", "NUMBER", "STRING", "LONG_STRING"}
# The grammar's names for the entries read so far of a block, of `stages`, of a list, and of a call.
_ENTRIES = ("__block_star", "__stages_star", "__list_star", "___arguments_star")
_WANTS = {"DOT": "a name behind it", "COLON": "a type behind it"}
_AFTER_VALUE = {"STRING", "LONG_STRING", "NUMBER", "NAME", "RBRACE", "RSQB", "RPAR", "MISSING"}


def parse(source: Source) -> tuple[ast.File, list[Diagnostic]]:
    """The tree of everything that could be read, and a message for everything that could not."""
    tree, diagnostics = _read(source, "start")
    file, literal = build_file(source, tree)
    return file, _at_most(MAX_ERRORS, diagnostics + literal)


def _at_most(limit: int, diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    if len(diagnostics) <= limit + 1:
        return diagnostics
    ordered = sorted(diagnostics, key=lambda each: each.primary.span.start)
    return [*ordered[:limit], errors.too_many(ordered[limit].primary.span, limit)]


def parse_override(source: Source) -> tuple[ast.Setting | None, list[Diagnostic]]:
    """`key = value` alone, as `--set` has it. None where it cannot be read."""
    tree, diagnostics = _read(source, "override")
    if diagnostics:
        return None, diagnostics[:1]
    setting, literal = build_override(source, tree)
    return setting, literal


def _read(source: Source, start: str) -> tuple[Tree, list[Diagnostic]]:
    tokens, lexical = tokenize(source)
    tokens, unbalanced = balance(source, tokens)
    reader = _Reader(source, tokens, start)
    tree = reader.run()
    return tree, only_causes(lexical, unbalanced, reader.diagnostics)


class _Reader:
    def __init__(self, source: Source, tokens: list[Token], start: str) -> None:
        self.source = source
        self.tokens = tokens
        self.start = start
        self.diagnostics: list[Diagnostic] = []
        self.machine = Machine(start)
        # The opening brackets inside which the next token stands.
        self.open: list[Token] = []
        # The token at which reading went on last, where dropping an entry brought it no further.
        self.stuck = -1

    def run(self) -> Tree:
        at, tokens = 0, self.tokens
        while at < len(tokens):
            at = self.step(at)
            if len(self.diagnostics) >= MAX_ERRORS:
                span = span_of(self.source, tokens[min(at, len(tokens) - 1)])
                self.diagnostics.append(errors.too_many(span, MAX_ERRORS))
                break
        if self.open or len(self.diagnostics) >= MAX_ERRORS:
            self.cut_to(0)
        try:
            return self.machine.finish()
        except Unexpected:
            self.end_of_file()
            return self.machine.finish() if self.start == "start" else Tree(self.start, [])

    def step(self, at: int) -> int:
        """Feeds the token at index `at`; the index at which to go on."""
        token = self.tokens[at]
        kind = token.type
        if kind == "EQUAL":
            missing = self.value_missing_after(at)
            if missing is not None:
                return missing
        if kind in _WANTS and self.begins_next(at + 1) and self.machine.fits(kind):
            key = self.tokens[at - 1] if at else token
            if kind == "COLON" and key.type in {"NAME", "STRING"}:
                self.diagnostics.append(errors.colon_for_equals(self.span(key), self.span(token)))
            else:
                self.report_unexpected(at, _WANTS[kind])
            if self.open:
                self.cut_entry()
            else:
                self.cut_to(0)
            return at + 1
        shaped = self.shaped(token)
        try:
            self.machine.feed(shaped)
        except Unexpected:
            return self.recover(at)
        if kind in CLOSERS:
            self.open.append(token)
        elif kind in OPENERS:
            self.open.pop()
        return at + 1

    def shaped(self, token: Token) -> Token:
        """The token as the keyword that it is in this state, if it is one."""
        if token.type == "NAME":
            keyword = KEYWORDS.get(str(token))
            if keyword is not None and keyword in self.machine.choices():
                return token.as_kind(keyword)
        return token

    # -- repairs --------------------------------------------------------------------------------------------------

    def value_missing_after(self, at: int) -> int | None:
        """`key =` with nothing behind it; feeds `=` and a stand-in and returns where to go on."""
        if "EQUAL" not in self.machine.choices():
            return None
        following = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        if following is not None:
            kind = following.type
            if kind == "EQUAL":
                if not self.machine.fits("EQUAL"):
                    return None
                self.machine.feed(self.tokens[at])
                self.report_unexpected(at + 1)
                return at + 2
            next_key = kind == "NAME" and str(following) not in CONSTANTS and self.followed_by_equals(at + 1)
            if not next_key and not self.begins_next(at + 1) and kind not in OPENERS and kind != "COMMA":
                return None
        try:
            stand_in = virtual("MISSING", self.end(self.tokens[at]))
            self.machine.feed(self.tokens[at])
            self.machine.feed(stand_in)
        except Unexpected:
            return self.recover(at)
        self.tokens.insert(at + 1, stand_in)
        key = self.tokens[at - 1] if at else self.tokens[at]
        noticed = following if following is not None else self.tokens[at]
        self.diagnostics.append(errors.missing_value(self.span(key), self.span(self.tokens[at]), self.span(noticed)))
        return at + 2

    def recover(self, at: int) -> int:
        token = self.tokens[at]
        before = self.tokens[at - 1] if at else None
        if not self.open:
            return self.recover_declaration(at)
        if self.stuck == at:
            return self.leave_bracket(at)
        if before is not None:
            inside = self.open[-1].type
            if before.type == "COLON" and inside == "LBRACE" and token.type in _VALUE_STARTS:
                key = self.tokens[at - 2] if at > 1 else before
                self.diagnostics.append(errors.colon_for_equals(self.span(key), self.span(before)))
                self.cut_entry()
                return self.after_entry(at)
            if token.type == "DOT" and inside == "LBRACE" and at > 2 and self.tokens[at - 2].type == "COLON":
                # `func: src.text.lines`: a field's type has no dots.
                self.diagnostics.append(
                    errors.colon_for_equals(self.span(self.tokens[at - 3]), self.span(self.tokens[at - 2]))
                )
                self.cut_entry()
                return self.after_entry(at)
            if (
                before.type == "NAME"
                and token.type in _VALUE_STARTS - {"LBRACE", "LSQB"}
                and self.line(before) == self.line(token)
                and self.machine.fits("EQUAL")
                and self.is_key(at - 1)
            ):
                self.diagnostics.append(errors.missing_equals(self.span(before), self.span(token)))
                self.machine.feed(virtual("EQUAL", self.end(before)))
                return at
            if before.type == "NAME" and inside == "LBRACE" and self.is_key(at - 1) and self.machine.fits("EQUAL"):
                equals = virtual("EQUAL", self.end(before))
                self.diagnostics.append(errors.missing_value(self.span(before), self.span(equals), self.span(token)))
                self.machine.feed(equals)
                self.machine.feed(virtual("MISSING", self.end(before)))
                return at
            if (
                inside in {"LSQB", "LPAR"}
                and token.type in _VALUE_STARTS
                and before.type in _AFTER_VALUE
                and self.machine.fits("COMMA")
            ):
                self.diagnostics.append(errors.missing_comma(self.span(before), self.span(token)))
                self.machine.feed(virtual("COMMA", self.end(before)))
                return at
        self.report_unexpected(at)
        following = self.skip_entry(at)
        if following == at:
            self.stuck = at
        return following

    def begins_next(self, at: int) -> bool:
        """Whether the token at this index stands on a line of its own and begins an entry or a declaration."""
        if at >= len(self.tokens) or self.tokens[at].type != "NAME":
            return False
        if self.line(self.tokens[at]) == self.line(self.tokens[at - 1]):
            return False
        kinds = [token.type for token in self.tokens[at : at + 2]] + ["", ""]
        if self.open:
            if str(self.tokens[at]) == "new" and kinds[1] == "NAME":
                at += 1
            while [token.type for token in self.tokens[at + 1 : at + 3]] == ["DOT", "NAME"]:
                at += 2
            return at + 1 < len(self.tokens) and self.tokens[at + 1].type in _BEHIND_A_KEY
        return str(self.tokens[at]) in errors.ALL_DECLARATIONS and kinds[1] in {"NAME", "LBRACE"}

    def is_key(self, at: int) -> bool:
        """Whether the name at this index begins an entry or an argument, rather than being a value."""
        before = self.tokens[at - 1].type if at else ""
        return before not in {"EQUAL", "DOT", "COLON"}

    def recover_declaration(self, at: int) -> int:
        token = self.tokens[at]
        word = str(token)
        before = self.tokens[at - 1] if at else None
        if before is not None and str(before) in KEYWORDS and self.machine.fits("NAME"):
            self.diagnostics.append(errors.missing_name(self.span(before), self.span(token)))
            name = Token("NAME", "_", self.end(before), self.end(before))
            self.machine.feed(name)
            return at
        begins = token.type == "NAME" and word not in errors.ALL_DECLARATIONS
        if begins and self.machine.fits("RECIPE"):
            self.diagnostics.append(errors.unknown_declaration(self.span(token), word))
            near = nearest(word, errors.ALL_DECLARATIONS, most=1)
            if near and at + 1 < len(self.tokens) and self.tokens[at + 1].type in {"NAME", "LBRACE"}:
                keyword = Token(KEYWORDS[near[0]], near[0], token.start_pos, token.end_pos)
                self.machine.feed(keyword)
                return at + 1
            return self.skip_declaration(at)
        self.report_unexpected(at)
        return self.skip_declaration(at)

    # -- dropping what cannot be read ---------------------------------------------------------------------------------

    def skip_entry(self, at: int) -> int:
        """Drops tokens up to the next entry of the innermost open bracket, and what was read of this one."""
        if self.open[-1].type == "LBRACE":
            self.settle("NAME")
        self.cut_entry()
        depth, keys = 0, "STRING" in self.machine.choices()
        commas = self.open[-1].type != "LBRACE"
        for here in range(at, len(self.tokens)):
            token = self.tokens[here]
            if depth == 0:
                if token.type in OPENERS:
                    return here
                if commas and token.type == "COMMA":
                    return here + 1 if self.just_opened() else here
                if keys and token.type == "COMMA":
                    return here + 1
                if keys and here > at and token.type in {"NAME", "STRING"} and self.followed_by_equals(here):
                    return here
                first = here == 0 or self.line(token) != self.line(self.tokens[here - 1])
                if not commas and first and token.type in {"NAME", "STRING"}:
                    return here
            depth += (token.type in CLOSERS) - (token.type in OPENERS)
        return len(self.tokens)

    def followed_by_equals(self, at: int) -> bool:
        return self.tokens[at - 1].type != "DOT" and at + 1 < len(self.tokens) and self.tokens[at + 1].type == "EQUAL"

    def leave_bracket(self, at: int) -> int:
        """Drops what the innermost bracket stands in, where nothing that could follow in it is left to read."""
        opener = self.open.pop()
        while self.machine.pop() is not opener:
            pass
        self.cut_entry()
        depth = 0
        for here in range(at, len(self.tokens)):
            kind = self.tokens[here].type
            if depth == 0 and kind in OPENERS:
                return here + 1
            depth += (kind in CLOSERS) - (kind in OPENERS)
        return len(self.tokens)

    def after_entry(self, at: int) -> int:
        """Where the next entry begins, behind the value at `at` and a comma."""
        behind = self.after_value(at)
        comma = behind < len(self.tokens) and self.tokens[behind].type == "COMMA"
        return behind + 1 if comma else behind

    def after_value(self, at: int) -> int:
        """The index behind the value that begins at `at`: one token, or a bracket with all inside."""
        depth = 0
        for here in range(at, len(self.tokens)):
            kind = self.tokens[here].type
            if depth == 0 and here > at and not (kind in {"DOT", "LPAR"} or self.tokens[here - 1].type == "DOT"):
                return here
            depth += (kind in CLOSERS) - (kind in OPENERS)
        return len(self.tokens)

    def skip_declaration(self, at: int) -> int:
        self.settle("RECIPE")
        self.cut_to(0)
        depth, started = 0, self.line(self.tokens[at])
        for here in range(at + 1, len(self.tokens)):
            token = self.tokens[here]
            if depth == 0 and token.type == "NAME" and self.line(token) != started:
                return here
            if token.type in CLOSERS:
                depth += 1
            elif token.type in OPENERS:
                depth = max(0, depth - 1)
        return len(self.tokens)

    def settle(self, kind: str) -> None:
        """Finishes what was read whole: an entry or a declaration is only known to end by the word behind it."""
        if self.machine.fits(kind):
            self.machine.settle(kind)

    def cut_entry(self) -> None:
        """Forgets what was read of the current entry: back to the innermost bracket or the entries read inside it."""
        while self.machine.values:
            top = self.machine.values[-1]
            if isinstance(top, Token) and top.type in CLOSERS:
                return
            if isinstance(top, Tree) and top.data.startswith(_ENTRIES):
                return
            self.machine.pop()

    def just_opened(self) -> bool:
        top = self.machine.values[-1]
        return isinstance(top, Token) and top.type in CLOSERS

    def cut_to(self, depth: int) -> None:
        """Forgets the current declaration."""
        del self.open[depth:]
        while self.machine.values:
            top = self.machine.values[-1]
            if isinstance(top, Tree) and top.data.startswith("__start"):
                return
            self.machine.pop()

    # -- messages -------------------------------------------------------------------------------------------------

    def report_unexpected(self, at: int, expected: str | None = None) -> None:
        token = self.tokens[at]
        where = None
        if self.open:
            where = Label(self.span(self.open[-1]), "inside the bracket that opens here")
        self.diagnostics.append(
            errors.unexpected(self.span(token), describe(token), expected or self.expected(), where)
        )

    def end_of_file(self) -> None:
        end = len(self.source.text.rstrip())
        here = Span(self.source, max(0, end - 1), end)
        self.diagnostics.append(errors.early_end(here, self.expected()))
        self.cut_to(0)

    def expected(self) -> str:
        """What could stand here. Only what the state really takes, so that the sentence is true."""
        return in_words({kind for kind in self.machine.choices() if kind.isupper() and self.machine.fits(kind)})

    def span(self, token: Token) -> Span:
        return span_of(self.source, token)

    def line(self, token: Token) -> int:
        return self.source.line_of(token.start_pos)

    def end(self, token: Token) -> int:
        return token.end_pos
