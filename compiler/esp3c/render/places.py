"""What other programs can be told about a place: only a file has a path that they can open."""

from __future__ import annotations

from collections.abc import Sequence

from esp3c.diagnostics import Diagnostic
from esp3c.source import Source

STDIN = "<stdin>"
OVERRIDE = "--set "


def file_of(source: Source) -> str | None:
    """The path of the file that a text stands in, without `./`; None for a `--set` text and for standard input."""
    if source.path == STDIN or source.path.startswith(OVERRIDE):
        return None
    return source.path.removeprefix("./")


def plain(text: str) -> str:
    """Text without what a terminal would obey; line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def sentences(diagnostic: Diagnostic) -> Sequence[str]:
    """All that a diagnostic says, without its places: the message, the label, the help, the fix."""
    said = [diagnostic.message, diagnostic.primary.text, *(f"help: {text}" for text in diagnostic.help)]
    if diagnostic.fix is not None:
        said.append(f"fix: {diagnostic.fix.title}")
    return [plain(text) for text in said if text]
