"""The answer of an earlier `esp3c check` with the same words, given again while nothing that it looked at has changed.

`replayed` comes before anything of the compiler is imported. `kept` runs a check and keeps what it printed, together with
the text of its recipes (`saw_recipe`) and with what its worlds looked at (`saw_world`). Kept is only a check that told
of both, wrote nothing to stderr and ended by itself. Whatever else an answer depends on is in the key: the words, the
folder, this Python and its path, the terminal.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from hashlib import sha256
from typing import Any

from esp3c.cli.cache import Cache
from esp3c.looks import Looks, unchanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ENVIRONMENT = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "TERM", "COLUMNS", "LANG", "CI"}
_PREFIXES = ("ESP3C_", "LC_", "GITHUB_")

_BOM = b"\xef\xbb\xbf"


class _Recording:
    def __init__(self) -> None:
        self.recipes: list[tuple[str, str, str]] = []
        self.looks: list[Looks] = [Looks()]
        self.whole = True


_recording: _Recording | None = None


def replayed(words: Sequence[str]) -> int | None:
    """Prints the answer that is known for these words and returns its exit code, or None where it has to be found."""
    cache = Cache()
    data = cache.get("check", _key(words))
    if data is None:
        return None
    try:
        known: Any = json.loads(data)
        valid = all(_same_recipe(*each) for each in known["recipes"]) and all(map(unchanged, known["seen"]))
        out, code = known["out"], known["code"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not valid or not isinstance(out, str) or not isinstance(code, int):
        return None
    sys.stdout.write(out)
    return code


def kept(words: Sequence[str], run: Callable[[], int]) -> int:
    """Runs a check, and keeps its answer for `replayed`."""
    global _recording
    recording = _recording = _Recording()
    out, err = sys.stdout, sys.stderr
    copy, wrong = _Copy(out), _Copy(err)
    streams: Any = sys
    streams.stdout, streams.stderr = copy, wrong
    # The modules of the compiler are imported now: nothing of them is garbage.
    collects = gc.isenabled()
    gc.disable()
    try:
        code = run()
    finally:
        if collects:
            gc.enable()
        sys.stdout, sys.stderr = out, err
        _recording = None
    seen = [each.seen() for each in recording.looks]
    if recording.whole and recording.recipes and len(seen) > 1 and None not in seen and not wrong.parts:
        answer = {"recipes": recording.recipes, "seen": seen, "out": "".join(copy.parts), "code": code}
        Cache().put("check", _key(words), json.dumps(answer, separators=(",", ":")).encode())
    return code


def saw_recipe(named: str, path: str, text: str) -> None:
    """A recipe was read: the argument that named it, the file, and what stands in it."""
    if _recording is not None:
        _recording.recipes.append((path, os.path.realpath(path), sha256(text.encode("utf-8")).hexdigest()))
        for each in (named, os.path.join(named, "recipe.esp")):
            _recording.looks[0].is_folder(each)


def saw_world(looks: Looks) -> None:
    """A world was made, and will look at the disk through these."""
    if _recording is not None:
        _recording.looks.append(looks)


def not_again() -> None:
    """The answer rests on something that nobody told of here: it is not kept."""
    if _recording is not None:
        _recording.whole = False


class _Copy:
    """A stream that remembers what is written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.parts: list[str] = []

    def write(self, text: str) -> int:
        self.parts.append(text)
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _same_recipe(path: str, real: str, digest: str) -> bool:
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except (OSError, ValueError):
        return False
    return os.path.realpath(path) == real and sha256(data.removeprefix(_BOM)).hexdigest() == digest


def _key(words: Sequence[str]) -> str:
    environment = {
        name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith(_PREFIXES)
    }
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    terminal = [sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.errors]
    if terminal[0]:
        try:
            terminal.append(os.get_terminal_size(sys.stdout.fileno()).columns)
        except (OSError, ValueError):
            terminal.append(0)
    facts = [list(words), folder, sys.executable, sys.prefix, sys.path, sorted(environment.items()), terminal]
    return json.dumps(facts)
