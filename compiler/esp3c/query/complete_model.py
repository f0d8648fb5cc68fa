"""What may be written at a place: proposals, in the order in which they are shown."""

from __future__ import annotations

import re
from enum import StrEnum

from esp3c.query.hover_parts import Part
from esp3c.record import record


class Sort(StrEnum):
    """What a proposal is, for the sign before it."""

    KEY = "key"
    BLOCK = "block"
    ARGUMENT = "argument"
    FIELD = "field"
    SETTING = "setting"
    LET = "let"
    CONFIG = "config"
    DATASET = "dataset"
    PARALLEL = "parallel"
    STAGE = "stage"
    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    VARIABLE = "variable"
    WORD = "word"
    TEXT = "text"
    CONSTANT = "constant"
    UNIT = "unit"
    TYPE = "type"
    KEYWORD = "keyword"
    SNIPPET = "snippet"


@record
class Proposal:
    """Something that may be written. Smaller ranks are shown first; in a rank, in the order in which they were found.

    `insert` is the text where it is not the label, `snippet` the same with places to fill in (`$1`, `${1:name}`, `$0`).
    `match` is what the typed word is compared with, where that is not the label. `more` says where a longer text is:
    the dotted path of a Python object, and behind it the name of a parameter. `leads`: a further name may follow.
    """

    label: str
    sort: Sort
    rank: int = 5
    detail: str = ""
    doc: tuple[Part, ...] = ()
    insert: str = ""
    snippet: str = ""
    match: str = ""
    more: tuple[str, str] = ("", "")
    leads: bool = False

    @property
    def text(self) -> str:
        return self.insert or self.label


@record
class Completion:
    """Proposals for the characters from `start` to `end`. `cut`: there are more, which a longer word would show."""

    proposals: tuple[Proposal, ...]
    start: int
    end: int
    cut: bool = False


def fits(word: str, label: str) -> bool:
    """Whether the letters of a word stand in a label in their order, the first at the beginning of a part of it.

    Editors filter in such a way, and show no more than they are given.
    """
    if not word:
        return True
    first, rest = word[0].casefold(), word[1:].casefold()
    for found in _PARTS.finditer(label):
        if found[0].casefold() == first:
            behind = iter(label[found.end() :].casefold())
            if all(letter in behind for letter in rest):
                return True
    return False


_PARTS = re.compile(r"(?<![^\W_])\w|(?<=[^A-Z])[A-Z]|_")
"""Where a part of a name begins: `max_epochs`, `AdamW`, `valid/loss`."""


def begins(word: str, label: str) -> bool:
    """Whether a label, or a part of it, begins with a word as it is typed."""
    return any(each.casefold().startswith(word.casefold()) for each in (label, *label.split()))
