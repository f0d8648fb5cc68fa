"""Python text from parts that cannot leave their places.

A `Writer` takes text of the compiler's own, names that are checked to be names, and literals that `ast` writes. The
finished module is parsed once more, so that what is emitted is Python whatever the recipe holds.
"""

from __future__ import annotations

import ast
import keyword

from esp3c.emit.files import Traced
from esp3c.source import Span


def literal(value: str) -> str:
    """A string as a Python literal, in double quotes where that needs no escapes."""
    text = ast.unparse(ast.Constant(value))
    if text.startswith("'") and '"' not in text:
        return f'"{text[1:-1]}"'
    return text


def name(text: str) -> str:
    """A single name. `ValueError` where the text is none, which a checked recipe cannot bring about."""
    if not (text.isascii() and text.isidentifier()) or keyword.iskeyword(text):
        raise ValueError(f"{text!r} is not a Python name")
    return text


def dotted(text: str) -> str:
    """A dotted path of names."""
    return ".".join(name_or_unicode(part) for part in text.split("."))


def name_or_unicode(text: str) -> str:
    # Modules of a recipe may be called anything that Python takes.
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError(f"{text!r} is not a Python name")
    return text


def prose(text: str) -> str:
    """Text of a recipe inside a docstring: what could end the docstring is left out."""
    return "".join(char for char in text if char.isprintable() and char not in '"\\')


def camel(text: str) -> str:
    """`spoken_digits` → `SpokenDigits`."""
    joined = "".join(part[:1].upper() + part[1:] for part in text.split("_") if part)
    return joined if joined and not joined[0].isdigit() else f"Recipe{joined}"


class Writer:
    """Collects lines, with the place in the recipe that a line comes from."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.spans: list[Traced] = []

    def __call__(self, line: str = "", *, at: str = "", span: Span | None = None) -> None:
        if span is not None:
            self.spans.append(Traced(at, len(self.lines) + 1, span))
        self.lines.append(line)

    def text(self) -> str:
        """The module. It is Python, or an assertion fails: then the compiler is wrong, not the recipe."""
        text = "\n".join(self.lines).rstrip("\n") + "\n"
        ast.parse(text)
        return text
