"""The words of the grammar that the parser knows by their state, its brackets and signs."""

from __future__ import annotations

from esp3c.syntax.lalr import Token

DECLARATIONS = ("recipe", "dataset", "config", "parallel", "let", "stages")
WELL_KNOWN = ("training", "inference", "metrics", "publication", "demo")
CLAUSES = ("requires", "runs", "on")
CONSTANTS = ("true", "false", "null")
KEYWORDS = {
    word: word.upper() for word in (*DECLARATIONS, *WELL_KNOWN, *CLAUSES, *CONSTANTS, "extends", "new", "partial")
}

CLOSERS = {"LBRACE": "RBRACE", "LSQB": "RSQB", "LPAR": "RPAR"}
OPENERS = {closer: opener for opener, closer in CLOSERS.items()}
SHOWN = {
    "LBRACE": "{", "RBRACE": "}", "LSQB": "[", "RSQB": "]", "LPAR": "(", "RPAR": ")",
    "EQUAL": "=", "COMMA": ",", "COLON": ":", "DOT": ".", "OPTIONAL": "?",
}  # fmt: skip


def virtual(kind: str, at: int, end: int | None = None, text: str | None = None) -> Token:
    """A token that does not stand in the text, at the place where it should."""
    return Token(kind, SHOWN.get(kind, "") if text is None else text, at, at if end is None else end)
