"""An error with the line of the recipe that it is about, for terminals and logs.

```
error: optimizer: torch.optim.AdamW: ValueError: Invalid learning rate: -1
  --> recipe.esp:34:15
   |
34 |   optimizer = torch.optim.AdamW(lr = -1)
   |               ^^^^^^^^^^^^^^^^^ `optimizer` is made here
   |
   = note: conf/training.yaml:38
```
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from espnet3.utils.config_errors import Fault, fault_of
from espnet3.utils.errors import UserError
from espnet3.utils.recipe_places import Place, place_of_key, place_of_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPORT = "_espnet3_report"
_TAB = 4
_WIDEST = 160
_BEFORE = 40
_RED, _BLUE, _BOLD, _PLAIN = "\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"
# What changes the direction of writing or ends a line on a terminal.
_OBEYED = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029\u0085")


@dataclass(frozen=True)
class Report:
    """An error's message and the line that it is about."""

    message: str
    place: Place
    label: str
    start_dir: str = ""

    def text(self, *, color: bool = False) -> str:
        """The report as lines, without an end of line behind the last."""

        def paint(text: str, code: str) -> str:
            return f"{code}{text}{_PLAIN}" if color and text else text

        place = self.place
        pad = " " * len(str(place.line))
        bar = paint("|", _BLUE)
        line, start, end = _window(place)
        notes = [f"{self._shown(place.yaml)}" if place.yaml else "", place.note]
        out = [
            paint("error", _RED) + paint(f": {_visible(self.message)}", _BOLD),
            f"{pad}{paint('-->', _BLUE)} {self._shown(place.path)}:{place.line}:{place.column}",
            f"{pad} {bar}",
            f"{paint(f'{place.line} |', _BLUE)} {line}".rstrip(),
            f"{pad} {bar} {' ' * start}{paint('^' * (end - start) + f' {self.label}', _RED)}",
        ]
        told = [f"{pad} {paint('=', _BLUE)} {paint('note', _BOLD)}: {_visible(note)}" for note in notes if note]
        return "\n".join([*out, *([f"{pad} {bar}"] if told else []), *told])

    def _shown(self, path: str) -> str:
        """A path as seen from where the command was given, unless that is longer."""
        if not self.start_dir or not os.path.isabs(path):
            return _visible(path)
        near = os.path.relpath(path, self.start_dir)
        return _visible(path if near.startswith(os.path.join("..", "..")) else near)


def report_on(error: BaseException, configs: Mapping[str, Any], start_dir: str = "") -> Report | None:
    """The report on an error; None where it is not certain which value the error is about.

    Args:
        error: The error.
        configs: The configs of the run by name.
        start_dir: The folder from which paths are shown.
    """
    kept = getattr(error, _REPORT, None)
    if isinstance(kept, Report):
        return kept
    try:
        fault = fault_of(error, configs)
        if fault is None:
            return None
        place = place_of_name(fault.file, fault.name) if fault.file else None
        if place is None and fault.config is not None:
            place = place_of_key(fault.config, fault.key)
        if place is None:
            return None
        return Report(_message(error), place, _label(error, fault, place), start_dir)
    except Exception:
        # Whatever is wrong here must not stand in the way of the error itself.
        logging.getLogger(__name__).exception("the line of the recipe could not be told")
        return None


def keep_report(error: BaseException, report: Report) -> None:
    """Let whoever shows `error` know its report: logs and tracebacks as a note, `report_user_errors` as it is."""
    error.add_note(_note(report.text()))
    setattr(error, _REPORT, report)


def color_report(error: BaseException, stream: TextIO) -> None:
    """Let the note that a traceback shows be in colour where `stream` is a terminal that has it."""
    report = getattr(error, _REPORT, None)
    if isinstance(report, Report) and has_color(stream):
        plain = _note(report.text())
        error.__notes__ = [_note(report.text(color=True)) if note == plain else note for note in error.__notes__]


def told(error: UserError, stream: TextIO, start_dir: str = "") -> str:
    """The message of an error with its report, where it has one, and its notes."""
    report = report_on(error, {}, start_dir)
    notes = list(getattr(error, "__notes__", ()))
    if report is None:
        return "\n".join([f"error: {error}", *notes])
    color = has_color(stream)
    own = {_note(report.text()), _note(report.text(color=True))}
    return "\n".join([report.text(color=color), *(note for note in notes if note not in own)])


def has_color(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours; never with NO_COLOR."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def _note(text: str) -> str:
    # An empty line between the traceback and the report.
    return f"\n{text}"


def _message(error: BaseException) -> str:
    text = str(error).strip()
    if isinstance(error, UserError):
        return text
    shown = error
    # Hydra tells the cause in its own words, over several lines.
    while type(shown).__module__.startswith("hydra.") and shown.__cause__ is not None:
        shown = shown.__cause__
    lines = str(shown).strip().splitlines()
    return f"{type(shown).__name__}: {lines[0].strip()}" if lines else type(shown).__name__


def _label(error: BaseException, fault: Fault, place: Place) -> str:
    if fault.target:
        return f"raised in `{fault.target}`, configured here"
    if fault.file:
        return "this builder" if isinstance(error, UserError) else "raised in this builder"
    key = place.key
    return f"`{key}`" if key == fault.key else f"`{key}`, which has `{fault.key.rpartition('.')[2]}`"


def _window(place: Place) -> tuple[str, int, int]:
    """The line as it is shown, and the columns between which the value stands."""
    shown, columns = "", [0]
    for char in place.text:
        drawn = _widened(char, columns[-1])
        shown += drawn
        columns.append(columns[-1] + sum(map(_width, drawn)))
        if columns[-1] > 4 * _WIDEST and len(columns) > place.column + place.length:
            break
    begin = columns[min(place.column - 1, len(columns) - 1)]
    end = columns[min(place.column - 1 + place.length, len(columns) - 1)]
    skip = max(0, begin - _BEFORE) if end > _WIDEST else 0
    cut = "… " if skip else ""
    kept = "".join(_clip(shown, skip, skip + _WIDEST))
    more = " …" if columns[-1] > skip + _WIDEST else ""
    start = begin - skip + len(cut)
    return f"{cut}{kept}{more}", start, max(start + 1, min(end - skip, _WIDEST) + len(cut))


def _clip(text: str, first: int, last: int) -> Iterator[str]:
    at = 0
    for char in text:
        if at >= first and at + _width(char) <= last:
            yield char
        at += _width(char)


def _widened(char: str, at: int) -> str:
    if char == "\t":
        return " " * (_TAB - at % _TAB)
    return "\ufffd" if char in _OBEYED or unicodedata.category(char) in {"Cc", "Cs"} else char


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _visible(text: str) -> str:
    """What a terminal would obey is shown as a replacement; line ends stay."""
    return "".join(char if char == "\n" else _widened(char, 0) for char in text)
