"""`python -m esp3rt.slurm COMMAND …`: what jobs run, and what `esp3c` calls for work on a cluster.

Each command is the function `main` of a module: it takes the words after its own and returns the exit code. Only the module
of the command that was asked for is imported.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

_COMMANDS = {
    "status": "status",
    "logs": "logs",
    "cancel": "cancel",
    "resume": "resume",
    "work": "job",
    "request": "request_cli",
}


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    if not words or words[0] not in _COMMANDS:
        print(f"usage: python -m esp3rt.slurm {{{','.join(_COMMANDS)}}} …", file=sys.stderr)
        return 2
    code: int = import_module(f"esp3rt.slurm.{_COMMANDS[words[0]]}").main(list(words[1:]))
    return code


def _ended(words: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A character that this terminal's encoding does not have must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`… | head`): Python must not say so at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(_ended(sys.argv[1:]))
