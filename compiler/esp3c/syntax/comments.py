"""Where the comments of a text are. The grammar leaves them out; whoever needs them asks here.

The text may have syntax errors. A `#` inside a string, also one that is never closed, begins no comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.source import Source, Span

# The strings are those of the grammar, in the order in which its lexer prefers them. Nothing else can hold a `#`.
_STRING_OR_COMMENT = re.compile(
    r'"""[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*"""'
    r'|"""[\s\S]*'
    r'|"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"'
    r'|"[^\n]*'
    r"|'[^'\n]*'"
    r"|(?P<comment>#[^\n]*)"
)


def comments(source: Source) -> tuple[Span, ...]:
    """Every comment, from `#` to the end of its line, in the order of the text."""
    if "#" not in source.text:
        return ()
    return tuple(
        Span(source, found.start(), found.start() + len(found.group().rstrip("\r")))
        for found in _STRING_OR_COMMENT.finditer(source.text)
        if found.lastgroup == "comment"
    )


DIRECTIVE = re.compile(
    r"(?:^|(?<=\s))#+\s*esp:\s*(?P<word>[A-Za-z]+)\b(?P<list>\s*\[(?P<codes>[^\[\]]*)\])?", re.IGNORECASE
)
"""What a comment says to the compiler: `# esp: ignore[CODE, …]`."""


def about(source: Source) -> Iterator[tuple[Span, int]]:
    """Each comment with the line that it is about; 0 for a comment with nothing below it.

    Behind something it is about its own line, alone on its line about the first one below that is no such comment.
    """
    below: dict[int, int] = {}
    for each in reversed(comments(source)):
        line = source.line_of(each.start)
        if not source.text[source.line_start(line) : each.start].strip():
            under = line + 1
            blank = under > source.line_count or not source.line_text(under).strip()
            below[line] = below.get(under, 0 if blank else under)
    for each in comments(source):
        line = source.line_of(each.start)
        yield each, below.get(line, line)


def directed(source: Source) -> list[tuple[Span, int]]:
    """The comments that say something to the compiler, with the lines that they are about."""
    if "esp:" not in source.text.casefold():
        return []
    return [(comment, line) for comment, line in about(source) if DIRECTIVE.search(comment.text)]
