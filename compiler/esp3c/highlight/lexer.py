"""The Pygments lexer of recipes, `esp`.

Like the parser it goes by where a word stands: `dataset` is a keyword where a declaration may begin, a key in a block, and
a name behind `=`. Its states are the places of a recipe. Nothing is ever an error: what has no meaning is plain text, a
bracket that is missing costs no more than its declaration, and single entries, as documentation shows them, are read like
those of a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, default, include
from pygments.lexer import words as any_of
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
    Whitespace,
    _TokenType,
)

Found = Iterator[tuple[int, _TokenType, str]]
State = list[Any]

# A quantifier that gives nothing back (`*+`) keeps a match that fails from being tried at every length.
_NAME = r"[^\W\d]\w*+"
_BLANK = r"[ \t\r\n\f\ufeff]"
_GAP = rf"(?:{_BLANK}|#[^\n]*+(?:\n|\Z))*+"
_PATH = rf"({_NAME}(?:{_GAP}\.{_GAP}{_NAME})*+)(?={_GAP}([(=])?)"
_NUMBER = r"(-?\d[\d_]*)(\.\d[\d_]*)?([eE][+-]?\d+)?([^\W\d]\w*)?"
_PART = re.compile(rf"(?P<name>{_NAME})|(?P<dot>\.)|(?P<comment>#[^\n]*)|{_BLANK}+")
_BESIDE = {"dot": Punctuation, "comment": Comment.Single, None: Whitespace}

_TO_DECLARATIONS = "#pop:100000"
"""Out of all that may be open."""


def _path(match: re.Match[str], kinds: tuple[_TokenType, _TokenType] | None) -> Found:
    """The words of a dotted path with what stands between them, as `kinds` says of the others and the last.

    Without `kinds`, the last is a class if it looks like one, and otherwise a function, and the others are modules.
    """
    *before, last = _PART.finditer(match.string, *match.span(1))
    if kinds is None:
        kinds = (Name.Namespace, Name.Class if _is_class(last.group()) else Name.Function)
    for each in before:
        yield each.start(), kinds[0] if each.lastgroup == "name" else _BESIDE[each.lastgroup], each.group()
    yield last.start(), kinds[1], last.group()


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()


def _called(_: Any, match: re.Match[str]) -> Found:
    return _path(match, None)


def _named(_: Any, match: re.Match[str]) -> Found:
    """A path where a value stands: what is called, a class, or a name; or the next key, where the value is missing."""
    path, sign = match.groups()
    if sign == "(" or (sign is None and "." in path and _is_class(path[path.rindex(".") + 1 :].lstrip())):
        return _path(match, None)
    return _path(match, (Name.Attribute, Name.Attribute) if sign else (Name, Name))


def _nothing(_: Any, __: re.Match[str]) -> Found:
    yield from ()


def _number(units: tuple[str, ...]) -> Any:
    def number(_: Any, match: re.Match[str]) -> Found:
        digits, fraction, exponent, unit = match.groups()
        text = digits + (fraction or "") + (exponent or "")
        yield match.start(), Number.Float if fraction or exponent else Number.Integer, text
        if unit:
            yield match.start(4), Keyword.Type if unit in units else Name, unit

    return number


def _text(name: str, quotes: str) -> dict[str, State]:
    """The states inside text, of one line or, with three quotes, of several."""
    long = len(quotes) > 1
    inside, behind_colon = f"{name}-interpolation", f"{name}-resolver"
    # Text of several lines may hold single quotes. An interpolation ends with its line in any case.
    quote = [(r'"(?!"")', String.Double)] if long else []
    braces = [
        (r"\}", String.Interpol, "#pop"),
        (r"\$\{", String.Interpol, inside),
        (r"\{", String.Interpol, behind_colon),
        (r"\\[^\n]", String.Double),
        *quote,
    ]
    return {
        name: [
            (r'[^"\\$]+' if long else r'[^"\\$\n]+', String.Double),
            (quotes, String.Double, "#pop"),
            (r"\$\$\{", String.Escape),
            (r"\$\{", String.Interpol, inside),
            (r'\\(?:[ntr"\\]|u\{[0-9a-fA-F]{1,6}\})', String.Escape),
            *([(r"\\\r?\n", String.Escape)] if long else []),
            (r"\\[^\n]", String.Double),
            *quote,
            (r"[\\$]", String.Double),
            default("#pop"),
        ],
        inside: [
            (rf"{_NAME}(?:\.{_NAME})*+(?=[ \t]*:)", Name.Function),
            (rf"{_NAME}(?:\.{_NAME})*+", Name.Variable),
            (":", Punctuation, ("#pop", behind_colon)),
            *braces,
            (r'[^\n"]', String.Double),
            default("#pop"),
        ],
        behind_colon: [
            (r'[^"\\${}\n]+', String.Double),
            *braces,
            (r'[^\n"]', String.Double),
            default("#pop"),
        ],
    }


def _states() -> dict[str, State]:
    """The places of a recipe, and what may stand there."""
    # They are made of the whole schema, which whoever only asks for the lexers that there are need not read.
    from esp3c.words import words

    known = words()
    named = tuple(each for each in known.declarations if each != "stages")
    behind = {
        "recipe": "class",
        "dataset": "class",
        "config": ("extends", "class"),
        "parallel": ("machine", "constant"),
    }
    behind_clause = {"requires": "required", "runs": "runs", "on": "constant"}
    number = (_NUMBER, _number(known.units))
    constant = (any_of(known.constants, suffix=r"\b"), Keyword.Constant)
    return {
        "root": [
            include("blank"),
            *(
                # Where a sign of a key is behind it, the text is a part of a recipe, and the word a key.
                (rf"{word}\b(?!{_GAP}[={{.:?])", Keyword.Declaration, behind.get(word, "constant"))
                for word in named
            ),
            (rf"stages\b(?!{_GAP}[=.:?])", Keyword.Declaration, "stages-begin"),
            (any_of(known.well_known, suffix=rf"\b(?!{_GAP}[=.:?])"), Keyword.Declaration),
            include("entries"),
            (r"\}", Punctuation),
            (r".", Text),
        ],
        "blank": [
            (rf"{_BLANK}+", Whitespace),
            (r"#+[ \t]*(?i:esp):[ \t]*[A-Za-z]+(?:[ \t]*\[[^\[\]\n]*\])?", Comment.Special, "remark"),
            (r"#[^\n]*", Comment.Single),
        ],
        "remark": [(r"[^\n]+", Comment.Single), default("#pop")],
        # What a declaration is called, and what follows on it.
        "class": [include("blank"), (_NAME, Name.Class, "#pop"), default("#pop")],
        "constant": [include("blank"), (_NAME, Name.Constant, "#pop"), default("#pop")],
        "extends": [include("blank"), (r"extends\b", Keyword, ("#pop", "class")), default("#pop")],
        "machine": [include("blank"), (r"=", Operator, ("#pop", "backend")), default("#pop")],
        "backend": [
            include("blank"),
            (any_of(known.backends, suffix=rf"\b(?={_GAP}\()"), Name.Builtin, "#pop"),
            default(("#pop", "value")),
        ],
        "stages-begin": [include("blank"), (r"\{", Punctuation, ("#pop", "stages")), default("#pop")],
        "stages": [
            include("blank"),
            (r"\}", Punctuation, "#pop"),
            (any_of(known.stages, suffix=r"\b"), Name.Builtin, "stage"),
            (_NAME, Name.Function, "stage"),
            (r"\{", Punctuation, "block"),
            (r"[,.()\[\]]", Punctuation),
            (r".", Text),
        ],
        "stage": [
            include("blank"),
            *((rf"{word}\b", Keyword, behind_clause.get(word, "class")) for word in known.clauses),
            (r"\{", Punctuation, ("#pop", "block")),
            default("#pop"),
        ],
        "required": [include("blank"), (_NAME, Name.Class, ("#pop", "further")), default("#pop")],
        "further": [include("blank"), (r",", Punctuation, ("#pop", "required")), default("#pop")],
        "runs": [include("blank"), (_PATH, _called, "#pop"), default("#pop")],
        "block": [include("blank"), (r"\}", Punctuation, "#pop"), include("lost"), include("entries"), (r".", Text)],
        "lost": [
            # None of this can stand inside a bracket: one is missing before it.
            (rf"^(?=(?:{'|'.join(named)})\b[ \t]+{_NAME}[ \t]*+(?:[={{]|extends\b))", _nothing, _TO_DECLARATIONS),
        ],
        "entries": [
            (rf'new\b(?={_GAP}(?:[^\W\d]|"))', Keyword),
            (any_of(known.hydra_keys, suffix=r"\b"), Name.Builtin.Pseudo),
            (_NAME, Name.Attribute),
            (r"=", Operator, "value"),
            (r"\?", Operator),
            (r":", Punctuation, "type"),
            (r"[,.)\]]", Punctuation),
            include("brackets"),
            include("texts"),
            number,
        ],
        "type": [
            include("blank"),
            (any_of(known.types, suffix=r"\b"), Keyword.Type, ("#pop", "dimensions-begin")),
            (_NAME, Name, ("#pop", "dimensions-begin")),
            default("#pop"),
        ],
        "dimensions-begin": [include("blank"), (r"\[", Punctuation, ("#pop", "dimensions")), default("#pop")],
        "dimensions": [
            include("blank"),
            (r"\]", Punctuation, "#pop"),
            (r",", Punctuation),
            (_NAME, Name.Variable),
            number,
            default("#pop"),
        ],
        "value": [
            include("blank"),
            (r"partial\b", Keyword),
            (*constant, "#pop"),
            (_PATH, _named, "#pop"),
            (*number, "#pop"),
            (r"\{", Punctuation, ("#pop", "block")),
            (r"\[", Punctuation, ("#pop", "list")),
            (r'"""', String.Double, ("#pop", "long")),
            (r'"', String.Double, ("#pop", "text")),
            (r"'[^'\n]*'", String.Single, "#pop"),
            default("#pop"),
        ],
        "list": [include("blank"), (r"\]", Punctuation, "#pop"), include("values")],
        "arguments": [
            include("blank"),
            (r"\)", Punctuation, "#pop"),
            (rf"(?!(?:{'|'.join((*known.constants, 'partial'))})\b){_NAME}(?={_GAP}=)", Name.Variable),
            include("values"),
        ],
        "values": [
            include("lost"),
            (r"partial\b", Keyword),
            constant,
            (_PATH, _named),
            number,
            (r"=", Operator),
            (r"[,.:]", Punctuation),
            include("brackets"),
            include("texts"),
            # The bracket of something around it: what is open here was not closed.
            (r"[^\])}]", Text),
            default("#pop"),
        ],
        "brackets": [
            (r"\{", Punctuation, "block"),
            (r"\[", Punctuation, "list"),
            (r"\(", Punctuation, "arguments"),
        ],
        "texts": [
            (r'"""', String.Double, "long"),
            (r'"', String.Double, "text"),
            (r"'[^'\n]*'", String.Single),
        ],
        **_text("text", '"'),
        **_text("long", '"""'),
    }


class EspLexer(RegexLexer):
    """Recipes of esp3c. The words that it knows are those of the installed version."""

    name = "esp"
    aliases: ClassVar[list[str]] = ["esp", "esp3c"]
    filenames: ClassVar[list[str]] = ["*.esp"]
    mimetypes: ClassVar[list[str]] = ["text/x-esp"]

    @classmethod
    def get_tokendefs(cls) -> dict[str, State]:
        """The rules, asked for when the first lexer is made."""
        return _states()

    @staticmethod
    def analyse_text(text: str) -> float:
        """How much a text looks like a recipe: its declarations have few lookalikes."""
        named = re.search(rf"^recipe[ \t]+{_NAME}[ \t]*\{{", text, re.MULTILINE)
        staged = re.search(r"^stages[ \t]*\{", text, re.MULTILINE)
        return (0.6 if named else 0.0) + (0.3 if staged else 0.0)
