"""What `esp3c check` says of a recipe besides its diagnostics: what it did, and what it could not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from esp3c.cli.common import as_typed, printable, renderer
from esp3c.cli.selection import Selection
from esp3c.diagnostics import Diagnostic, Severity
from esp3c.pipeline import Result
from esp3c.query.fixes import fixable
from esp3c.record import record
from esp3c.render.text import summary
from esp3c.source import Source


@record
class Checked:
    """A recipe that was checked: under which name, what is shown of what was found, and how much is not."""

    name: str
    source: Source
    result: Result
    shown: tuple[Diagnostic, ...]
    hidden: int
    fixed: int

    @classmethod
    def of(cls, name: str, source: Source, result: Result, chosen: Selection, fixed: int = 0) -> Checked:
        shown = tuple(each for each in result.diagnostics if chosen.takes(each))
        return cls(name, source, result, shown, len(result.diagnostics) - len(shown), fixed)

    @property
    def ok(self) -> bool:
        return not any(each.severity is Severity.ERROR for each in self.shown)


def text(checked: Checked, *, alone: bool, unchecked: bool, color: bool) -> str:
    """The diagnostics, the unchecked values if asked for, and the last line. `alone`: no other recipe is checked."""
    out = renderer(color).render(as_typed(checked.shown))
    if unchecked:
        out += _unchecked(checked)
    return out + _last_line(checked, alone=alone, unchecked=unchecked) + "\n"


def further(checked: Sequence[Checked]) -> dict[str, Any]:
    """What the JSON document says besides the diagnostics."""
    from esp3c.render.json import span_data

    accounts = [each.result.account for each in checked]
    return {
        "ignored": sum(len(each.result.ignored) for each in checked),
        "proved": sum(account.proved for account in accounts),
        "links": sum(account.links for account in accounts),
        "unchecked": [
            {**span_data(each.span), "what": each.what, "why": each.why}
            for account in accounts
            for each in account.unchecked
        ],
    }


def difference(before: Source, after: Source) -> str:
    """The lines that fixes change, as a unified diff."""
    from difflib import unified_diff

    old, new = before.text.splitlines(keepends=True), after.text.splitlines(keepends=True)
    lines = unified_diff(old, new, printable(before.path), printable(after.path))
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def _unchecked(checked: Checked) -> str:
    rows = [
        (printable(str(each.span)), f"{printable(each.what)}: {printable(each.why)}")
        for each in checked.result.account.unchecked
    ]
    width = max((len(place) for place, _ in rows), default=0)
    return "".join(f"unchecked {place:<{width}}  {said}\n" for place, said in rows) + ("\n" if rows else "")


def _last_line(checked: Checked, *, alone: bool, unchecked: bool) -> str:
    recipe, account = checked.result.recipe, checked.result.account
    notes: list[str] = []
    if checked.shown:
        head = summary(checked.shown) if alone else f"{checked.name}: {summary(checked.shown)}"
    else:
        head = f"{checked.name}: " + ("nothing of what is selected found" if checked.hidden else "no problems found")
        notes.append(f"{_count(len(recipe.stages), 'stage')}, {_count(len(recipe.configs), 'config')}")
    if account.proved or account.unchecked:
        links = f" and {_count(account.links, 'link')} of the data" if account.links else ""
        known = f"{_count(account.proved, 'value')}{links} proved"
        if account.unchecked:
            known += f", {len(account.unchecked)} unchecked" + ("" if unchecked else ": --unchecked lists them")
        notes.append(known)
    if checked.fixed:
        notes.append(f"{checked.fixed} fixed")
    fixes = sum(fixable(each, checked.source) for each in checked.shown)
    if fixes:
        notes.append(f"--fix can mend {fixes}")
    if checked.result.ignored:
        notes.append(f"{len(checked.result.ignored)} ignored")
    if checked.hidden:
        notes.append(f"{checked.hidden} not selected")
    return f"{head} ({'; '.join(notes)})" if notes else head


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
