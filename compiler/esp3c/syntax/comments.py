"""Where the comments of a text are. The grammar leaves them out; whoever needs them asks here.

The text may have syntax errors. A `#` inside a string, also one that is never closed, begins no comment.
"""

from __future__ import annotations

import re

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
