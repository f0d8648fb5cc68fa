"""`esp3c check`: says what is wrong with a recipe, and writes nothing."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from esp3c.cli.common import Failure, add_recipe, add_set, fail, load, printable, show

EPILOG = """\
examples:
  esp3c check recipe.esp
  esp3c check recipe.esp --format json
  esp3c check recipe.esp --set training.trainer.max_epochs=3

Nothing of the recipe is imported or run. Exit code 1 where there is an error; warnings alone give 0.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="say what is wrong with a recipe",
        description="Checks a recipe without running any of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe(parser)
    add_set(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        result = load(args.recipe, args.overrides)
    except Failure as failure:
        return fail(failure)
    if args.format == "json":
        from esp3c.render.json import render_json

        sys.stdout.write(render_json(result.diagnostics))
    elif result.diagnostics:
        show(result.diagnostics, sys.stdout)
    else:
        recipe = result.recipe
        stages, configs = len(recipe.stages), len(recipe.configs)
        print(printable(f"{args.recipe}: no problems found ({stages} stages, {configs} configs)"))
    return 0 if result.ok else 1
