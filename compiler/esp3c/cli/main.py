"""`esp3c`: reads the command line and calls the command's module.

A command is a line of `COMMANDS` and the module `esp3c.cli.NAME`, which has `add(commands)`: it describes the arguments
and says with `set_defaults(run=run)` what to call; `run(args)` returns the exit code, and has the words themselves as
`args.words`. Only the module of the command that was asked for is imported, and it imports what it needs inside `run`.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

from esp3c import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

# In the order of the help.
COMMANDS = {
    "init": "begin a recipe",
    "check": "say what is wrong with a recipe",
    "fmt": "write recipes in their one form",
    "build": "write run.py, system.py and conf/",
    "plan": "say what a run would do",
    "graph": "draw the recipe",
    "run": "build the recipe and run its stages",
    "status": "what became of its runs on the cluster",
    "logs": "what their jobs have printed",
    "cancel": "take their jobs off the cluster",
    "resume": "go on with a run whose process is gone",
    "explain": "what an error code means",
    "doctor": "what is wrong with the environment, and what to do",
    "completion": "let a shell complete these words",
    "lsp": "the language server, for editors",
}

DESCRIPTION = """\
Compiles a speech recipe: one checked file in, an ESPnet3 recipe out.
"""

EPILOG = """\
examples:
  esp3c init digits                       begin a recipe in the folder digits
  esp3c check digits/recipe.esp           say what is wrong with it
  esp3c fmt digits/recipe.esp             write it in its one form
  esp3c build digits/recipe.esp           write run.py, system.py and conf/ beside it
  esp3c plan digits/recipe.esp            say what a run would do, and do none of it
  esp3c graph digits/recipe.esp -o digits.svg
  esp3c run digits/recipe.esp             build it and run all its stages
  esp3c run digits/recipe.esp --stages infer measure
  esp3c status digits/recipe.esp          what became of its runs on the cluster; also logs, cancel, resume
  esp3c explain ESP0301                   what an error code means
  esp3c doctor                            what is wrong with the environment

exit codes: 0 fine, 1 the recipe or a stage failed, 2 the command line was wrong, 130 interrupted
"""


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """What reads these words. Where they name a command, the others are left out."""
    import argparse

    class Parser(argparse.ArgumentParser):
        """A parser whose errors name what may have been meant."""

        def error(self, message: str) -> NoReturn:
            from esp3c.cli.common import printable
            from esp3c.cli.meant import meant

            near = meant(top, message, words)
            self.print_usage(sys.stderr)
            self.exit(2, printable(f"{self.prog}: error: {message}" + (f"; {near}" if near else "")) + "\n")

    top = Parser(
        prog="esp3c",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"esp3c {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=top.prog)
    chosen = next((word for word in words if not word.startswith("-")), None)
    if chosen in COMMANDS:
        import_module(f"esp3c.cli.{chosen}").add(commands)
        return top
    for name, line in COMMANDS.items():
        commands.add_parser(name, help=line)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `esp3c` and returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that this terminal's encoding does not have must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        if not sys.stdout.closed:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("esp3c: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has gone (`esp3c check … | head`): nothing is left to say, and Python must not say it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _run(words: list[str]) -> int:
    if words[:1] == ["check"]:
        # A check that nothing has changed for is answered before argparse and the compiler are imported.
        from esp3c.cli.replay import replayed

        known = replayed(words)
        if known is not None:
            return known
    if words[:1] == ["_complete"]:
        # A shell asks: no command that a person types.
        asked: int = import_module("esp3c.cli.complete").answer(words[1:])
        return asked
    args = parser(words).parse_args(words)
    args.words = words
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
