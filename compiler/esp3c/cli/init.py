"""`esp3c init`: begins a recipe from a template that runs as it is."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from esp3c.cli.common import Failure, fail, printable

EPILOG = """\
examples:
  esp3c init digits            the folder digits with a recipe that runs
  esp3c init                   the same, in the folder where you are

The template speaks in tones: its dataset makes strings of tones, and a small recogniser learns to read them back in
under a minute on two cores. Put your dataset and your model in their place.
"""


_GITIGNORE = ("gitignore", ".gitignore")
"""The name in the template, and the name that it gets: packages leave files out whose names begin with a dot."""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "init",
        description="Writes a small recipe that runs, to begin from.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where (default: here)")
    parser.add_argument("--name", help="the name of the recipe (default: that of the folder)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    folder: Path = args.folder.absolute()
    try:
        name = args.name or re.sub(r"\W+", "_", folder.name).strip("_").lower() or "tones"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Failure(f"{name!r} cannot be the name of a recipe; give one with --name", 2)
        written = _copy(folder, name)
    except Failure as failure:
        return fail(failure)
    except OSError as error:
        return fail(Failure(f"cannot write {folder}: {error.strerror or error}"))
    shown = os.path.relpath(folder)
    print(printable(f"wrote {len(written)} files in {shown}"))
    print(printable(f"next: esp3c run {os.path.join(shown, 'recipe.esp')}"))
    return 0


def _copy(folder: Path, name: str) -> list[str]:
    from importlib.resources import as_file, files

    with as_file(files("esp3c").joinpath("templates", "tones")) as template:
        paths = sorted(
            path.relative_to(template).as_posix()
            for path in template.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )
        if os.path.lexists(folder / _GITIGNORE[1]):
            # That of a folder that has one already is its owner's.
            paths.remove(_GITIGNORE[0])
        named = {path: _GITIGNORE[1] if path == _GITIGNORE[0] else path for path in paths}
        there = [path for path in named.values() if os.path.lexists(folder / path)]
        if there:
            raise Failure(f"{folder} has {', '.join(there[:3])} already; nothing was written")
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".esp3c-init-", dir=folder))
        try:
            for path in paths:
                text = (template / path).read_text(encoding="utf-8")
                if path.endswith("recipe.esp"):
                    text = text.replace("recipe tones {", f"recipe {name} {{", 1)
                (stage / path).parent.mkdir(parents=True, exist_ok=True)
                (stage / path).write_text(text, encoding="utf-8")
            for path, name in named.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(stage / path, folder / name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return list(named.values())
