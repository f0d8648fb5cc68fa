"""`esp3c resume`: leads a run on whose process is gone."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from esp3c.cli.jobs import add_command, add_run, flag, hand_on

EPILOG = """\
examples:
  esp3c resume                            the last run of the recipe in this folder
  esp3c resume digits/recipe.esp
  esp3c resume --run 20261121-174600-3f2a
  esp3c resume --detach                   send what is left, and do not wait for it

Jobs that run or wait are found again and not sent a second time; what is done stays done. It is the run as it was started,
with its stages and settings: after a change of the recipe, start it with `esp3c run`. A run that another process leads is
left to it.
"""


def add(commands: Any) -> None:
    parser = add_command(commands, "resume", "Goes on with a run whose process is gone.", EPILOG)
    add_run(parser)
    parser.add_argument("--detach", action="store_true", help="send what is left to the cluster, and do not wait")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if _has_changed(args.recipe):
        print(
            "esp3c resume: the recipe has changed since it was built; this goes on with what it was then, and "
            "`esp3c run` takes the change",
            file=sys.stderr,
        )
    flags = ["--detach"] if args.detach else []
    return hand_on("resume", args.recipe, [*flag("--run", args.run_id), *flags])


def _has_changed(named: str) -> bool:
    """Whether the recipe's text is another than that of the last build; not where there is no telling."""
    folder = Path(named) if os.path.isdir(named) else Path(named).parent
    try:
        built = json.loads((folder / ".esp3c" / "manifest.json").read_text(encoding="utf-8"))
        text = (folder / built["recipe"]).read_text(encoding="utf-8")
        return bool(hashlib.sha256(text.encode("utf-8")).hexdigest() != built["recipe_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
