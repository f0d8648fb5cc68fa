"""`esp3c resume`: calls again what a run was called with, and goes on with its jobs and results."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
from collections.abc import Sequence

from esp3rt.slurm.chosen import Failure, add_choice, brief, chosen, fail, leader_of
from esp3rt.slurm.found import RUN
from esp3rt.slurm.ledger import DONE
from esp3rt.slurm.tails import plain_text

_SECONDS_TO_END = 30.0


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    parser = argparse.ArgumentParser(
        prog="esp3c resume",
        description="Goes on with a run that nobody leads: takes the lead of its jobs, and does what was not done yet.",
    )
    add_choice(parser)
    parser.add_argument("--detach", action="store_true", help="send what is to be sent, and do not wait for it")
    args = parser.parse_args(words)
    try:
        choice = chosen(args.recipe, args.run)
        known = brief(choice.paths)
        if known.over == DONE:
            raise Failure(f"run {choice.paths.name} is done: nothing is left to go on with")
        owner = leader_of(choice.paths)
        if owner is not None:
            raise Failure(
                f"run {choice.paths.name} is led by {owner}: `{choice.command('status')} --watch` shows it, "
                f"`{choice.command('cancel')}` ends it"
            )
        command = [str(word) for word in known.about["command"]]
        command += ["--detach"] if args.detach and "--detach" not in command else []
        return _call(command, str(known.about["cwd"]), {**os.environ, RUN: str(choice.paths.folder)})
    except Failure as failure:
        return fail(failure)


def _call(command: Sequence[str], folder: str, env: dict[str, str]) -> int:
    print(plain_text(f"in {folder}: {shlex.join(command)}"), flush=True)
    try:
        process = subprocess.Popen(command, cwd=folder, env=env)
    except OSError as error:
        raise Failure(f"what the run was called with cannot be called again: {error}") from error
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the process as well, which says how to come back.
            try:
                process.wait(timeout=_SECONDS_TO_END)
            except (KeyboardInterrupt, subprocess.TimeoutExpired):
                process.terminate()
            continue
        return code if code >= 0 else 128 - code
