"""What fits at a cursor: a word, and what it is."""

from __future__ import annotations

import os

from esp3c.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@record
class Answer:
    """A word that fits, and what it is in a few words."""

    word: str
    what: str = ""


def paths(word: str, fits: Sequence[str] | None, marker: str = "") -> list[Answer]:
    """The files and folders that a word may go on to. `fits`: endings of files to offer, all where it is None.

    A folder in which a file called `marker` stands comes first.
    """
    typed, _, begin = word.rpartition("/")
    shown = f"{typed}/" if "/" in word else ""
    folder = os.path.expanduser(shown) or "."
    first: list[Answer] = []
    found: list[Answer] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except (OSError, ValueError):
        return []
    for each in entries:
        if not each.name.startswith(begin) or (each.name.startswith(".") and not begin) or not each.name.isprintable():
            continue
        try:
            is_folder = each.is_dir()
        except OSError:
            continue
        if is_folder and each.name != "__pycache__":
            marked = bool(marker) and os.path.isfile(os.path.join(folder, each.name, marker))
            (first if marked else found).append(Answer(f"{shown}{each.name}/", "a recipe" if marked else "a folder"))
        elif not is_folder and (fits is None or each.name.endswith(tuple(fits))):
            (first if fits else found).append(Answer(f"{shown}{each.name}"))
    return [*first, *found]
