"""What is shown beside a name: sentences and pieces of code, as Markdown or as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


Part: TypeAlias = Said | Code

_SPECIAL = re.compile(r"[\\*_<\[\]]")


def markdown(parts: Iterable[Part]) -> str:
    return "\n\n".join(
        f"{_fence(part.text)}{part.language}\n{part.text}\n{_fence(part.text)}"
        if isinstance(part, Code)
        else _escaped(part.text)
        for part in parts
    )


def plain(parts: Iterable[Part]) -> str:
    return "\n\n".join(part.text if isinstance(part, Code) else part.text.replace("`", "") for part in parts)


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
