"""One version of a recipe's text, with what the compiler read in it."""

from __future__ import annotations

from functools import cached_property

from esp3c.diagnostics import Diagnostic
from esp3c.ir import Recipe
from esp3c.resolve import resolve
from esp3c.source import Source
from esp3c.syntax import ast
from esp3c.syntax.again import Rereader
from esp3c.syntax.lalr import Token, words
from esp3c.syntax.parse import parse
from esp3c.world import World


class View:
    """A recipe as it is read, whatever is wrong with it: what could not be read is left out of `file` and `recipe`.

    `syntactic` are the messages of the parser.
    """

    def __init__(self, source: Source, world: World, file: ast.File, syntactic: tuple[Diagnostic, ...]) -> None:
        self.source = source
        self.world = world
        self.file = file
        self.syntactic = syntactic

    @cached_property
    def recipe(self) -> Recipe:
        """What the text means."""
        return resolve(self.file, self.world)

    @cached_property
    def tokens(self) -> list[Token]:
        """Every word of the text, as the lexer has it: nothing is repaired or left out but comments."""
        return list(words(self.source.text))


def in_world(read: View, world: World) -> View:
    """The same text in another world."""
    return View(read.source, world, read.file, read.syntactic)


def view(source: Source, world: World, reader: Rereader | None = None) -> View:
    """Reads a recipe. `reader` has read the version before, whose view is of no use any more."""
    file, syntactic = reader.parse(source) if reader is not None else parse(source)
    return View(source, world, file, tuple(syntactic))
