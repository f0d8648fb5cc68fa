"""Where in a recipe one is writing: the brackets around a place, what each belongs to, and what may follow.

It is worked out from the words before the place alone. So it holds while the line is not finished, where the syntax
tree has nothing of it; what stands behind the place does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from esp3c.query.view import View
from esp3c.record import field, mutable, record
from esp3c.syntax.comments import comments
from esp3c.syntax.grammar import CLAUSES, CLOSERS, CONSTANTS, OPENERS, WELL_KNOWN
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


@record
class Context:
    """A place where something is written.

    `frames` are the open brackets from the outside in. `path` are the finished parts of a dotted name before the word
    (`src.model.` gives two), `word` what of the word stands before the place; `start` and `end` are all of the word, also
    behind the place. `clause` is the stage line that is being written. In a string `word` is its text up to the place,
    and `closed` says whether its quotes are closed; in an interpolation they say the same of its last name and its
    brace. For a unit `path` holds the digits. `partial`: the value is that of a partial call. `new`: the word
    stands before the key.
    """

    what: What
    frames: tuple[Frame, ...]
    path: tuple[str, ...]
    word: str
    start: int
    end: int
    clause: tuple[str, ...] = ()
    closed: bool = True
    partial: bool = False
    new: bool = False

    @property
    def frame(self) -> Frame:
        return self.frames[-1]


def context(view: View, offset: int) -> Context:
    """What may be written at an offset."""
    text = view.source.text
    for comment in comments(view.source):
        if comment.start < offset <= comment.end:
            return Context(What.COMMENT, (_file(),), (), "", offset, offset)
    tokens = view.tokens
    last = _before(tokens, offset)
    current = tokens[last] if last >= 0 and tokens[last].start_pos < offset <= tokens[last].end_pos else None
    if current is not None and current.type == "NAME":
        first = last
        while first >= 2 and tokens[first - 1].type == "DOT" and tokens[first - 2].type == "NAME":
            first -= 2
        begins, path = current.start_pos, tuple(str(each) for each in tokens[first:last:2])
        word, end = text[current.start_pos : offset], current.end_pos
    elif current is not None and current.type == "NUMBER":
        return _unit(view, tokens, last, current, offset)
    elif current is not None and _inside_string(current, offset):
        return _string(view, tokens, last, current, offset)
    elif last >= 0 and tokens[last].type == "DOT" and last >= 1 and tokens[last - 1].type == "NAME":
        first = last - 1
        while first >= 2 and tokens[first - 1].type == "DOT" and tokens[first - 2].type == "NAME":
            first -= 2
        begins, path, word, end = offset, tuple(str(each) for each in tokens[first:last:2]), "", offset
    else:
        first, begins, path, word, end = last + 1, offset, (), "", offset
    reading = _read(tokens[:first])
    what = reading.here(view, offset)
    if what in {What.KEY, What.ARGUMENT}:
        # The value of the entry before this one is finished.
        reading.frames[-1].key = ()
    return Context(
        what, tuple(reading.frames), path, word, begins, end, tuple(reading.clause),
        partial=reading.partial and what is What.VALUE, new=reading.words[-1:] == ["new"] and what is What.KEY,
    )  # fmt: skip


def behind(view: View, place: Context) -> frozenset[str]:
    """The keys or arguments that stand behind a place in the bracket around it: they are given already."""
    found: set[str] = set()
    depth, valued, name = 0, False, ""
    tokens = view.tokens
    last = ""
    for token in tokens[_before(tokens, place.end) + 1 :]:
        kind = token.type
        if kind in CLOSERS:
            if not depth and name and kind == "LBRACE":
                found.add(name)
            depth += 1
            name = ""
        elif kind in OPENERS:
            depth -= 1
            if depth < 0:
                break
            valued = False
        elif not depth:
            if kind in {"EQUAL", "COLON"}:
                if name:
                    found.add(name)
                valued, name = True, ""
            elif kind == "NAME" and last == "DOT":
                name = f"{name}.{token}" if name else ""
            elif kind in {"NAME", "STRING"}:
                # The first word behind a sign is the value, the next one a key again.
                name = "" if valued and last in {"EQUAL", "COLON"} else str(token).strip('"')
            elif kind not in {"DOT", "OPTIONAL"}:
                name = ""
        last = kind
    return frozenset(found)


def _unit(view: View, tokens: Sequence[Token], last: int, current: Token, offset: int) -> Context:
    text = view.source.text[current.start_pos : offset]
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    reading = _read(tokens[:last])
    start = current.start_pos + len(digits)
    word = view.source.text[start : current.end_pos]
    what = What.UNIT if word.isalpha() or not word else What.NUMBER
    return Context(what, tuple(reading.frames), (digits,), text[len(digits) :], start, current.end_pos)


def _inside_string(token: Token, offset: int) -> bool:
    if token.type in {"UNCLOSED", "UNCLOSED_LONG"}:
        return True
    return token.type in {"STRING", "LONG_STRING", "SINGLE_QUOTED"} and offset < token.end_pos


def _string(view: View, tokens: Sequence[Token], last: int, current: Token, offset: int) -> Context:
    text, closed = view.source.text, "UNCLOSED" not in current.type
    quotes = 3 if "LONG" in current.type else 1
    begins = current.start_pos + quotes
    # What stands behind a quote that is not closed may be anything: a word of it at most belongs to the string.
    end = current.end_pos - quotes if closed else _word_end(text, offset, "/.-")
    before = text[begins:offset]
    frames = tuple(_read(tokens[:last]).frames)
    opened = before.rfind("${")
    dollars = len(before[: opened + 1]) - len(before[: opened + 1].rstrip("$"))
    if opened >= 0 and "}" not in before[opened:] and dollars % 2:
        *path, word = before[opened + 2 :].split(".")
        end = _word_end(text, offset)
        closed = text[end : end + 1] in {"}", "."}
        return Context(What.INTERPOLATION, frames, tuple(path), word, offset - len(word), end, closed=closed)
    return Context(What.STRING, frames, (), before, begins, max(end, offset), closed=closed)


def _word_end(text: str, offset: int, signs: str = "") -> int:
    while offset < len(text) and (text[offset].isalnum() or text[offset] == "_" or text[offset] in signs):
        offset += 1
    return offset


def _before(tokens: Sequence[Token], offset: int) -> int:
    """The index of the last token that begins before the offset; -1 where there is none."""
    low, high = 0, len(tokens)
    while low < high:
        middle = (low + high) // 2
        if tokens[middle].start_pos < offset:
            low = middle + 1
        else:
            high = middle
    return low - 1


def _file() -> Frame:
    return Frame("", (), 0)


def _read(tokens: Sequence[Token]) -> _Reading:
    reading = _Reading()
    for token in tokens:
        reading.take(token)
    return reading


class _Reading:
    """Follows the words of a recipe. It never fails: what does not fit is passed over."""

    def __init__(self) -> None:
        self.frames: list[Frame] = [_file()]
        # The words since the last entry, declaration or value was finished.
        self.words: list[str] = []
        # Whether a value is being read, and the path at its end, which may be called or have a block.
        self.in_value = False
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
            if self.path or self._value_is_there():
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

    _value_done = False

    def _value_is_there(self) -> bool:
        return self._value_done

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


def is_config(words: Sequence[str]) -> bool:
    """Whether the words of a declaration begin a config."""
    return words[:1] == ("config",) or (len(words) == 1 and words[0] in WELL_KNOWN)
