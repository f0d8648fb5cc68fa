"""`esp3c cancel`: takes the jobs of a run off the cluster."""

from __future__ import annotations

import argparse
from typing import Any

from esp3c.cli.jobs import add_command, add_run, flag, hand_on

EPILOG = """\
examples:
  esp3c cancel                            all jobs of the last run of the recipe in this folder
  esp3c cancel digits/recipe.esp --stage infer
  esp3c cancel --run 20261121-174600-3f2a

What is done is kept: a run that is started again, or resumed, goes on from there. Jobs of other runs are left alone.
"""


def add(commands: Any) -> None:
    parser = add_command(commands, "cancel", "Takes the jobs of a run off the cluster.", EPILOG)
    add_run(parser)
    parser.add_argument("--stage", metavar="STAGE", help="those of this stage alone")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return hand_on("cancel", args.recipe, [*flag("--run", args.run_id), *flag("--stage", args.stage)])
