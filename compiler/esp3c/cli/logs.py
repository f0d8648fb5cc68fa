"""`esp3c logs`: what the jobs of a run have printed."""

from __future__ import annotations

import argparse
from typing import Any

from esp3c.cli.jobs import add_command, add_run, flag, hand_on

EPILOG = """\
examples:
  esp3c logs                              of the stage that runs, or failed, or ran last
  esp3c logs -f                           and what its jobs print from now on
  esp3c logs --stage train                of one stage
  esp3c logs digits --stage infer --shard 17
  esp3c logs --lines 20                   the last 20 lines of each

Ctrl-C ends the looking, not the run.
"""


def add(commands: Any) -> None:
    parser = add_command(commands, "logs", "Shows what the jobs of a run have printed.", EPILOG)
    add_run(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what they print from now on")
    parser.add_argument("--stage", metavar="STAGE", help="of this stage alone")
    parser.add_argument("--shard", metavar="N", type=_whole, help="of whoever works, or worked, on this shard")
    parser.add_argument(
        "--lines",
        metavar="N",
        type=_whole,
        help="the last N lines of each log (default: all of one, a few of several)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    flags = [*flag("--run", args.run_id), *flag("--stage", args.stage)]
    flags += [*flag("--shard", args.shard), *flag("--lines", args.lines)]
    return hand_on("logs", args.recipe, [*(["-f"] if args.follow else []), *flags])


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 0")
    return int(text)
