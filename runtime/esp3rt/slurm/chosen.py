"""Which run a command speaks of, and how to say its name to `esp3c` again."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esp3rt.lease import Owner, holder
from esp3rt.slurm.journal import Reader
from esp3rt.slurm.paths import RunPaths, runs_of
from esp3rt.slurm.tails import plain_text

VERSION = 1


class Failure(Exception):
    """A command cannot go on: a line for the person, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run that was chosen on the command line.

    Attributes:
        paths: The run.
        recipe: What was given for the recipe.
        newest: Whether it is the recipe's newest run.
    """

    paths: RunPaths
    recipe: str
    newest: bool

    def command(self, verb: str) -> str:
        """The command line that does something with this run."""
        words = ["esp3c", verb]
        words += [] if self.recipe == "." else [self.recipe]
        words += [] if self.newest else ["--run", self.paths.name]
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Brief:
    """What a run's own journal says, without those of its works.

    Attributes:
        paths: The run.
        about: The content of run.json.
        over: How it ended, or empty.
        stage: The stage that began last.
    """

    paths: RunPaths
    about: dict[str, Any]
    over: str
    stage: str


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose a run."""
    parser.add_argument(
        "recipe",
        nargs="?",
        default=".",
        metavar="RECIPE",
        help="the recipe's folder, or its file (default: this folder)",
    )
    parser.add_argument("--run", metavar="ID", help="which run, or enough of its name; the newest is the default")


def runs_in(recipe: str) -> list[RunPaths]:
    """The runs of a recipe, oldest first.

    Raises:
        Failure: There is no such recipe.
    """
    path = Path(recipe)
    if not path.exists():
        raise Failure(f"{plain_text(recipe)}: there is no such folder or file", 2)
    return runs_of(path if path.is_dir() else path.parent)


def none_sent(recipe: str) -> str:
    """That a recipe has no runs."""
    name = Path(recipe).resolve().name
    call = "esp3c run" if recipe == "." else shlex.join(["esp3c", "run", recipe])
    return f"no run of {plain_text(name)} was sent to a cluster yet: {call}"


def chosen(recipe: str, run: str | None) -> Chosen:
    """The run that a command line names.

    Raises:
        Failure: There is none, or there are several.
    """
    runs = runs_in(recipe)
    if not runs:
        raise Failure(none_sent(recipe))
    if run is None:
        return Chosen(runs[-1], recipe, True)
    exact = [paths for paths in runs if paths.name == run]
    found = exact or [paths for paths in runs if run and run in paths.name]
    if len(found) != 1:
        said = "several are called so" if found else "there is no such run"
        shown = found or runs
        names = ", ".join(paths.name for paths in reversed(shown[-5:]))
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        raise Failure(f"--run {plain_text(run)}: {said}; the runs are {names}{more}", 2)
    return Chosen(found[0], recipe, found[0] is runs[-1])


def brief(paths: RunPaths) -> Brief:
    """What a run's own journal says."""
    about = json.loads(paths.description.read_text(encoding="utf-8"))
    over = stage = ""
    for event in sorted(Reader(paths.journal).read(), key=lambda event: event.time):
        if event.kind == "stage_began":
            stage, over = event.data["stage"], ""
        elif event.kind == "run_over":
            over = event.data["how"]
    return Brief(paths, about, over, stage)


def leader_of(paths: RunPaths) -> Owner | None:
    """Who leads a run, or None.

    Raises:
        Failure: That cannot be seen.
    """
    try:
        return holder(paths.lead)
    except OSError as error:
        raise Failure(f"whether somebody leads run {paths.name} cannot be seen: {error}") from error


def recipe_name(about: dict[str, Any]) -> str:
    """What a run's recipe is called."""
    return str(about.get("name") or os.path.basename(about.get("recipe", "")) or "recipe")


def fail(failure: Failure) -> int:
    """Say why a command cannot go on; its exit code."""
    print("\n".join(map(plain_text, f"esp3c: error: {failure}".split("\n"))), file=sys.stderr)
    return failure.code
