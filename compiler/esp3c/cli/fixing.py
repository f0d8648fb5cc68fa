"""`check --fix`: makes the changes that are certain, as `esp3c.query.fixes` has them.

The file is replaced as a whole, with its mode, and only if nobody else changed it meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from esp3c.cli.common import Failure
from esp3c.cli.replacing import put
from esp3c.diagnostics import Diagnostic
from esp3c.query.fixes import fixable as fixable
from esp3c.query.fixes import mended
from esp3c.record import record
from esp3c.source import Source

if TYPE_CHECKING:
    from esp3c.pipeline import Result

_MARK = b"\xef\xbb\xbf"


@record
class Fixed:
    """The text after all fixes, what came of it, and what was fixed, each as it stood when its turn came."""

    source: Source
    result: Result
    done: tuple[Diagnostic, ...]


def fix_all(source: Source, compile: Callable[[Source], Result], takes: Callable[[Diagnostic], bool]) -> Fixed:
    """Applies every fix of the diagnostics that `takes` lets through, until there is none."""
    return Fixed(*mended(source, compile, takes))


def replace(path: Path, before: str, after: str) -> None:
    """Puts the text of a file into its place, whole or not at all.

    Raises:
        Failure: the file does not hold `before` any more, or cannot be written.
    """
    try:
        data = path.read_bytes()
        mark = _MARK if data.startswith(_MARK) else b""
        same = data.removeprefix(_MARK) == before.encode("utf-8")
        if not same or not put(path, mark + after.encode("utf-8"), data):
            raise Failure(f"{path} was changed while it was checked; nothing was written")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror or error}") from error
