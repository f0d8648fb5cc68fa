"""`esp3c fmt`: writes recipes in their one form. What cannot be read is shown, and left as it is."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from esp3c.cli.common import Failure, fail, printable, show, wants_color
from esp3c.cli.replacing import put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EPILOG = """\
examples:
  esp3c fmt                     format recipe.esp
  esp3c fmt recipes             format every .esp file in the folder recipes
  esp3c fmt --check recipes     write nothing; exit with 1 and name the files that would change
  esp3c fmt --diff recipe.esp   write nothing; show what would change; exit with 1 where something would
  esp3c fmt - < recipe.esp      read standard input, write standard output

There are no options of style. Comments are kept, and so is the meaning: the result is read again and compared before it
is written. Line ends are those of a file's first line.

Exit code 1 where --check or --diff finds a file that would change, and where a file has syntax errors, which is left as it
is; otherwise 0.
"""

_STDIN = "-"


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "fmt",
        help="write recipes in their one form",
        description="Formats recipes, in place.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        metavar="FILE",
        nargs="*",
        default=["recipe.esp"],
        help="recipes, folders with recipes, or - for standard input (default: recipe.esp)",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 where a file would change")
    parser.add_argument("--diff", action="store_true", help="the same, and show what would change")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if _STDIN in args.paths:
        if len(args.paths) > 1:
            return fail(Failure("- is standard input, and cannot be named beside files", 2))
        return _standard_input(args.check, args.diff)
    failed, codes = 0, set()
    changed: list[str] = []
    unchanged = 0
    try:
        paths = list(_recipes(args.paths))
    except Failure as failure:
        return fail(failure)
    for path in paths:
        try:
            if _file(path, args.check, args.diff):
                changed.append(path)
            else:
                unchanged += 1
        except Failure as failure:
            # Nothing can be said of what is left of a file that is not there.
            failed += os.path.lexists(path)
            codes.add(fail(failure) if str(failure) else failure.code)
    verb = "would be formatted" if args.check or args.diff else "formatted"
    counts = [
        (len(changed), verb),
        (unchanged, "unchanged"),
        (failed, "left as they are" if failed > 1 else "left as it is"),
    ]
    words = ", ".join(f"{count} {'file' if count == 1 else 'files'} {what}" for count, what in counts if count)
    if words:
        print(words, file=sys.stderr if args.diff else sys.stdout)
    return max(codes, default=1 if (args.check or args.diff) and changed else 0)


# -- which files ------------------------------------------------------------------------------------------------------


def _recipes(names: Sequence[str]) -> Iterator[str]:
    """The recipes that the arguments name, each once.

    Raises:
        Failure: an argument is no recipe, or a folder without one.
    """
    seen: set[str] = set()
    for name in names:
        if os.path.isdir(name):
            found = list(_inside(name))
            if not found:
                raise Failure(f"there is no .esp file in {name}")
        elif name.endswith(".esp"):
            found = [name]
        else:
            raise Failure(f"{name} is no recipe: name a .esp file, a folder, or - for standard input", 2)
        for path in found:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path


def _inside(folder: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (os.path.join(here, name) for name in sorted(names) if name.endswith(".esp"))


# -- formatting ---------------------------------------------------------------------------------------------------------


def _file(path: str, check: bool, diff: bool) -> bool:
    """Formats one file; whether it changed, or would.

    Raises:
        Failure: it cannot be read, formatted or written. Without a message, what is wrong has been shown.
    """
    from esp3c.disk import UnreadableRecipe, read_recipe

    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_dir() and not target.is_file():
            raise Failure(f"{path} is not a plain file")
        read_recipe(Path(path), path)
        data = target.read_bytes()
    except UnreadableRecipe as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror or error}") from None
    text = _formatted(data, path)
    if text.encode("utf-8") == data:
        return False
    if diff:
        _show_diff(data.decode("utf-8"), text, path, sys.stdout)
    elif check:
        print(printable(f"would format {path}"))
    else:
        try:
            written = put(target, text.encode("utf-8"), data)
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror or error}") from None
        if not written:
            raise Failure(f"{path} was changed by somebody else meanwhile, and was left as it is; run esp3c fmt again")
        print(printable(f"formatted {path}"))
    return True


def _standard_input(check: bool, diff: bool) -> int:
    shown = "<stdin>"
    try:
        data = sys.stdin.buffer.read()
        text = _formatted(data, shown)
    except Failure as failure:
        return fail(failure) if str(failure) else failure.code
    changed = text.encode("utf-8") != data
    if diff:
        _show_diff(data.decode("utf-8"), text, shown, sys.stdout)
    elif check:
        if changed:
            print(f"would format {shown}")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
    return 1 if (check or diff) and changed else 0


def _formatted(data: bytes, shown: str) -> str:
    from esp3c.disk import UnreadableRecipe, decode
    from esp3c.format import Unfaithful, format_source
    from esp3c.source import Source

    try:
        result = format_source(Source(shown, decode(data, shown)))
    except UnreadableRecipe as error:
        raise Failure(str(error)) from None
    except Unfaithful:
        raise Failure(
            f"{shown} was left as it is: formatted, it would not say the same\n"
            "that is a mistake in esp3c; please report it with the file"
        ) from None
    if result.text is None:
        show(result.diagnostics, sys.stderr)
        raise Failure("")
    return result.text


def _show_diff(old: str, new: str, shown: str, stream: TextIO) -> None:
    from difflib import unified_diff

    from esp3c.format import lines_of

    color = wants_color(stream)
    paints = {"-": "31", "+": "32", "@": "36"}
    for number, line in enumerate(unified_diff(lines_of(old), lines_of(new), shown, shown)):
        whole = line.endswith("\n")
        line = line.removesuffix("\n")
        if stream.isatty():
            line = printable(line.removesuffix("\r"))
        if color:
            paint = "1" if number < 2 else paints.get(line[:1])
            line = f"\x1b[{paint}m{line}\x1b[0m" if paint else line
        stream.write(line + "\n")
        if not whole:
            stream.write("\\ No newline at end of file\n")
