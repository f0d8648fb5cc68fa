"""What several commands share: the recipe argument, loading, and printing diagnostics."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from esp3c.diagnostics import Diagnostic
    from esp3c.disk import DiskWorld
    from esp3c.emit.files import Layout
    from esp3c.pipeline import Result
    from esp3c.render.text import Colors, TextRenderer
    from esp3c.resolve.moved import Move
    from esp3c.source import Source


_SET = "--set "
_OTHER_FILES = {".py", ".yaml", ".yml", ".json", ".toml", ".md"}


class Failure(Exception):
    """A command cannot go on: a line for the person, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", nargs="?", default="recipe.esp", help="the recipe file, or its folder (default: recipe.esp)"
    )


def add_stages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stages",
        nargs="+",
        metavar="STAGE",
        default=["all"],
        help="the stages to run, separated by spaces or commas, in the order of the recipe; `all` is the default",
    )


def add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="override a value, in the recipe's own syntax; may be repeated",
    )


def recipe_path(text: str) -> Path:
    """The recipe file that an argument names: itself, or `recipe.esp` in the folder that it names."""
    path = Path(text)
    inside = path / "recipe.esp"
    # `os.path` has no opinion of a name that no file system would take; reading it says what is wrong.
    return inside if os.path.isdir(path) and os.path.isfile(inside) else path


def printable(text: str) -> str:
    """Text of a person or a file system, without what a terminal would obey."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def fail(failure: Failure) -> int:
    lines = str(failure).split("\n")
    print("\n".join(map(printable, ["esp3c: error: " + lines[0], *lines[1:]])), file=sys.stderr)
    return failure.code


def load(text: str, overrides: Sequence[str] = (), layout: Layout | None = None, move: Move | None = None) -> Result:
    """Reads and compiles the recipe that an argument names.

    Raises:
        Failure: the file cannot be read, or an override is not `key=value`.
    """
    from esp3c.pipeline import compile

    settings = override_sources(overrides)
    source, folder = read(text)
    return compile(source, world_of(folder), settings, layout, move)


def read(text: str) -> tuple[Source, Path]:
    """The text of the recipe that an argument names, and the folder of its Python.

    Raises:
        Failure: the file cannot be read, or is no recipe.
    """
    from esp3c.cli.replay import saw_recipe
    from esp3c.disk import UnreadableRecipe, read_recipe

    path = recipe_path(text)
    if path.suffix in _OTHER_FILES:
        raise Failure(f"{printable(text)} is no recipe: name the .esp file", 2)
    try:
        source = read_recipe(path, os.fspath(path))
    except UnreadableRecipe as error:
        raise Failure(str(error)) from None
    saw_recipe(text, os.fspath(path), source.text)
    return source, path.resolve().parent


def world_of(folder: Path) -> DiskWorld:
    """The world of the recipes in a folder."""
    from esp3c.cli.cache import Cache
    from esp3c.cli.replay import saw_world
    from esp3c.disk import DiskWorld

    world = DiskWorld(folder, store=Cache())
    saw_world(world.looks)
    return world


def override_sources(overrides: Sequence[str]) -> list[Source]:
    """The texts of `--set`.

    Raises:
        Failure: one is not `key=value`, or not text.
    """
    from esp3c.source import Source

    for each in overrides:
        if "=" not in each:
            raise Failure(
                f"--set {printable(each)}: expected KEY=VALUE, for example --set training.optimizer.lr=3e-4", 2
            )
        try:
            each.encode("utf-8")
        except UnicodeEncodeError:
            raise Failure(f"--set {printable(each)}: this is not UTF-8 text", 2) from None
    return [Source(f"{_SET}{each}", each) for each in overrides]


def as_typed(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics, in which a change of a `--set` is the whole of what to type: a shell takes quotes away."""
    import shlex

    from esp3c.record import changed

    found = []
    for each in diagnostics:
        source = each.primary.span.source
        new = _mended(each) if source.path.startswith(_SET) else None
        if new is not None:
            # What the shell leaves of one word is another.
            helped = (f"type {_SET}{shlex.quote(new)}",)
            each = changed(each, help=helped, fix=None)
        found.append(each)
    return found


def _mended(diagnostic: Diagnostic) -> str | None:
    """The text of a `--set` with the change that is certain, or with quotes around a name that is none."""
    span = diagnostic.primary.span
    text = span.source.text
    if diagnostic.fix is not None:
        edits = diagnostic.fix.edits
        if any(each.span.source is not span.source for each in edits):
            return None
        for each in sorted(edits, key=lambda each: each.span.start, reverse=True):
            text = text[: each.span.start] + each.text + text[each.span.end :]
        return text
    quoted = f'"{span.text}"'
    if any(quoted in line for line in diagnostic.help):
        return text[: span.start] + quoted + text[span.end :]
    return None


def wants_color(stream: TextIO) -> bool:
    """Colour only on a terminal that has it, and never with `NO_COLOR` (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def renderer(color: bool) -> TextRenderer:
    """What draws diagnostics; with colour, lines of recipes are in the colours of the language."""
    from esp3c.render.text import TextRenderer

    return TextRenderer(color=color, colors=_colors)


def _colors(source: Source) -> Colors | None:
    # Diagnostics may also show a line of Python.
    if source.path.endswith(".py"):
        return None
    from esp3c.highlight.terminal import Colors

    return Colors(source.text)


def show(diagnostics: Sequence[Diagnostic], stream: TextIO) -> None:
    """Prints diagnostics as text, with a last line that counts them."""
    from esp3c.render.text import summary

    if not diagnostics:
        return
    stream.write(renderer(wants_color(stream)).render(as_typed(diagnostics)))
    stream.write(summary(diagnostics) + "\n")
