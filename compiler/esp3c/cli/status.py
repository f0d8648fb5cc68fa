"""`esp3c status`: what became of a recipe's runs on the cluster."""

from __future__ import annotations

import argparse
from typing import Any

from esp3c.cli.jobs import add_command, add_run, flag, hand_on

EPILOG = """\
examples:
  esp3c status                            the last run of the recipe in this folder
  esp3c status digits/recipe.esp          of another recipe
  esp3c status --watch                    until it is over; Ctrl-C ends the looking, not the run
  esp3c status --all                      all runs
  esp3c status --run 20261121-174600-3f2a
  esp3c status --format json              for programs

Stages with their jobs and shards, from what they have written down and what SLURM says of them. A job of which neither says
anything is called unknown. Works from any shell that sees the recipe's folder, also while another leads the run.
"""


def add(commands: Any) -> None:
    parser = add_command(commands, "status", "Says what became of a recipe's runs on the cluster.", EPILOG)
    add_run(parser)
    parser.add_argument("--watch", action="store_true", help="show it again and again until the run is over")
    parser.add_argument("--all", action="store_true", help="all runs of the recipe, the last one first")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    flags = [*flag("--run", args.run_id), *flag("--format", args.format)]
    flags += ["--watch"] if args.watch else []
    flags += ["--all"] if args.all else []
    return hand_on("status", args.recipe, flags)
