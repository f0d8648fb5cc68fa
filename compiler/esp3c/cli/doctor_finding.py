"""What a check of `esp3c doctor` says, and what it is told."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from esp3c.record import record

if TYPE_CHECKING:
    from esp3c.pipeline import Result

OK, WARN, FAIL = "ok", "warn", "fail"

PATIENCE = 5.0
"""Seconds for each program that is asked. One that hangs is a finding."""


@record
class Finding:
    """What a check has found: a line of facts, and where something is wrong what to do about it."""

    name: str
    result: str
    found: str
    todo: str = ""


@record
class Patient:
    """What is looked at: the environment, and a recipe where there is one.

    `recipe` is the file as it was named, or the folder that has none, `result` what came of it; `folder` is the recipe's, or the one
    in which one is.
    """

    folder: Path
    recipe: str | None = None
    result: Result | None = None

    @property
    def on_slurm(self) -> bool:
        """Whether a stage of the recipe is sent to SLURM."""
        from esp3c.check.limits import runs_on_slurm

        return self.result is not None and runs_on_slurm(self.result.recipe)


Check: TypeAlias = Callable[[Patient], Iterator[Finding]]


@record
class Answer:
    """What a program said. `code` is None where it did not say anything: `why` says why, in words."""

    code: int | None
    out: str
    why: str

    @property
    def ok(self) -> bool:
        return self.code == 0


def asked(command: Sequence[str], patience: float = PATIENCE) -> Answer:
    """Asks another program, and waits for it for a while and no longer."""
    try:
        done = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"{command[0]} did not answer within {patience:g} s")
    except OSError as error:
        return Answer(None, "", f"{command[0]} cannot be started: {error.strerror or error}")
    out, err = (text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr))
    said = (err or out or f"exit code {done.returncode}").splitlines()[-1]
    return Answer(done.returncode, out, said if done.returncode else "")


def size(number: float) -> str:
    """`12.3 GB`."""
    for unit, least in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= least:
            return f"{number / least:.3g} {unit}"
    return f"{number:.0f} bytes"
