"""How many seeded mistakes `esp3c check` finds, at the right line and with the right cause.

    python tests/bench/mistakes/run.py                   the table; exit code 1 below 95 % or with a false alarm
    python tests/bench/mistakes/run.py --misses          and what was not found, with what was said instead
    python tests/bench/mistakes/run.py flow providers    only these families

A mistake is one edit of an otherwise correct recipe, in `<family>.txt` beside this file:

    [a name]
    base   spoken_digits           a recipe: under bases/, recipes/ or tests/fixtures/
    file   src/model.py            where the edits below it are made; without it, the recipe
    - the exact text               which stands there once
    + what it becomes              `<U+200B>` is the character of that number; no text takes the text away
    line   a piece of a line       where the diagnostic may stand (several: any); without it, where the edit begins
    line-is  a whole line          the same, for words that stand on other lines too
    says   word, one|other         what message, labels or help must hold, case set aside
    as     names targets           families of codes that are a right cause; without it, the family of the file
    needs  transformers            a package without which the mistake is left out

A mistake is found if there is a diagnostic that its original does not have. It is found at the right line if one begins on
an expected line, and with the right cause if that one is also of an accepted family and holds all the words.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from esp3c.diagnostics import FAMILIES, Diagnostic
from esp3c.disk import DiskWorld, read_recipe
from esp3c.pipeline import compile
from esp3c.source import Source

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
# Not for longer than needed: beside `support` stands a folder `espnet3`, of tests.
sys.path.insert(0, str(ROOT / "tests"))
from support.packages import SEARCH, readable  # noqa: E402

sys.path.remove(str(ROOT / "tests"))

NEEDED = 0.95

_CHARACTER = re.compile(r"<U\+([0-9A-F]{4,6})>")


@dataclass
class Edit:
    """Exact text of a file, which stands there once, and what it becomes."""

    file: str
    old: str
    new: str


@dataclass
class Mistake:
    """One seeded mistake; see the module's text."""

    name: str
    family: str
    base: str = ""
    edits: list[Edit] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    whole_lines: list[str] = field(default_factory=list)
    says: list[list[str]] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    needs: str = ""

    @property
    def in_recipe(self) -> bool:
        return all(edit.file == self.recipe.name for edit in self.edits)

    @property
    def recipe(self) -> Path:
        return recipe_of(self.base)

    @property
    def possible(self) -> bool:
        """Whether the package that it needs is installed."""
        return not self.needs or readable(self.needs)


@dataclass
class Found:
    """What `check` said of a mistake."""

    mistake: Mistake
    diagnostics: list[tuple[int, Diagnostic]]
    expected: set[int]

    @property
    def found(self) -> bool:
        return bool(self.diagnostics)

    @property
    def right_line(self) -> bool:
        return any(line in self.expected for line, _ in self.diagnostics)

    @property
    def right_cause(self) -> bool:
        return any(line in self.expected and _is_cause(self.mistake, each) for line, each in self.diagnostics)

    @property
    def further(self) -> int:
        """Diagnostics beside the right one."""
        return max(0, len(self.diagnostics) - 1)


class Kept:
    """Keeps what was read of modules while this process runs, as the disk cache of the command does between runs."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self._kept.get((kind, key))

    def put(self, kind: str, key: str, data: bytes) -> None:
        self._kept[kind, key] = data


class Bench:
    """Checks recipes, each with its own world; libraries are read once."""

    def __init__(self) -> None:
        self._store = Kept()
        self._worlds: dict[Path, DiskWorld] = {}
        self._originals: dict[str, list[Diagnostic]] = {}

    def original(self, base: str) -> list[Diagnostic]:
        """What is said of a correct recipe."""
        if base not in self._originals:
            recipe = recipe_of(base)
            result = compile(read_recipe(recipe, recipe.name), self._world(recipe.parent))
            self._originals[base] = list(result.diagnostics)
        return self._originals[base]

    def check(self, mistake: Mistake) -> Found:
        recipe = mistake.recipe
        text = mutated(mistake, recipe.name, recipe.read_text(encoding="utf-8"))
        if mistake.in_recipe:
            diagnostics = compile(Source(recipe.name, text), self._world(recipe.parent)).diagnostics
        else:
            with tempfile.TemporaryDirectory(prefix="esp3c-bench-") as folder:
                copy = write(mistake, Path(folder))
                world = DiskWorld(copy.parent, SEARCH, store=self._store)
                diagnostics = compile(Source(recipe.name, text), world).diagnostics
        alarms = {(each.code.id, each.message) for each in self.original(mistake.base)}
        placed = [(line_of(each), each) for each in diagnostics if (each.code.id, each.message) not in alarms]
        return Found(mistake, placed, expected_lines(mistake, text))

    def _world(self, folder: Path) -> DiskWorld:
        if folder not in self._worlds:
            self._worlds[folder] = DiskWorld(folder, SEARCH, store=self._store)
        return self._worlds[folder]


def line_of(diagnostic: Diagnostic) -> int:
    """The line on which a diagnostic begins."""
    return diagnostic.primary.span.source.line_of(diagnostic.primary.span.start)


def recipe_of(base: str) -> Path:
    """The recipe that a base names.

    Raises:
        ValueError: there is none.
    """
    folders = [HERE / "bases" / base, ROOT / "recipes" / base]
    places = [*(folder / "recipe.esp" for folder in folders), ROOT / "tests" / "fixtures" / f"{base}.esp"]
    for place in places:
        if place.is_file():
            return place
    raise ValueError(f"there is no recipe {base!r}")


def mistakes() -> list[Mistake]:
    """All mistakes, in the order of the families."""
    order = list(FAMILIES.values())
    found = [each for path in sorted(HERE.glob("*.txt")) for each in read(path.stem, path.read_text(encoding="utf-8"))]
    return sorted(found, key=lambda each: order.index(each.family))


def read(family: str, text: str) -> list[Mistake]:
    """The mistakes of a file.

    Raises:
        ValueError: a line is none of those that the module's text names.
    """
    found: list[Mistake] = []
    file, last = "", ""
    for number, line in enumerate(text.split("\n"), 1):
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word == "family" and not found:
            family = rest
        elif line.startswith("["):
            found.append(Mistake(line.strip("[] "), family))
            file = ""
        elif word in ("-", "+") and found:
            _take(found[-1].edits, word, line[2:], last, file or found[-1].recipe.name)
        elif word in ("file", "also"):
            file = "" if rest == "recipe.esp" else rest
        elif not line or word == "#":
            pass
        elif not found or not _set(found[-1], word, rest):
            raise ValueError(f"{family}.txt:{number}: {line!r} is no part of a mistake")
        last = word
    return found


def _take(edits: list[Edit], sign: str, text: str, last: str, file: str) -> None:
    text = _CHARACTER.sub(lambda match: chr(int(match[1], 16)), text)
    if sign == "-" and last != "-":
        edits.append(Edit(file, text, ""))
    elif sign == "-":
        edits[-1].old += "\n" + text
    else:
        edits[-1].new += "\n" + text if last == "+" else text


def _set(mistake: Mistake, word: str, rest: str) -> bool:
    match word:
        case "base":
            mistake.base = rest
        case "line":
            mistake.lines.append(rest)
        case "line-is":
            mistake.whole_lines.append(rest)
        case "says":
            parts = [rest] if rest == "," else rest.split(", ")
            mistake.says = [part.lower().split("|") for part in parts]
        case "as":
            mistake.families = rest.split()
        case "needs":
            mistake.needs = rest
        case _:
            return False
    return True


def mutated(mistake: Mistake, file: str, text: str) -> str:
    """The text of a file with the mistake in it.

    Raises:
        ValueError: an edit's text does not stand there exactly once.
    """
    for edit in mistake.edits:
        if edit.file == file:
            if text.count(edit.old) != 1:
                raise ValueError(f"[{mistake.name}]: {edit.old!r} stands {text.count(edit.old)} times in {file}")
            text = text.replace(edit.old, edit.new)
    return text


def write(mistake: Mistake, folder: Path) -> Path:
    """Writes the recipe and its Python with the mistake in them into a folder; gives the recipe's path."""
    recipe = mistake.recipe
    made = folder / recipe.parent.name
    for beside in recipe.parent.parent.iterdir():
        # A tag leads to the data of a neighbour.
        if beside != recipe.parent and (beside / "dataset").is_dir():
            (folder / beside.name).symlink_to(beside)
    shutil.copytree(
        recipe.parent, made, ignore=shutil.ignore_patterns("__pycache__", "exp", "data", ".esp3c", "source")
    )
    for file in {edit.file for edit in mistake.edits}:
        path = made / file
        path.write_text(mutated(mistake, file, path.read_text(encoding="utf-8")), encoding="utf-8")
    return made / recipe.name


def expected_lines(mistake: Mistake, text: str) -> set[int]:
    """The lines of the mutated recipe on which the diagnostic may stand.

    Raises:
        ValueError: a line that is expected is not there.
    """
    lines = list(enumerate(text.split("\n"), 1))
    expected: set[int] = set()
    for piece, whole in [(each, False) for each in mistake.lines] + [(each, True) for each in mistake.whole_lines]:
        places = {number for number, line in lines if (line.strip() == piece if whole else piece in line)}
        if not places:
            raise ValueError(f"[{mistake.name}]: no line has {piece!r}")
        expected |= places
    if not expected:
        original = mistake.recipe.read_text(encoding="utf-8")
        same = next((n for n, (a, b) in enumerate(zip(original, text, strict=False)) if a != b), len(text))
        expected = {text.count("\n", 0, same) + 1}
    return expected


def _is_cause(mistake: Mistake, diagnostic: Diagnostic) -> bool:
    labels = (diagnostic.primary, *diagnostic.secondary)
    words = " ".join([diagnostic.message, *(label.text for label in labels), *diagnostic.help]).lower()
    accepted = mistake.families or [mistake.family]
    return diagnostic.code.family in accepted and all(any(word in words for word in each) for each in mistake.says)


def table(results: Sequence[Found]) -> str:
    """Family, seeded, found, right line, right cause, and how much else was said of a mistake."""
    rows = [f"{'family':<14}{'seeded':>8}{'found':>8}{'right line':>12}{'right cause':>13}{'':>8}{'further':>9}"]
    names = list(dict.fromkeys(each.mistake.family for each in results))
    for name in [*names, "all"]:
        own = [each for each in results if name in (each.mistake.family, "all")]
        cause = sum(each.right_cause for each in own)
        rows.append(
            f"{name:<14}{len(own):>8}{sum(each.found for each in own):>8}{sum(each.right_line for each in own):>12}"
            f"{cause:>13}{cause / max(1, len(own)):>8.1%}{sum(each.further for each in own) / max(1, len(own)):>9.2f}"
        )
    return "\n".join(rows)


def describe(found: Found) -> str:
    """A miss: the edit, where it was expected, and what was said instead."""
    mistake = found.mistake
    what = "another cause" if found.right_line else "another line" if found.found else "not found"
    lines = [f"[{mistake.name}] {mistake.family}, {mistake.base}: {what}"]
    for edit in mistake.edits:
        lines += [f"    {edit.file}", *(f"    - {each}" for each in edit.old.split("\n"))]
        lines += [f"    + {each}" for each in edit.new.split("\n")]
    words = ", ".join("|".join(each) for each in mistake.says)
    lines.append(f"    expected at {sorted(found.expected)}: {mistake.families or [mistake.family]} with {words}")
    lines += [f"    said {line}: {each.code.id} {each.message}" for line, each in found.diagnostics[:4]]
    return "\n".join(lines)


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description="Counts the seeded mistakes that esp3c check finds.")
    parser.add_argument("families", nargs="*", help="only these families")
    parser.add_argument("--misses", action="store_true", help="show what was not found")
    args = parser.parse_args(list(arguments))

    bench = Bench()
    chosen = [each for each in mistakes() if not args.families or each.family in args.families]
    possible = [each for each in chosen if each.possible]
    results = [bench.check(each) for each in possible]
    bases = sorted({each.base for each in possible})
    alarms = {base: bench.original(base) for base in bases}

    if args.misses:
        print("\n\n".join(describe(each) for each in results if not each.right_cause), end="\n\n")
    print(table(results))
    if len(possible) < len(chosen):
        packages = sorted({each.needs for each in chosen} - {each.needs for each in possible})
        print(f"left out: {len(chosen) - len(possible)}, for want of {', '.join(packages)}")
    print(f"{len(bases)} correct originals: {sum(map(len, alarms.values()))} diagnostics")
    for base, said in alarms.items():
        for each in said:
            print(f"    {base}:{line_of(each)}: {each.code.id} {each.message}")
    right = sum(each.right_cause for each in results) / max(1, len(results))
    return 0 if right >= NEEDED and not any(alarms.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
