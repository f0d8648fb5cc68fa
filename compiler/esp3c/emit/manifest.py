"""The manifest of a build: the hash of every file, and for every value in them its place in the recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from esp3c import __version__
from esp3c.emit.files import MANIFEST, EmittedFile, Layout, Traced
from esp3c.source import Source

FORMAT = 1


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def manifest(files: Sequence[EmittedFile], layout: Layout, source: Source) -> EmittedFile:
    """`.esp3c/manifest.json`. It holds no time and no absolute path, so that a build is the same everywhere.

    With the hash of the recipe's text, who reads the places can tell whether they are still where they were.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "esp3c": __version__,
        "recipe": layout.recipe_file,
        "recipe_dir": layout.recipe_dir,
        "recipe_sha256": digest(source.text),
        "files": {
            each.path: {
                "sha256": digest(each.text),
                "values": [_value(value, layout) for value in each.spans],
                "blocks": [_value(value, layout) for value in each.blocks],
            }
            for each in sorted(files, key=lambda each: each.path)
        },
    }
    return EmittedFile(MANIFEST, json.dumps(document, indent=1) + "\n")


def _value(value: Traced, layout: Layout) -> dict[str, Any]:
    span = value.span
    line, column = span.source.position(span.start)
    # The recipe's path as it was typed would differ from one working folder to the next.
    name = span.source.path if span.source.path.startswith("--set ") else layout.recipe_file
    return {
        "at": value.at,
        "line": value.line,
        "recipe": f"{name}:{line}:{column}",
        "start": span.start,
        "end": span.end,
    }
