"""Words for what was found, and for what could have stood there instead."""

from __future__ import annotations

from esp3c.suggest import one_of
from esp3c.syntax.grammar import KEYWORDS, SHOWN
from esp3c.syntax.lalr import Token


def describe(token: Token) -> str:
    """What was found, for a sentence: `the number `4``."""
    if token.type in {"STRING", "LONG_STRING"}:
        return "a string"
    if token.type == "NUMBER":
        return f"the number `{token}`"
    return "this" if token.type == "MISSING" else f"`{token}`"


def in_words(takes: set[str]) -> str:
    """The kinds of token that a state takes, as a person would say it: `a key, or `}``."""
    # In the order in which a person would expect them, which is that of the tables here.
    signs = [sign for kind, sign in SHOWN.items() if kind in takes and kind not in {"OPTIONAL", "DOT"}]
    words = [word for word, kind in KEYWORDS.items() if kind in takes]
    parts: list[str] = []
    if "RECIPE" in takes and "NAME" not in takes:
        parts.append("a declaration")
        words = []
    elif "NUMBER" in takes:
        parts.append("a value")
        signs = [sign for sign in signs if sign not in "{["]
        words = []
    elif "STRING" in takes:
        parts.append("a key")
        words = []
    elif "NAME" in takes:
        parts.append("a name")
    shown = [*words, *signs]
    if shown:
        parts.append(one_of(shown))
    return ", or ".join(parts) or "nothing more"
