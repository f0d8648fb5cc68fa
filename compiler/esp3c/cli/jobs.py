"""What `status`, `logs`, `cancel` and `resume` share: they hand their words on to the runtime, and compile nothing.

The runtime is `python -m esp3rt.slurm COMMAND RECIPE …`: it reads what runs have left in the recipe's folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

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
    parser.add_argument(
        "--run", metavar="ID", dest="run_id", help="which run, or enough of its name (default: the last)"
    )


def flag(name: str, value: object) -> list[str]:
    """A flag with its value as one word, so that no value is taken for a flag; nothing where it is not set."""
    return [] if value is None else [f"{name}={value}"]


def hand_on(name: str, recipe: str, flags: list[str]) -> int:
    """Runs a command of the runtime on this terminal, about the recipe as it was named."""
    from esp3c.cli.child import stream

    # What was named is no flag, whatever it is called.
    named = os.path.join(".", recipe) if recipe.startswith("-") else recipe
    return stream([*RUNTIME, name, named, *flags], f"esp3c {name}", passed_on=(2,))
