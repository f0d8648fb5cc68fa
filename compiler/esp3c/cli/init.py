"""`esp3c init`: begins a recipe from a template that runs as it is."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, fail, printable

if TYPE_CHECKING:
    from esp3c.cli.init_dialogue import Wanted

EPILOG = """\
examples:
  esp3c init                             asks for a template, a folder, a name, and where it should run
  esp3c init digits                      the folder digits with a recipe that runs
  esp3c init digits --template finetune  from another template
  esp3c init --list                      the templates
  esp3c init --yes                       a recipe in the folder where you are, without questions

The default template speaks in tones: its dataset makes strings of tones, and a small recogniser learns to read them back in
under a minute on two cores. Put your dataset and your model in their place.

Questions are asked on a terminal only, and only where nothing is said on the command line. Files that are there are never
written over.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "init",
        description="Writes a small recipe that runs, to begin from.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", help="where (default: here)")
    parser.add_argument("--name", help="the name of the recipe (default: that of the folder)")
    parser.add_argument("--template", metavar="NAME", help="the recipe to begin from (default: tones)")
    parser.add_argument("--yes", action="store_true", help="ask nothing: the default of all that is not said")
    parser.add_argument("--list", action="store_true", help="list the templates, and write nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.list:
        from esp3c.cli.init_dialogue import template_in
        from esp3c.cli.init_templates import TEMPLATES

        try:
            if args.template is not None:
                template_in(args.template)
        except ValueError as error:
            return fail(Failure(str(error), 2))
        width = max(len(each.name) for each in TEMPLATES)
        print("\n".join(f"{each.name:<{width}}  {each.line}" for each in TEMPLATES))
        return 0
    try:
        wanted = _wanted(args)
    except Failure as failure:
        return fail(failure)
    folder = wanted.folder.absolute()
    try:
        written = _write(folder, wanted)
    except Failure as failure:
        return fail(failure)
    except OSError as error:
        return fail(Failure(f"cannot write {folder}: {error.strerror or error}"))
    shown = os.path.relpath(folder)
    print(printable(f"wrote {len(written)} files in {shown}"))
    print("next:")
    for line in _next(shown, wanted):
        print(printable(f"  {line}"))
    return 0


def _wanted(args: argparse.Namespace) -> Wanted:
    """What is to be written, from the command line or from answers.

    Raises:
        Failure: a name or a folder is none, or the answers ended.
    """
    from esp3c.cli.init_dialogue import Wanted, ask, folder_in, name_in, name_of, template_in
    from esp3c.cli.init_recipe import Names
    from esp3c.cli.init_templates import TEMPLATES

    said = args.yes or any(each is not None for each in (args.folder, args.name, args.template))
    if not said and sys.stdin.isatty() and sys.stdout.isatty():
        try:
            return ask()
        except EOFError:
            print()
            raise Failure("the answers ended; nothing was written") from None
    try:
        template = template_in(args.template) if args.template is not None else TEMPLATES[0]
        folder = folder_in(args.folder if args.folder is not None else ".")
        name = name_in(args.name) if args.name is not None else name_of(folder, template)
    except ValueError as error:
        raise Failure(str(error), 2) from None
    return Wanted(folder, template, Names(name))


def _write(folder: Path, wanted: Wanted) -> list[str]:
    """Writes the recipe, all of it or nothing; the names of its files.

    Raises:
        Failure: one of them is there already.
        OSError: the disk refused.
    """
    from esp3c.cli.init_recipe import recipe_text
    from esp3c.cli.init_templates import GITIGNORE, RECIPE, files, some, taken, templates

    there = taken(folder, wanted.template)
    if there:
        raise Failure(
            f"{folder} has {some(there)} already; nothing was written\n"
            "name another folder, one that is new or empty: esp3c init FOLDER"
        )
    made = _made(folder)
    placed: list[Path] = []
    try:
        stage = Path(tempfile.mkdtemp(prefix=".esp3c-init-", dir=folder))
        made.append(stage)
        with templates() as root:
            names = []
            for name, path in files(wanted.template, root):
                if name == GITIGNORE[1] and os.path.lexists(folder / name):
                    continue
                text = path.read_text(encoding="utf-8")
                if name == RECIPE:
                    text = recipe_text(wanted.template, text, wanted.names)
                (stage / name).parent.mkdir(parents=True, exist_ok=True)
                (stage / name).write_text(text, encoding="utf-8")
                names.append(name)
        for name in names:
            made += _made((folder / name).parent)
            os.replace(stage / name, folder / name)
            placed.append(folder / name)
        shutil.rmtree(stage)
    except BaseException:
        for path in placed:
            path.unlink(missing_ok=True)
        for path in reversed(made):
            shutil.rmtree(path, ignore_errors=True)
        raise
    return names


def _made(folder: Path) -> list[Path]:
    """Makes a folder and those above it; those that were not there, the outermost first."""
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _next(shown: str, wanted: Wanted) -> list[str]:
    """The commands to type next."""
    from esp3c.cli.doctor_python import install, is_there

    template, recipe = wanted.template, shlex.quote(os.path.normpath(os.path.join(shown, "recipe.esp")))
    lines = []
    absent = [extra for extra, module in template.extras if not is_there(module)]
    if absent:
        lines.append(install(",".join(absent)))
    if template.first:
        lines.append(template.first)
    lines.append(f"esp3c check {recipe}")
    if wanted.names.partition is not None:
        lines.append(f"esp3c plan {recipe}         # with the job scripts as they would be sent")
    return [*lines, f"esp3c run {recipe}"]
