"""What an emitted file is: a path, its text, and where its values come from."""

from __future__ import annotations

from esp3c.record import record
from esp3c.source import Span

MANIFEST = ".esp3c/manifest.json"


@record
class Traced:
    """A value of a generated file: its dotted place there, its 1-based line, and its place in the recipe."""

    at: str
    line: int
    span: Span


@record
class EmittedFile:
    """A file to write. `path` is relative to the output folder, with `/`.

    `spans` are the places of its scalars (of a YAML file) or of its parts; `blocks` those of its maps and lists.
    """

    path: str
    text: str
    spans: tuple[Traced, ...] = ()
    blocks: tuple[Traced, ...] = ()


@record
class Layout:
    """Where the output stands in relation to the recipe.

    `recipe_file` is the name of the recipe in messages, `recipe_dir` the recipe's folder as seen from the output folder.
    """

    recipe_file: str
    recipe_dir: str = "."
