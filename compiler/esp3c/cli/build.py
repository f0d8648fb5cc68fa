"""`esp3c build`: writes the ESPnet3 recipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, add_recipe, add_set, fail, load, printable, recipe_path, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from esp3c.pipeline import Result
    from esp3c.resolve.moved import Move

EPILOG = """\
examples:
  esp3c build recipe.esp                  write beside the recipe
  esp3c build recipe.esp -o /tmp/digits   write elsewhere
  esp3c build recipe.esp --check          write nothing; fail where something would change

A file that esp3c did not write, or that was edited since, is never overwritten: the build names it and writes nothing.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "build",
        description="Compiles a recipe and writes run.py, system.py, conf/*.yaml and the dataset modules.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe(parser)
    add_set(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="the folder to write to")
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 where a file would change")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        result, folder = compiled(args.recipe, args.overrides, args.output)
        if not result.ok:
            return 1
        if args.check:
            return _check(result, folder)
        from esp3c.cli.writer import write_files

        done = write_files(folder, result.files)
    except Failure as failure:
        return fail(failure)
    for path in done.removed:
        print(printable(f"removed {os.path.join(folder, path)}"))
    for path in done.kept:
        where = os.path.join(folder, path)
        print(printable(f"kept {where}: edited since the last build, no longer part of the recipe"))
    total = len(result.files) - 1
    print(printable(f"{args.recipe}: {done.summary(total)} in {os.path.relpath(folder)}"))
    return 0


def compiled(
    recipe: str, overrides: Sequence[str], output: Path | None, move: Move | None = None
) -> tuple[Result, Path]:
    """The compiled recipe and the folder that its files belong to; diagnostics are printed."""
    from esp3c.emit.files import Layout

    path = recipe_path(recipe)
    home = path.resolve().parent
    folder = home if output is None else output.resolve()
    between = Path(os.path.relpath(home, folder)).as_posix()
    result = load(recipe, overrides, Layout(path.name, between), move)
    show(result.diagnostics, sys.stderr)
    return result, folder


def _check(result: Result, folder: Path) -> int:
    from esp3c.cli.writer import differences

    changes = differences(folder, result.files)
    for path, what in changes:
        print(printable(f"{what} {os.path.join(os.path.relpath(folder), path)}"))
    if changes:
        print("esp3c build would change these files")
    return 1 if changes else 0
