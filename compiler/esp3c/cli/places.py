"""`--on PLACE`: stages somewhere else than their lines say, for one run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from esp3c.cli.common import Failure

if TYPE_CHECKING:
    from esp3c.ir import Recipe
    from esp3c.resolve.moved import Move

HERE, DEBUG = "here", "debug"
ON_THIS_MACHINE = (HERE, DEBUG)
"""Places that the recipe does not declare: the generated run.py knows them. A `parallel` of one of these names is not meant."""


def add_on(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on",
        metavar="PLACE",
        help="run the stages there: `here` for the same settings with processes of this machine, `debug` for this one "
        "process, or the name of a `parallel` of the recipe",
    )


def names_of(asked: list[str]) -> list[str]:
    """The names behind `--stages`: `a,b` means `a b`."""
    return [name for each in asked for name in each.split(",") if name]


def move_of(place: str | None, asked: list[str]) -> Move | None:
    """What the compiler does of `--on`: for a `parallel` of the recipe, its stages are moved there."""
    from esp3c.resolve.moved import Move

    return None if place is None or place in ON_THIS_MACHINE else Move(place, tuple(sorted(names_of(asked))))


def refuse_unknown(recipe: Recipe, place: str | None) -> None:
    """Sees that the place is one.

    Raises:
        Failure: the recipe declares no `parallel` of that name.
    """
    from esp3c.suggest import did_you_mean

    if place is None or place in ON_THIS_MACHINE or place in recipe.parallels:
        return
    there = [*recipe.parallels, *ON_THIS_MACHINE]
    hint = did_you_mean(place, there) or "there are " + ", ".join(dict.fromkeys(there))
    raise Failure(f"--on {place}: the recipe has no such `parallel`; {hint}", 2)
