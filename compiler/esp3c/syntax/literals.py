"""What a literal means: numbers, quantities, and strings with their escapes and interpolations.

These functions return facts about what is wrong instead of raising, so that one bad literal costs only itself.
"""

from __future__ import annotations

import re

from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax.ast import Dimension, Interpolation

UNITS: dict[str, tuple[Dimension, int | float]] = {
    "ms": (Dimension.DURATION, 0.001),
    "s": (Dimension.DURATION, 1),
    "min": (Dimension.DURATION, 60),
    "h": (Dimension.DURATION, 3600),
    "d": (Dimension.DURATION, 86400),
    "B": (Dimension.SIZE, 1),
    "KB": (Dimension.SIZE, 10**3),
    "MB": (Dimension.SIZE, 10**6),
    "GB": (Dimension.SIZE, 10**9),
    "TB": (Dimension.SIZE, 10**12),
    "KiB": (Dimension.SIZE, 2**10),
    "MiB": (Dimension.SIZE, 2**20),
    "GiB": (Dimension.SIZE, 2**30),
    "TiB": (Dimension.SIZE, 2**40),
    "Hz": (Dimension.FREQUENCY, 1),
    "kHz": (Dimension.FREQUENCY, 10**3),
    "MHz": (Dimension.FREQUENCY, 10**6),
}

_NUMBER = re.compile(r"(?P<digits>-?\d[\d_]*)(?P<fraction>\.\d[\d_]*)?(?P<exponent>[eE][+-]?\d+)?(?P<unit>[^\W\d]\w*)?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}
_INTERESTING = re.compile(r"[\\$]")


@record
class Problem:
    """What is wrong with the characters of `span`. `kind` selects the message."""

    kind: str
    span: Span
    detail: str = ""


@record
class NumberMeaning:
    value: int | float
    dimension: Dimension | None = None
    problem: Problem | None = None


def read_number(span: Span) -> NumberMeaning:
    """The value of a number or quantity in base units."""
    text = span.text
    match = _NUMBER.fullmatch(text)
    assert match, text
    digits, fraction, exponent, unit = match.group("digits", "fraction", "exponent", "unit")
    if digits.endswith("_") or "__" in text or (fraction or "").endswith("_"):
        return NumberMeaning(0, problem=Problem("underscore", span))
    value: int | float
    if fraction or exponent:
        value = float((digits + (fraction or "") + (exponent or "")).replace("_", ""))
        if value in (float("inf"), float("-inf")):
            return NumberMeaning(0, problem=Problem("too-large", span))
    else:
        plain = digits.replace("_", "")
        # Python refuses longer ones, and no setting of a recipe needs them.
        if len(plain) > 40:
            return NumberMeaning(0, problem=Problem("too-large", span))
        value = int(plain)
    if unit is None:
        return NumberMeaning(value)
    known = UNITS.get(unit)
    if known is None:
        at = Span(span.source, span.end - len(unit), span.end)
        return NumberMeaning(value, problem=Problem("unit", at, unit))
    dimension, factor = known
    scaled = value / 1000 if factor == 0.001 else value * factor
    if isinstance(scaled, float) and scaled.is_integer() and abs(scaled) < 2**53:
        scaled = int(scaled)
    return NumberMeaning(scaled, dimension)


@record
class TextMeaning:
    parts: tuple[str | Interpolation, ...]
    problems: tuple[Problem, ...]


def read_text(span: Span, *, long: bool) -> TextMeaning:
    """Decodes a string token, quotes included. `\\n \\t \\r \\\\ \\" \\u{1F600}` are the escapes; `$${` is a literal `${`.

    A long string (three quotes) loses its first line if that is empty, its last line if it holds only white space,
    and the indentation that all its other lines share, as in Python's `textwrap.dedent`.
    """
    source, start, end = span
    quotes = 3 if long else 1
    body = source.text[start + quotes : end - quotes]
    reader = _TextReader(source_span=span, offset=start + quotes, body=body)
    reader.run()
    parts = tuple(reader.parts)
    if long:
        parts = _dedent(parts)
    return TextMeaning(parts, tuple(reader.problems))


class _TextReader:
    def __init__(self, source_span: Span, offset: int, body: str) -> None:
        self.span = source_span
        self.offset = offset
        self.body = body
        self.parts: list[str | Interpolation] = []
        self.problems: list[Problem] = []
        self.plain: list[str] = []
        self._partners: dict[int, int] | None = None

    def place(self, start: int, end: int) -> Span:
        return Span(self.span.source, self.offset + start, self.offset + end)

    def run(self) -> None:
        body, at = self.body, 0
        while True:
            found = _INTERESTING.search(body, at)
            if found is None:
                self.plain.append(_lines(body[at:]))
                break
            here = found.start()
            self.plain.append(_lines(body[at:here]))
            at = self.escape(here) if body[here] == "\\" else self.dollar(here)
        self.flush()

    def flush(self) -> None:
        text = "".join(self.plain)
        self.plain.clear()
        if text:
            self.parts.append(text)

    def escape(self, at: int) -> int:
        body = self.body
        letter = body[at + 1] if at + 1 < len(body) else ""
        if letter == "u":
            match = re.compile(r"\{([0-9a-fA-F]{1,6})\}").match(body, at + 2)
            code = int(match.group(1), 16) if match else -1
            if match and 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000:
                self.plain.append(chr(code))
                return match.end()
            self.problems.append(Problem("unicode", self.place(at, at + 2)))
            return at + 2
        if letter == "\n":
            return at + 2
        if body.startswith("\r\n", at + 1):
            return at + 3
        if letter in _ESCAPES and letter:
            self.plain.append(_ESCAPES[letter])
        else:
            self.problems.append(Problem("escape", self.place(at, at + 2), letter))
        return at + 2

    def dollar(self, at: int) -> int:
        body = self.body
        if body.startswith("$${", at):
            self.plain.append("${")
            return at + 3
        if not body.startswith("${", at):
            self.plain.append("$")
            return at + 1
        close = self._closing(at + 2)
        if close is None:
            self.problems.append(Problem("interpolation", self.place(at, min(at + 2, len(body)))))
            self.plain.append("${")
            return at + 2
        expression = body[at + 2 : close]
        self.flush()
        if not expression.strip():
            self.problems.append(Problem("empty-interpolation", self.place(at, close + 1)))
        else:
            lead = len(expression) - len(expression.lstrip())
            start = at + 2 + lead
            text = expression.strip()
            self.parts.append(Interpolation(text, self.place(start, start + len(text))))
        return close + 1

    def _closing(self, at: int) -> int | None:
        """The `}` that closes the `{` just before `at`, on the same line."""
        if self._partners is None:
            # All of them in one pass: a text may hold thousands that are never closed.
            self._partners = {}
            opened: list[int] = []
            for found in re.finditer(r"[{}\n]", self.body):
                match found.group():
                    case "{":
                        opened.append(found.start())
                    case "}":
                        if opened:
                            self._partners[opened.pop()] = found.start()
                    case _:
                        opened.clear()
        return self._partners.get(at - 1)


def _lines(raw: str) -> str:
    """Line ends are `\\n`, however the file has them; a `\\r\\n` that is written as escapes stays."""
    return raw.replace("\r\n", "\n")


def _dedent(parts: tuple[str | Interpolation, ...]) -> tuple[str | Interpolation, ...]:
    # Interpolations take part as one visible character: they keep their line from being empty.
    # A lone surrogate stands for them: text that was decoded from a file holds none.
    mark = "\udfff"
    joined = "".join(part if isinstance(part, str) else mark for part in parts)
    lines = joined.split("\n")
    first_dropped = len(lines) > 1 and not lines[0].strip(" \t")
    last_dropped = len(lines) > 1 and not lines[-1].strip(" \t")
    margins = [len(line) - len(line.lstrip(" \t")) for line in lines[1:] if line.strip(" \t")]
    margin = min(margins, default=0)
    kept = lines[1:] if first_dropped else lines
    begin = 1 if first_dropped else 0
    texts = [line[margin:] if begin + number > 0 else line for number, line in enumerate(kept)]
    if last_dropped:
        texts[-1] = ""
    text = "\n".join("" if not line.strip(" \t") else line for line in texts)
    interpolations = iter(part for part in parts if isinstance(part, Interpolation))
    out: list[str | Interpolation] = []
    for number, piece in enumerate(text.split(mark)):
        if number:
            out.append(next(interpolations))
        if piece:
            out.append(piece)
    return tuple(out)
