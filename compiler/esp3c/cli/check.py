"""`esp3c check`: says what is wrong with recipes. Without `--fix` it writes nothing."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import (
    Failure,
    add_set,
    fail,
    override_sources,
    printable,
    read,
    recipe_path,
    wants_color,
    world_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from esp3c.cli.report import Checked
    from esp3c.cli.selection import Selection
    from esp3c.pipeline import Result
    from esp3c.source import Source
    from esp3c.world import World

EPILOG = """\
examples:
  esp3c check recipe.esp
  esp3c check recipes/*/recipe.esp                      several at once
  esp3c check --set training.trainer.max_epochs=3       with a value changed
  esp3c check --fix                                     make the changes that are certain
  esp3c check --fix --diff                              only show them; exit with 1 where there are some
  esp3c check --watch                                   check again whenever something changes
  esp3c check --shapes                                  then try each training with one batch of shapes
  esp3c check --select targets,ESP03 --ignore ESP0205   some codes, by family, beginning or number
  esp3c check --format github                           annotations in GitHub Actions
  esp3c check --format sarif > esp3c.sarif              for code scanning
  esp3c check - < recipe.esp                            from standard input

Nothing of the recipe is imported or run, but with --shapes: where nothing else is wrong, that builds the model and takes
one batch of made-up items (as `sample` declares them) through it, on shapes alone, in a process of its own that has no GPU
and no network and may write no file. Values are not checked.

Exit code 1 where there is an error, or where --fix --diff shows a change; warnings alone give 0, and so does an error
that is not selected. A comment `# esp: ignore[ESP0301]` on a line of the recipe ignores a code there for good.
"""

STDIN = "-"


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        description="Checks recipes without running any of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recipes",
        nargs="*",
        default=["recipe.esp"],
        metavar="recipe",
        help="recipe files, or their folders; `-` is standard input (default: recipe.esp)",
    )
    add_set(parser)
    formats = ("text", "json", "github", "sarif")
    parser.add_argument("--format", choices=formats, default="text", help="how to print (default: text)")
    for option, what in (
        ("--select", "show these codes only: a code, the beginning of one, or a family"),
        ("--ignore", "leave these codes out"),
    ):
        parser.add_argument(option, metavar="CODE,…", action="append", default=[], help=what)
    parser.add_argument("--fix", action="store_true", help="make the changes that are certain")
    parser.add_argument("--diff", action="store_true", help="with --fix: show the changes and write nothing")
    parser.add_argument("--watch", action="store_true", help="check again whenever a file changes, until Ctrl-C")
    parser.add_argument("--shapes", action="store_true", help="run one batch of shapes through each training")
    parser.add_argument(
        "--shapes-timeout", type=float, default=120.0, metavar="SECONDS", help="the time for that (default: 120)"
    )
    parser.add_argument("--unchecked", action="store_true", help="list the values that could not be checked, and why")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        _refuse(args)
        chosen = _selection(args)
        override_sources(args.overrides)
    except Failure as failure:
        return fail(failure)
    if args.fix or STDIN in args.recipes:
        return _once(args, chosen, set())
    if not args.watch:
        from esp3c.cli.replay import kept

        return kept(args.words, lambda: _once(args, chosen, set()))
    from esp3c.cli.watch import watch

    def again() -> set[str]:
        places = {os.fspath(recipe_path(name)) for name in args.recipes}
        _once(args, chosen, places)
        return places

    return watch(again)


def _refuse(args: argparse.Namespace) -> None:
    piped = STDIN in args.recipes
    if args.diff and not args.fix:
        raise Failure("--diff shows what --fix would change: give both", 2)
    if piped and len(args.recipes) > 1:
        raise Failure("`-` stands for one recipe on standard input, and not beside others", 2)
    if piped and args.fix and not args.diff:
        raise Failure("--fix writes the file, and standard input is none; --fix --diff shows the changes", 2)
    if args.watch and (piped or args.fix):
        raise Failure(f"--watch does not go with {'standard input' if piped else '--fix'}", 2)
    if not args.shapes_timeout > 0:
        raise Failure("--shapes-timeout is a number of seconds greater than 0", 2)
    if args.unchecked and args.format in {"github", "sarif"}:
        raise Failure(f"--unchecked is for --format text; json has the list in any case, {args.format} has none", 2)


def _selection(args: argparse.Namespace) -> Selection:
    from esp3c.cli.selection import selection

    return selection(args.select, args.ignore)


def _once(args: argparse.Namespace, chosen: Selection, places: set[str]) -> int:
    """Checks all recipes, prints what is to be said, and adds the places that were read; the exit code."""
    code = 0
    checked: list[Checked] = []
    for name in args.recipes:
        try:
            each, changed = _checked(args, name, chosen, places)
        except Failure as failure:
            code = max(code, fail(failure))
            continue
        if args.shapes and each.result.ok:
            each = _with_shapes(args, name, each, chosen)
        checked.append(each)
        code = max(code, int(not each.ok or changed))
    _print(args, checked)
    return code


def _checked(args: argparse.Namespace, name: str, chosen: Selection, places: set[str]) -> tuple[Checked, bool]:
    """One recipe, checked and, if asked for, fixed; and whether `--diff` showed a change."""
    from esp3c.cli.report import Checked
    from esp3c.pipeline import compile

    source, folder = _piped() if name == STDIN else read(name)
    overrides = override_sources(args.overrides)
    disk = world_of(folder)
    world: World = disk
    if args.watch:
        from esp3c.cli.watch import RecordingWorld

        world = recording = RecordingWorld(disk)
        # The set is the one that the check fills.
        recording.places = places

    def checked(text: Source) -> Result:
        return compile(text, world, overrides)

    if not args.fix:
        return Checked.of(printable(source.path if name == STDIN else name), source, checked(source), chosen), False
    from esp3c.cli.fixing import fix_all, replace

    fixed = fix_all(source, checked, chosen.takes)
    out = sys.stdout if args.format == "text" else sys.stderr
    if args.diff:
        from esp3c.cli.report import difference

        out.write(difference(source, fixed.source))
        print(f"{printable(name)}: {len(fixed.done)} to fix, nothing written", file=sys.stderr)
        return Checked.of(printable(name), source, checked(source), chosen), fixed.source.text != source.text
    if fixed.done:
        replace(recipe_path(name), source.text, fixed.source.text)
        for each in fixed.done:
            title = each.fix.title if each.fix is not None else ""
            print(printable(f"fixed {each.primary.span}: {each.code.id}: {title}"), file=out)
    return Checked.of(printable(name), fixed.source, fixed.result, chosen, len(fixed.done)), False


def _with_shapes(args: argparse.Namespace, name: str, checked: Checked, chosen: Selection) -> Checked:
    from esp3c.cli.shapes import with_shapes

    folder = Path.cwd() if name == STDIN else recipe_path(name).resolve().parent
    found, lines = with_shapes(checked, folder, chosen, args.shapes_timeout)
    if args.format == "text" and not args.diff:
        print("\n".join(lines), end="\n" if lines else "")
    return found


def _piped() -> tuple[Source, Path]:
    from esp3c.disk import UnreadableRecipe, decode
    from esp3c.source import Source

    try:
        return Source("<stdin>", decode(sys.stdin.buffer.read(), "<stdin>")), Path.cwd()
    except UnreadableRecipe as error:
        raise Failure(str(error)) from None


def _print(args: argparse.Namespace, checked: Sequence[Checked]) -> None:
    shown = [diagnostic for each in checked for diagnostic in each.shown]
    if args.format == "json":
        from esp3c.cli.report import further
        from esp3c.render.json import render_json

        sys.stdout.write(render_json(shown, further(checked)))
    elif args.format == "github":
        from esp3c.render.github import render_github

        sys.stdout.write(render_github(shown))
    elif args.format == "sarif":
        from esp3c.render.sarif import render_sarif

        sys.stdout.write(render_sarif(shown, [diagnostic for each in checked for diagnostic in each.result.ignored]))
    elif not args.diff:
        from esp3c.cli.report import text

        alone = len(args.recipes) == 1
        for each in checked:
            sys.stdout.write(text(each, alone=alone, unchecked=args.unchecked, color=wants_color(sys.stdout)))
