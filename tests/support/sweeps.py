"""Sweeps whose points are a few lines of Python, and what they have left."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DEADLINE = 60.0

_RUN = """\
import json, os, sys, time
from pathlib import Path

name, stage = sys.argv[1:]
here = Path(__file__).parent


def mark(**more):
    env = os.environ
    text = json.dumps({"point": name, "stage": stage, "job": env.get("SLURM_JOB_ID"), "pid": os.getpid(), **more})
    with open(here / "marks.jsonl", "a") as handle:
        handle.write(text + "\\n")


def wait_for(what):
    end = time.monotonic() + 60
    while not (here / what).exists():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def result(loss, rate):
    folder = here / "exp" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.csv").write_text(f"epoch,valid/loss\\n1,9.0\\n2,{loss}\\n3,\\n")
    numbers = {"pkg.wer.WER": {"test": {"WER": rate, "words": 3}}}
    (folder / "metrics.json").write_text(json.dumps(numbers))


"""


class Sweep:
    """A sweep over `training.lr`, with a spec as the compiler writes it.

    Args:
        folder: The recipe's folder; it is made.
        points: For each value what its point does: Python that may call `mark()`, `wait_for(file)`, `result(loss, rate)`.
        setting: The machine setting of the jobs; without it the points run on this machine.
        here: What each point does before its job.
        shared: What is done once before all.
    """

    def __init__(
        self,
        folder: Path,
        points: Mapping[str, str],
        setting: Mapping[str, Any] | None = None,
        here: str = "",
        shared: str = "",
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "exp").mkdir()
        self.spec = folder / ".esp3c" / "sweeps" / "0123456789ab" / "spec.json"
        self.spec.parent.mkdir(parents=True)
        found = [self._point(value, body, here, setting is not None) for value, body in points.items()]
        shared_command = self._command("all", "shared", shared) if shared else None
        spec = {
            "version": 1,
            "id": "0123456789ab",
            "recipe": str(folder),
            "name": "toy",
            "keys": ["training.lr"],
            "columns": ["lr"],
            "stages": ["train"],
            "shared": shared_command,
            "setting": None if setting is None else dict(setting),
            "points": found,
        }
        self.spec.write_text(json.dumps(spec))

    def _point(self, value: str, body: str, here: str, has_job: bool) -> dict[str, Any]:
        name = f"lr={value}"
        exp = self.folder / "exp" / name
        command = self._command(name, "job" if has_job else "here", body)
        first = self._command(name, "prepare", here) if here else None
        return {
            "name": name,
            "values": [value],
            "here": first if has_job else command,
            "job": command if has_job else None,
            "folder": str(exp),
            "history": {"file": str(exp / "history.csv"), "metric": "valid/loss", "mode": "min"},
            "metrics": [{"file": str(exp / "metrics.json"), "label": ""}],
        }

    def _command(self, name: str, stage: str, body: str) -> list[str]:
        path = self.folder / f"{stage}-{name}.py"
        path.write_text(_RUN + body + "\n")
        return [sys.executable, str(path), name, stage]

    def set(self, value: str, body: str) -> None:
        """Let a point do something else from now on."""
        stage = "job" if json.loads(self.spec.read_text())["setting"] is not None else "here"
        self._command(f"lr={value}", stage, body)

    def command(self, *words: str) -> list[str]:
        """The command that runs it."""
        return [sys.executable, "-P", "-m", "esp3rt.sweep", str(self.spec), *words]

    def marks(self, name: str = "", stage: str = "") -> list[dict[str, Any]]:
        """What points have marked, in order."""
        path = self.folder / "marks.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [each for each in found if name in ("", each["point"]) and stage in ("", each["stage"])]

    def let(self, what: str) -> None:
        """Let points go on that wait for this."""
        (self.folder / what).touch()

    def rows(self) -> list[dict[str, str]]:
        """The rows of sweep.csv."""
        with open(self.spec.parent / "sweep.csv", newline="") as handle:
            return list(csv.DictReader(handle))

    def states(self) -> dict[str, str]:
        """The state of each point, by sweep.csv."""
        return {row["point"]: row["state"] for row in self.rows()}

    def results(self) -> dict[str, Any]:
        """The content of sweep.json."""
        found: dict[str, Any] = json.loads((self.spec.parent / "sweep.json").read_text())
        return found


def until(what: Callable[[], Any], told: Callable[[], str] = lambda: "") -> Any:
    """Wait for something; what it gives."""
    end = time.monotonic() + DEADLINE
    while not (found := what()):
        assert time.monotonic() < end, f"not within {DEADLINE:.0f} s: {told()}"
        time.sleep(0.05)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
