"""`esp3c explain CODE`: the page of an error code."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from esp3c.cli.common import Failure, fail, wants_color

EPILOG = """\
examples:
  esp3c explain ESP0301
  esp3c explain                           all codes, a line each
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "explain",
        description="Prints the page of an error code, or the list of all codes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("code", nargs="?", help="a code such as ESP0301")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from esp3c.pipeline import codes
    from esp3c.suggest import did_you_mean

    known = codes()
    if args.code is None:
        for code in known.values():
            print(f"{code.id}  {code.severity!s:<7}  {code.family:<10}  {code.title}")
        return 0
    found = known.get(args.code.upper())
    if found is None:
        hint = did_you_mean(args.code.upper(), known) or "`esp3c explain` lists them all"
        return fail(Failure(f"there is no code {args.code}; {hint}", 2))
    page = found.page
    if wants_color(sys.stdout):
        from esp3c.highlight.terminal import painted_page

        page = painted_page(page)
    print(f"{found.id}: {found.title} ({found.severity}, {found.family})\n\n{page}")
    return 0
