"""What Python says of itself in docstrings: the first paragraph, and the text of each parameter.

The three usual styles are told apart by their signs: `Args:` (Google), `Parameters` underlined (NumPy), `:param x:`
(Sphinx). A docstring is read from the text of its module; nothing is imported.
"""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from collections.abc import Iterator

from esp3c.python.model import Class, Function
from esp3c.python.reader import STOPS, Reader
from esp3c.record import field, record
from esp3c.world import Module

MOST_LINES = 600
"""How many lines of a definition are looked at for its docstring: a signature may be long."""

MOST_TEXT = 600
"""How many characters of a paragraph are shown."""


@record
class Described:
    """What a docstring says: its first paragraph, and a text for each parameter that it describes."""

    summary: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def described(reader: Reader, path: str) -> Described:
    """What the docstrings of a class or function say; of a class also that of its `__init__`."""
    found = reader.find(path)
    match found.definition:
        case Function() as function if found.module is not None:
            return read(docstring(reader, found.module, function.line))
        case Class():
            return _of_class(reader, found.path)
    return Described()


def _of_class(reader: Reader, path: str) -> Described:
    """Of the class first; what it does not say of its parameters, its `__init__` and its bases may."""
    summary, parameters = "", dict[str, str]()
    for number, owner in enumerate(reader.bases(path).paths[:4]):
        found = reader.find(owner) if owner not in STOPS else None
        if found is None or not isinstance(found.definition, Class) or found.module is None:
            continue
        lines = [found.definition.line, *(each.line for each in found.definition.defined("__init__")[-1:])]
        for line in lines:
            said = read(docstring(reader, found.module, line))
            summary = summary or (said.summary if number == 0 else "")
            for name, text in said.parameters.items():
                parameters.setdefault(name, text)
    return Described(summary, parameters)


def docstring(reader: Reader, module: Module, line: int) -> str:
    """The docstring of what is defined on this line of a module; empty where it has none."""
    source = reader.world.source(module)
    if source is None or not 1 <= line <= source.line_count:
        return ""
    last = min(source.line_count, line + MOST_LINES)
    lines = (source.line_text(number) + "\n" for number in range(line, last + 1))
    body = False
    try:
        for token in tokenize.generate_tokens(lambda: next(lines, "")):
            if token.type == tokenize.INDENT and token.start[0] > 1:
                body = True
            elif body and token.type not in {tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE}:
                text = ast.literal_eval(token.string) if token.type == tokenize.STRING else ""
                return inspect.cleandoc(text) if isinstance(text, str) else ""
    except (tokenize.TokenError, SyntaxError, ValueError):
        # What is not closed within these lines, or is no text after all, describes nothing.
        return ""
    return ""


_HEADS = re.compile(r"(?i)^(args|arguments|parameters|params|keyword args|keyword arguments|attributes)\s*:?\s*$")
_GOOGLE = re.compile(r"^(?P<names>\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?:\((?P<type>.*?)\))?\s*:(?:\s+(?P<text>.*))?$")
_NUMPY = re.compile(r"^(?P<names>\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::\s*(?P<type>.*))?$")
_SPHINX = re.compile(
    r"^:(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(?P<name>\w+)\s*:\s*(?P<text>.*)$"
)
_ROLE = re.compile(r":\w+(?::\w+)*:`~?(?:[^`<]*<)?\.?([^`>]*)>?`")
_DIRECTIVE = re.compile(r"^\.\. \w")


def read(text: str) -> Described:
    """The parts of a docstring whose indentation is taken off already."""
    if not text:
        return Described()
    lines = text.split("\n")
    parameters: dict[str, str] = {}
    for names, told in (*_sections(lines), *_fields(lines)):
        for name in names.split(","):
            parameters.setdefault(name.strip().lstrip("*"), plain(told))
    return Described(_summary(lines), parameters)


def _summary(lines: list[str]) -> str:
    found: list[str] = []
    for line in lines:
        if not line.strip() or _HEADS.match(line) or _SPHINX.match(line) or _DIRECTIVE.match(line):
            break
        found.append(line)
    return plain(" ".join(found))


def _sections(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The parameters below a heading, in Google's or NumPy's form."""
    number = 0
    while number < len(lines):
        heading = _HEADS.match(lines[number].strip())
        level = _indent(lines[number])
        number += 1
        if heading is None:
            continue
        underlined = number < len(lines) and set(lines[number].strip()) == {"-"}
        start = number + underlined
        end = start
        while end < len(lines) and not _ends(lines, end, level, underlined):
            end += 1
        yield from _items(lines[start:end], _NUMPY if underlined else _GOOGLE)
        number = end


def _ends(lines: list[str], number: int, level: int, underlined: bool) -> bool:
    line = lines[number]
    if not line.strip():
        return False
    if underlined:
        return (
            number + 1 < len(lines) and bool(lines[number + 1].strip()) and set(lines[number + 1].strip()) <= {"-", "="}
        )
    return _indent(line) <= level


def _items(lines: list[str], form: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    level = min((_indent(line) for line in lines if line.strip()), default=0)
    names, text = "", list[str]()
    for line in lines:
        match = form.match(line.strip()) if line.strip() and _indent(line) == level else None
        if match is not None:
            if names:
                yield names, " ".join(text)
            names, text = match["names"], [match.groupdict().get("text") or ""]
        elif names:
            text.append(line.strip())
    if names:
        yield names, " ".join(text)


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Sphinx's fields, which go on as long as lines are indented."""
    name, text = "", list[str]()
    for line in lines:
        match = _SPHINX.match(line.strip())
        if match is not None or (name and (line.strip().startswith(":") or not line.strip() or not _indent(line))):
            if name:
                yield name, " ".join(text)
            name = ""
        if match is not None:
            name, text = match["name"], [match["text"]]
        elif name:
            text.append(line.strip())
    if name:
        yield name, " ".join(text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def plain(text: str) -> str:
    """Text without the signs of reStructuredText, cut where it is long."""
    text = _ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2] or found[1]}`", text)
    text = " ".join(text.replace("``", "`").split())
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1].rstrip() + "…"
