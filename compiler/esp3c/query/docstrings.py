"""Docstrings as they are shown: without the signs of reStructuredText, and no longer than one reads beside a name."""

from __future__ import annotations

import ast
import inspect
import re
import tokenize

from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader
from esp3c.query.hover_parts import Code, Part, Said
from esp3c.query.signatures_docs import docstring
from esp3c.world import Module

MOST_PARTS = 6
MOST_TEXT = 1_500
"""How much of a docstring is shown: paragraphs and characters."""

_ROLE = re.compile(r":[\w:+.-]+:`~?(?:[^`<]*<)?([^`>]*)>?`")
_SECTIONS = re.compile(
    r"(?i)^(args|arguments|parameters|params|keyword args|keyword arguments|attributes|shape)\s*:?\s*$"
)
_DIRECTIVE = re.compile(r"^\.\.\s")
_FIELD = re.compile(r"^:\w[^:]*:")
_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]+>`__?|`([^`]+)`__?")


def docstring_of(reader: Reader, path: str) -> str:
    """The docstring of what a dotted path leads to, its indentation taken off; of a class without one that of its `__init__`."""
    found = reader.find(path)
    if found.module is None:
        return ""
    match found.definition:
        case Class() as node:
            init = [docstring(reader, found.module, each.line) for each in node.defined("__init__")[-1:]]
            own = docstring(reader, found.module, node.line) or _given_later(reader, found.module, node.name)
            return own or next(iter(init), "")
        case Function() as function:
            return docstring(reader, found.module, function.line)
        case None if found.module.name == found.path and not found.why:
            return _of_module(reader, found.module)
    return ""


def _of_module(reader: Reader, module: Module) -> str:
    source = reader.world.source(module)
    return _first_text(source.text[:20_000]) if source is not None else ""


def _given_later(reader: Reader, module: Module, name: str) -> str:
    """The first text of `Name.__doc__ = …`, by which torch gives docstrings that are put together."""
    source = reader.world.source(module)
    found = (
        re.search(rf"^{re.escape(name)}\.__doc__\s*=\s*\(?", source.text, re.MULTILINE) if source is not None else None
    )
    if source is None or found is None:
        return ""
    return _first_text(source.text[found.end() : found.end() + 20_000])


def _first_text(text: str) -> str:
    """The string that a piece of Python begins with."""
    lines = iter(text.splitlines(keepends=True))
    try:
        for token in tokenize.generate_tokens(lambda: next(lines, "")):
            if token.type in {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.ENCODING}:
                continue
            value = ast.literal_eval(token.string) if token.type == tokenize.STRING else ""
            return inspect.cleandoc(value) if isinstance(value, str) else ""
    except (tokenize.TokenError, SyntaxError, ValueError):
        # What is not closed, or is no text after all, says nothing.
        return ""
    return ""


def shown(text: str) -> list[Part]:
    """The paragraphs of a docstring up to its parameters, which are shown with the signature."""
    parts: list[Part] = []
    length = 0
    for block in _blocks(text):
        if length + len(block.text) > MOST_TEXT or len(parts) == MOST_PARTS:
            parts.append(Said("…"))
            break
        length += len(block.text)
        parts.append(block)
    return parts


def _blocks(text: str) -> list[Said | Code]:
    blocks: list[Said | Code] = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.split("\n")
        first = lines[0].strip()
        if _SECTIONS.match(first) or _FIELD.match(first) or _underlined(lines):
            break
        if _DIRECTIVE.match(first):
            continue
        if any(line.strip().startswith(">>>") for line in lines):
            blocks.append(Code(inspect.cleandoc(paragraph), "python"))
        elif paragraph.startswith("    ") and blocks:
            blocks.append(Code(inspect.cleandoc(paragraph), "text"))
        elif first:
            listed = [line for line in lines if re.match(r"\s*([-*#]|\d+)\.?\s", line)]
            joined = "\n".join(line.strip() for line in lines) if listed else " ".join(line.strip() for line in lines)
            blocks.append(Said(plain(joined)))
    return blocks


def _underlined(lines: list[str]) -> bool:
    return len(lines) > 1 and len(lines[1].strip()) > 2 and set(lines[1].strip()) <= {"-", "="}


def plain(text: str) -> str:
    """A paragraph without roles, links and doubled backquotes."""
    text = _ROLE.sub(lambda found: f"`{found[1].lstrip('.')}`", text)
    text = text.replace("``", "`")
    return _LINK.sub(lambda found: f"`{found[1] or found[2]}`", text)
