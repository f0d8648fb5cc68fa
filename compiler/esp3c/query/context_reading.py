"""Follows the words of a recipe up to a place: which brackets are open, what each belongs to, and what may follow.

It never fails: what does not fit is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from esp3c.query.view import View
from esp3c.record import field, mutable
from esp3c.syntax.grammar import CLAUSES, CLOSERS, CONSTANTS, OPENERS
from esp3c.syntax.lalr import Token


class What(StrEnum):
    """What may be written at a place."""

    DECLARATION = "declaration"
    NAME = "name"  # of what is declared: anything
    EXTENDS = "extends"  # the word, behind the name of a config
    BASE = "base"  # the name of the config that is extended
    KEY = "key"
    VALUE = "value"
    ARGUMENT = "argument"  # the name of an argument, or a value by its place
    STAGE = "stage"
    CLAUSE = "clause"  # `requires`, `runs`, `on`, a block, or the next stage
    REQUIRED = "required"  # the name of a config
    RUN = "run"  # a stage of the system, or a Python function
    MACHINE = "machine"  # the name of a `parallel`
    TYPE = "type"
    DIMENSION = "dimension"
    STRING = "string"
    INTERPOLATION = "interpolation"
    UNIT = "unit"
    NUMBER = "number"  # inside the digits of one
    COMMENT = "comment"


@mutable
class Frame:
    """A bracket that is open at the place, or the whole file (`opener` is empty, `words` those of a declaration with `=`).

    `words` is what the bracket belongs to: the words of a declaration (`config`, `low`, `extends`, `base`), the parts of a
    key, or those of a path that is called. `key` is the entry that is being read in it, `index` the position in a list or
    of an argument, `given` the keys or arguments that have been read, `partial` whether a call is partial.
    """

    opener: str
    words: tuple[str, ...]
    start: int
    role: str = ""
    key: tuple[str, ...] = ()
    index: int = 0
    given: list[str] = field(default_factory=list)
    partial: bool = False


DECLARED, KEYED, CALLED, USED, LISTED, STAGES, STAGE, SAMPLE = (
    "declaration", "key", "call", "use", "list", "stages", "stage", "sample",
)  # fmt: skip
"""The roles of frames: the block of a declaration, of a key, a call, the block behind a dataset's use, a list, the stages,
the block of a stage line, the fields of a sample."""

ARGUMENT_ROLES = frozenset({CALLED, USED})
"""What stands in such a bracket is given to what stands before it."""


def file_frame() -> Frame:
    """The whole file."""
    return Frame("", (), 0)


def read(text: str, tokens: Sequence[Token], offset: int) -> Reading:
    """What is open behind these words of a text, seen from an offset behind them."""
    reading = Reading()
    for number, token in enumerate(tokens):
        following = tokens[number + 1].type if number + 1 < len(tokens) else ""
        if token.type == "NAME" and following in {"EQUAL", "LBRACE", "DOT"}:
            reading.outdented(text, token.start_pos)
        reading.take(token)
    if reading.last is not None and reading.last.type not in CLOSERS:
        reading.outdented(text, offset)
    return reading


def _indentation(text: str, offset: int) -> int | None:
    """The column of what begins a line; None where something stands before it."""
    start = text.rfind("\n", 0, offset) + 1
    before = text[start:offset]
    return None if before.strip() else len(before)


class Reading:
    """Follows the words of a recipe. It never fails: what does not fit is passed over."""

    def __init__(self) -> None:
        self.frames: list[Frame] = [file_frame()]
        # The words since the last entry, declaration or value was finished.
        self.words: list[str] = []
        # Whether a value is being read, and the path at its end, which may be called or have a block.
        self.in_value = self._value_done = False
        self.path: list[str] = []
        self.partial = False
        self.after_dot = False
        self.colon = False
        self.clause: list[str] = []
        self.last: Token | None = None

    # -- following ----------------------------------------------------------------------------------------------------

    def take(self, token: Token) -> None:
        kind, frame = token.type, self.frames[-1]
        if kind in CLOSERS:
            self._open(token)
        elif kind in OPENERS:
            self._close(kind)
        elif kind == "EQUAL":
            self._key(frame)
            if not frame.opener:
                frame.words = tuple(self.words)
            self._value_begins()
        elif kind == "COLON":
            self._key(frame)
            if frame.role == SAMPLE:
                frame.key, self.colon = (), True
            else:
                # As other languages write it.
                self._value_begins()
        elif kind == "COMMA":
            self._entry_ends()
            frame.index += 1
        elif kind == "DOT":
            self.after_dot = True
        elif kind == "OPTIONAL":
            pass
        else:
            self._word(token, kind)
        if kind != "DOT":
            self.after_dot = False
        self.last = token

    def outdented(self, text: str, offset: int) -> None:
        """Closes the calls and lists that were left open above: what stands no deeper than their line is not inside."""
        column = _indentation(text, offset) if self.frames[-1].opener in {"(", "["} else None
        while column is not None and self.frames[-1].opener in {"(", "["}:
            opened = self.frames[-1].start
            line = text.rfind("\n", 0, opened) + 1
            outer = len(text[line:opened]) - len(text[line:opened].lstrip())
            goes_on = self.last is None or self.last.type in {"COMMA", "EQUAL"}
            if goes_on or column > outer or "\n" not in text[opened:offset]:
                return
            self._close({"(": "RPAR", "[": "RSQB"}[self.frames[-1].opener])

    def _word(self, token: Token, kind: str) -> None:
        text = str(token)
        name = kind == "NAME"
        if self.after_dot and name:
            (self.path if self.in_value else self.words).append("." + text if not self.in_value else text)
            return
        if self.in_value:
            if name and not self.path and text == "partial" and not self.partial:
                self.partial = True
                return
            if self.path or self._value_done:
                # A value is finished where the next word begins.
                self._entry_ends()
            else:
                self.path = [text] if name and text not in CONSTANTS else []
                self._value_done = True
                return
        if self.colon:
            self.colon = False
            self.words = []
            return
        if self.frames[-1].role == STAGES:
            self._stage_word(text)
        elif self.frames[-1].opener in {"(", "["}:
            # A value by its position.
            self._value_begins()
            self.path = [text] if name and text not in CONSTANTS else []
            self._value_done = True
            self.words = [text] if name else []
        else:
            self.words.append(text.strip('"') if kind == "STRING" else text)

    def _stage_word(self, text: str) -> None:
        if not self.clause:
            self.clause = [text]
        elif self.clause[-1] in CLAUSES or self._after_comma() or text in CLAUSES:
            self.clause.append(text)
        else:
            self.clause = [text]

    def _after_comma(self) -> bool:
        return self.last is not None and self.last.type == "COMMA" and len(self.clause) > 1

    def _open(self, token: Token) -> None:
        sign, frame, start = {"LBRACE": "{", "LPAR": "(", "LSQB": "["}[token.type], self.frames[-1], token.start_pos
        if sign == "(":
            self.frames.append(Frame(sign, tuple(self.path), start, CALLED, partial=self.partial))
        elif sign == "[":
            self.frames.append(Frame(sign, (), start, LISTED))
        elif frame.role == STAGES:
            self.frames.append(Frame(sign, tuple(self.clause), start, STAGE))
        elif not frame.opener:
            words = tuple(self.words)
            role = STAGES if words[:1] == ("stages",) else DECLARED
            self.frames.append(Frame(sign, words, start, role))
        elif self.in_value and self.path:
            self.frames.append(Frame(sign, tuple(self.path), start, USED))
        else:
            if not self.in_value:
                self._key(frame)
            sample = frame.key == ("sample",) and frame.role == DECLARED and frame.words[:1] == ("dataset",)
            self.frames.append(Frame(sign, frame.key, start, SAMPLE if sample else KEYED))
        self._fresh()

    def _key(self, frame: Frame) -> None:
        words = self.words[-_dotted(self.words) :] if self.words else []
        frame.key = tuple(each.removeprefix(".") for each in words)
        if frame.key:
            frame.given.append(".".join(frame.key))

    def _close(self, kind: str) -> None:
        sign = {"RBRACE": "{", "RPAR": "(", "RSQB": "["}[kind]
        at = next((index for index in range(len(self.frames) - 1, 0, -1) if self.frames[index].opener == sign), 0)
        if not at:
            return
        closed = self.frames[at]
        del self.frames[at:]
        frame = self.frames[-1]
        self._fresh()
        if closed.role == CALLED:
            # A block may follow.
            self.in_value, self._value_done, self.path = True, True, list(closed.words)
        elif closed.role == STAGE:
            self.clause = []
        elif closed.role == LISTED and not frame.opener:
            self.in_value, self._value_done = True, True
        elif closed.role in {KEYED, USED} and frame.opener == "{":
            frame.key = ()
        if not frame.opener and closed.opener == "{":
            self.clause = []

    def _value_begins(self) -> None:
        self.in_value, self.path, self.partial, self._value_done = True, [], False, False

    def _entry_ends(self) -> None:
        frame = self.frames[-1]
        if frame.opener != "[":
            frame.key = ()
        if not frame.opener:
            frame.words = ()
        self._fresh()

    def _fresh(self) -> None:
        self.words, self.in_value, self.path, self.partial, self._value_done = [], False, [], False, False
        self.colon = False

    # -- what may follow ----------------------------------------------------------------------------------------------

    def here(self, view: View, offset: int) -> What:
        """What may be written at an offset behind all that was read."""
        frame = self.frames[-1]
        if frame.role == STAGES:
            return self._in_stages(view, offset)
        if self.colon and frame.role != LISTED:
            return What.TYPE
        if frame.role == LISTED:
            return What.DIMENSION if self._is_dimension() else What.VALUE
        if self.in_value and not self._value_done:
            return What.VALUE
        if self.in_value and self._on_same_line(view, offset) and self.partial:
            return What.VALUE
        if frame.role == CALLED:
            return What.ARGUMENT
        if frame.opener:
            return What.KEY
        return self._in_file()

    def _is_dimension(self) -> bool:
        return len(self.frames) > 1 and self.frames[-2].role == SAMPLE

    def _in_file(self) -> What:
        words = self.words
        if self.in_value or not words:
            return What.DECLARATION
        match words:
            case ["config", _]:
                return What.EXTENDS
            case ["config", _, "extends"]:
                return What.BASE
            case ["recipe" | "dataset" | "config" | "parallel" | "let"]:
                return What.NAME
            case _:
                return What.DECLARATION

    def _in_stages(self, view: View, offset: int) -> What:
        clause = self.clause
        if not clause:
            return What.STAGE
        if clause[-1] in CLAUSES or self._after_comma():
            word = next((each for each in reversed(clause) if each in CLAUSES), "")
            return {"requires": What.REQUIRED, "runs": What.RUN, "on": What.MACHINE}[word]
        return What.CLAUSE if self._on_same_line(view, offset) else What.STAGE

    def _on_same_line(self, view: View, offset: int) -> bool:
        return self.last is not None and "\n" not in view.source.text[self.last.end_pos : offset]


def _dotted(words: Sequence[str]) -> int:
    """How many words at the end belong to one dotted name."""
    count = 1
    while count < len(words) and words[-count].startswith("."):
        count += 1
    return count
