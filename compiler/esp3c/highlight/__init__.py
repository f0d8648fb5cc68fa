"""Colours of recipes: a lexer for Pygments (Sphinx, MkDocs, rich, …), and what the compiler's own output makes of it."""

from esp3c.highlight.lexer import EspLexer

__all__ = ["EspLexer"]
