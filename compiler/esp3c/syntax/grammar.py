"""The LALR(1) tables of `esp.lark`, made once a process, and the words that the parser knows by their state."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token

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


@lru_cache(maxsize=1)
def parser() -> Lark:
    text = files("esp3c.syntax").joinpath("esp.lark").read_text(encoding="utf-8")
    return Lark(
        text,
        parser="lalr",
        lexer="basic",
        start=["start", "override"],
        propagate_positions=True,
        maybe_placeholders=False,
    )


def virtual(kind: str, at: int, end: int | None = None, text: str | None = None) -> Token:
    """A token that does not stand in the text, at the place where it should."""
    value: Any = SHOWN.get(kind, "") if text is None else text
    return Token(kind, value, start_pos=at, end_pos=at if end is None else end)
