"""`esp3c doctor`: says what is wrong with the environment, and what to do about it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, fail, load, printable, recipe_path, wants_color

if TYPE_CHECKING:
    from esp3c.cli.doctor_finding import Finding, Patient

EPILOG = """\
examples:
  esp3c doctor                            the environment, and the recipe in this folder if there is one
  esp3c doctor digits/recipe.esp          with what this recipe needs
  esp3c doctor --format json              for programs

Looked at are this Python and its packages, torch with its GPUs (in a process of its own), sound files, the recipe with what it
needs of optional packages, SLURM with its partitions where it is there, and the disks. What is tried on a disk is removed again;
nothing else is written, and nothing of the recipe is run.

Exit code 1 where something fails, 0 otherwise, also with warnings.
"""

VERSION = 1
_COLORS = {"ok": "32", "warn": "33", "fail": "1;31"}
_WIDTH = 13


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        description="Says what is wrong with Python, packages, GPUs, SLURM and disks, and what to do about it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recipe", nargs="?", help="a recipe file, or its folder (default: recipe.esp, where there is one)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from esp3c.cli.doctor_finding import FAIL

    try:
        patient = _patient(args.recipe)
    except Failure as failure:
        return fail(failure)
    found: list[Finding] = []
    for each in _findings(patient):
        found.append(each)
        if args.format == "text":
            sys.stdout.write(_line(each, wants_color(sys.stdout)))
            sys.stdout.flush()
    sys.stdout.write(_json(found) if args.format == "json" else _summary(found))
    return 1 if any(each.result == FAIL for each in found) else 0


def _patient(named: str | None) -> Patient:
    """What is to be looked at.

    Raises:
        Failure: the recipe that was named cannot be read, or is not there.
    """
    from esp3c.cli.doctor_finding import Patient

    if named is not None and not os.path.lexists(named):
        raise Failure(f"{named} does not exist: name a recipe or a folder, or nothing for the environment alone")
    if named is not None and os.path.isdir(named) and not os.path.lexists(os.path.join(named, "recipe.esp")):
        return Patient(Path(named).resolve(), named)
    if named is None and not os.path.isfile("recipe.esp"):
        return Patient(Path.cwd())
    shown = os.fspath(recipe_path(named or "recipe.esp"))
    return Patient(Path(shown).resolve().parent, shown, load(shown))


def _findings(patient: Patient) -> Iterator[Finding]:
    """All that is found. torch is looked at from the beginning, and spoken of last."""
    from esp3c.cli import doctor_device, doctor_disk, doctor_python, doctor_recipe, doctor_slurm

    listener = doctor_device.Listener()
    try:
        for check in (*doctor_python.CHECKS, *doctor_recipe.CHECKS, doctor_slurm.slurm, *doctor_disk.CHECKS):
            yield from check(patient)
        yield from doctor_device.heard(listener.heard(), doctor_python.missing())
    finally:
        listener.end()


def _line(finding: Finding, color: bool) -> str:
    word = f"{finding.result:<4}"
    if color:
        word = f"\x1b[{_COLORS[finding.result]}m{word}\x1b[0m"
    line = f"{word}  {printable(finding.name):<{_WIDTH}}  {printable(finding.found)}\n"
    return line + (f"      {'':<{_WIDTH}}  {printable(finding.todo)}\n" if finding.todo else "")


def _summary(found: list[Finding]) -> str:
    counts = {word: sum(each.result == word for each in found) for word in _COLORS}
    parts = [f"{counts['fail']} failed"] if counts["fail"] else []
    parts += [f"{counts['warn']} {'warning' if counts['warn'] == 1 else 'warnings'}"] if counts["warn"] else []
    last = f"\n{', '.join([*parts, str(counts['ok']) + ' fine'])}\n"
    first = _first(found)
    return last + (f"first: {printable(first.name)}: {printable(first.todo)}\n" if first is not None else "")


def _first(found: list[Finding]) -> Finding | None:
    """What to mend first: of what fails the first, since later things build on earlier ones."""
    for word in ("fail", "warn"):
        wrong = next((each for each in found if each.result == word), None)
        if wrong is not None:
            return wrong
    return None


def _json(found: list[Finding]) -> str:
    import json

    first = _first(found)
    document = {
        "version": VERSION,
        "failed": sum(each.result == "fail" for each in found),
        "warnings": sum(each.result == "warn" for each in found),
        "first": None if first is None else {"name": first.name, "todo": first.todo},
        "checks": [
            {"name": each.name, "result": each.result, "found": each.found, "todo": each.todo or None} for each in found
        ],
    }
    # In ASCII, so that the encoding of the standard output cannot spoil it.
    return json.dumps(document, indent=2) + "\n"
