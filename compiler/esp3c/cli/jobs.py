"""What `status`, `logs`, `cancel` and `resume` share: they hand their words on to the runtime, and compile nothing.

The runtime is `python -m esp3rt.slurm COMMAND FOLDER …`: it reads what the runs of the recipe in a folder have left there.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from esp3c.cli.common import Failure, fail, printable

RUNTIME = [sys.executable, "-P", "-m", "esp3rt.slurm"]
"""How the runtime is called. Without `-P` a module of the folder in which one stands would come before Python's own."""


def add_command(commands: Any, name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A command about the runs of a recipe, with its argument."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recipe", nargs="?", default=".", help="the recipe file, or its folder (default: the folder where you are)"
    )
    return parser


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="ID", dest="run_id", help="a run by its name (default: the last one)")


def flag(name: str, value: object) -> list[str]:
    """A flag with its value as one word, so that no value is taken for a flag; nothing where it is not set."""
    return [] if value is None else [f"{name}={value}"]


def hand_on(name: str, recipe: str, flags: list[str]) -> int:
    """Runs a command of the runtime on this terminal."""
    from esp3c.cli.child import stream

    try:
        folder = _folder(recipe)
    except Failure as failure:
        return fail(failure)
    return stream([*RUNTIME, name, folder, *flags], f"esp3c {name}", passed_on=(2,))


def _folder(recipe: str) -> str:
    """The folder of the recipe that an argument names.

    Raises:
        Failure: there is nothing of that name.
    """
    if not os.path.exists(recipe):
        raise Failure(f"there is no {printable(recipe)}: name the recipe file, or its folder", 2)
    # An absolute path is no flag, whatever the folder is called.
    return os.path.abspath(recipe if os.path.isdir(recipe) else os.path.dirname(recipe) or ".")
