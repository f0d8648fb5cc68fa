"""What each word of a recipe is, as the compiler's own tables read it: what the editors' lexers are held against."""

from __future__ import annotations

from random import Random

from esp3c.syntax.grammar import CONSTANTS, DECLARATIONS, KEYWORDS, WELL_KNOWN
from esp3c.syntax.lalr import Machine, Token, Tree, Unexpected, words

DECLARES = {KEYWORDS[word] for word in (*DECLARATIONS, *WELL_KNOWN)}
CONSTANT = {KEYWORDS[word] for word in CONSTANTS}
NAMES = {
    "key": "key", "argument": "argument", "path": "path", "type": "type", "stage": "stage",
    "recipe": "class", "dataset": "class", "config": "class", "extends": "class", "requires": "class",
    "let": "constant", "parallel": "constant", "on": "constant",
}  # fmt: skip

_GAPS = (" ", "  ", "\n", "\t", "\r\n", " # a comment\n", "\n\n    ", "#}\n")
_WORDS = (*KEYWORDS, "a", "Name", "_target_", "train", "slurm", "float32", "größe")


def roles(text: str) -> list[tuple[int, str, str]] | None:
    """Each word but the signs, with its offset and its role; None where the text has a syntax error."""
    machine = Machine("start")
    try:
        for token in words(text):
            machine.feed(_shaped(token, machine))
        found: list[tuple[int, str, str]] = []
        _collect(machine.finish(), "", found)
    except Unexpected:
        return None
    return sorted(found)


def _shaped(token: Token, machine: Machine) -> Token:
    keyword = KEYWORDS.get(str(token)) if token.type == "NAME" else None
    return token.as_kind(keyword) if keyword is not None and keyword in machine.choices() else token


def _collect(node: Tree | Token | None, parent: str, found: list[tuple[int, str, str]]) -> None:
    if isinstance(node, Tree):
        for child in node.children:
            _collect(child, node.data, found)
    elif isinstance(node, Token) and node.type != "OPTIONAL":
        found.append((node.start_pos, str(node), _role(node.type, parent)))


def _role(kind: str, parent: str) -> str:
    if kind in {"STRING", "LONG_STRING"}:
        return "text"
    if kind == "NUMBER":
        return "number"
    if kind == "NAME" or parent == "key":
        return NAMES[parent]
    if kind in DECLARES:
        return "declaration"
    return "true or null" if kind in CONSTANT else "keyword"


def disguised(text: str, random: Random) -> str:
    """The same recipe with other white space and comments, and with words of the language for some of its names."""
    names = {at for at, _, role in roles(text) or () if role in NAMES.values()}
    tokens = list(words(text))
    # Some words are no names in some places: then fewer are taken.
    for share in (0.5, 0.2, 0.1, 0.05, 0.02):
        renamed = [
            random.choice(_WORDS) if token.start_pos in names and random.random() < share else str(token)
            for token in tokens
        ]
        found = _spaced(renamed, random)
        if roles(found) is not None:
            return found
    return _spaced(list(map(str, tokens)), random)


def _spaced(tokens: list[str], random: Random) -> str:
    out = ""
    for number, word in enumerate(tokens):
        touching = number == 0 or word[0] in "{}[]()=," or tokens[number - 1][-1] in "{}[]()=,"
        out += ("" if touching and random.random() < 0.3 else random.choice(_GAPS)) + word
    return out + "\n"
