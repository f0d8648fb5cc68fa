"""Where in a recipe one is writing: the brackets around a place, what each belongs to, and what may follow.

It is worked out from the words before the place alone. So it holds while the line is not finished, where the syntax
tree has nothing of it; what stands behind the place does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

from esp3c.query.context_reading import Frame, What, file_frame, read
from esp3c.query.view import View
from esp3c.record import record
from esp3c.syntax.comments import comments
from esp3c.syntax.grammar import CLOSERS, OPENERS
from esp3c.syntax.lalr import Token


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
            return Context(What.COMMENT, (file_frame(),), (), "", offset, offset)
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
    reading = read(text, tokens[:first], tokens[first].start_pos if first < len(tokens) and path else begins)
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
    reading = read(view.source.text, tokens[:last], current.start_pos)
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
    frames = tuple(read(text, tokens[:last], current.start_pos).frames)
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
