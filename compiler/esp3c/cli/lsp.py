"""`esp3c lsp`: the language server, for editors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from esp3c.cli.common import Failure, fail

EPILOG = """\
examples:
  esp3c lsp                               what an editor starts; it speaks on the standard streams
  esp3c lsp --log lsp.log --verbose       the same, with a protocol of what happened

How to set up VS Code, Vim, Neovim, Emacs and others stands in docs/editors.md.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "lsp",
        description="Answers an editor in the Language Server Protocol, on the standard streams.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stdio", action="store_true", help="the only way there is; editors like to say so")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where to log (default: the standard error stream)")
    parser.add_argument(
        "--verbose", action="store_true", help="log what is asked and answered, not only what went wrong"
    )
    parser.add_argument("--clientProcessId", type=int, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import logging
    import sys

    if sys.stdin.isatty():
        return fail(Failure("`esp3c lsp` is for editors: they start it and talk to it (docs/editors.md)", 2))
    try:
        handler: logging.Handler = (
            logging.StreamHandler() if args.log is None else logging.FileHandler(args.log, encoding="utf-8")
        )
    except OSError as error:
        return fail(Failure(f"cannot write the log {args.log}: {error.strerror or error}"))
    level = logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    from esp3c.cli.cache import Cache
    from esp3c.lsp.server import serve

    serve(Cache())
    return 0
