"""What is shown beside a name: sentences and pieces of code, as Markdown or as plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from esp3c.record import record


@record
class Said:
    """A paragraph. What stands between backquotes is code."""

    text: str


@record
class Code:
    """Lines of a recipe (`esp`) or of Python."""

    text: str
    language: str = "esp"


@record
class Place:
    """Where something stands: a file, and a line of it that counts from 1."""

    path: str
    line: int


Part: TypeAlias = Said | Code | Place

_ENVIRONMENT = re.compile(r"^.*[/\\](?:(?:site|dist)-packages|python3\.\d+)[/\\]")
_SPECIAL = re.compile(r"[\\*_<\[\]]")


def markdown(parts: Iterable[Part], uri_of: Callable[[str], str]) -> str:
    """The parts as Markdown. `uri_of` makes a URI of a file's path."""
    return "\n\n".join(_markdown(part, uri_of) for part in parts)


def _markdown(part: Part, uri_of: Callable[[str], str]) -> str:
    match part:
        case Code(text, language):
            return f"{_fence(text)}{language}\n{text}\n{_fence(text)}"
        case Place(path, line):
            # Of a file of the environment the module is told, not where the environment is: the link knows that.
            shown = code(f"{_ENVIRONMENT.sub('', path)}:{line}")
            return f"in [{shown}]({uri_of(path)}#L{line})"
        case Said(text):
            return _escaped(text)


def plain(parts: Iterable[Part]) -> str:
    return "\n\n".join(map(_plain, parts))


def _plain(part: Part) -> str:
    match part:
        case Code(text):
            return text
        case Place(path, line):
            return f"in {path}:{line}"
        case Said(text):
            return text.replace("`", "")


def _fence(text: str) -> str:
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)


def _escaped(text: str) -> str:
    """A paragraph of which Markdown takes nothing but the code for a sign of its own."""
    *pairs, last = text.split("`")
    # A backquote without a partner would make code of all that follows.
    alone = [f"{pairs.pop()}\0{last}"] if len(pairs) % 2 else [last]
    pieces = [*pairs, *alone]
    for number in range(0, len(pieces), 2):
        pieces[number] = _SPECIAL.sub(lambda found: "\\" + found[0], pieces[number])
    return "`".join(pieces).replace("\0", "\\`")


def code(text: str) -> str:
    """A piece of code inside a sentence: without the backquotes that would end it."""
    return f"`{text.replace('`', chr(39))}`"
