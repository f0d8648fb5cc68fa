"""`--select` and `--ignore`: which diagnostics a person asked for, by code, by the beginning of one, or by family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from esp3c.cli.common import Failure, printable
from esp3c.record import record

if TYPE_CHECKING:
    from esp3c.diagnostics import Diagnostic


@record
class Selection:
    """What is selected: all codes, or those in `only`, without those in `without`."""

    only: frozenset[str] | None
    without: frozenset[str]

    def takes(self, diagnostic: Diagnostic) -> bool:
        code = diagnostic.code.id
        return (self.only is None or code in self.only) and code not in self.without

    @property
    def everything(self) -> bool:
        return self.only is None and not self.without


def selection(select: Sequence[str], ignore: Sequence[str]) -> Selection:
    """The selection that the words of the two options make; each may hold several, separated by commas.

    Raises:
        Failure: a word is no code, no beginning of one, and no family.
    """
    if not select and not ignore:
        return Selection(None, frozenset())
    only = _codes("--select", select) if select else None
    return Selection(only, _codes("--ignore", ignore))


def _codes(option: str, values: Iterable[str]) -> frozenset[str]:
    from esp3c.diagnostics import FAMILIES
    from esp3c.pipeline import codes
    from esp3c.suggest import did_you_mean

    known = codes()
    found: set[str] = set()
    for word in (word.strip() for value in values for word in value.split(",")):
        if not word:
            continue
        meant = {
            id
            for id, code in known.items()
            if code.family == word.lower() or (len(word) > 3 and id.startswith(word.upper()))
        }
        if not meant and word.lower() not in FAMILIES.values():
            near = did_you_mean(word.upper(), known) or did_you_mean(word.lower(), FAMILIES.values())
            hint = near or "`esp3c explain` lists the codes; the families are " + ", ".join(FAMILIES.values())
            raise Failure(f"{option} {printable(word)}: there is no such code or family; {hint}", 2)
        found |= meant
    return frozenset(found)
