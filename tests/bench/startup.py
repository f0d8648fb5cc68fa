"""How long the commands take as cold processes, in the same run as a bare Python.

    python tests/bench/startup.py

Prints medians, and each as a multiple of `python -c pass`, which is the part that nobody can save. A check is measured
in the states that its cache can be in:

    unchanged   nothing has changed since the last check, so its answer is given again
    filled      the recipe is new, the Python that it names is known from before
    empty       nothing is known; what is found out is written down
    off         ESP3C_NO_CACHE=1

The goals are for a Python that keeps its bytecode. Where it does not (PYTHONDONTWRITEBYTECODE), every start compiles the
modules of esp3c, and the measurement says so.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

RUNS = 9
RECIPE = Path(__file__).parents[2] / "recipes" / "spoken_digits"
ESP3C = [sys.executable, "-m", "esp3c"]
BARE = "python -c pass"
GOALS = {"esp3c check, unchanged": 0.08, "esp3c check, filled": 0.15, "esp3c check, empty": 0.6}
# Files that are younger than this are not trusted to be unchanged.
SETTLING = 2.2


def seconds(command: list[str], folder: Path, environment: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


class Startup:
    """The commands to measure, in a folder with two recipes and a cache."""

    def __init__(self, folder: Path) -> None:
        self.tones, self.digits, self.cache = folder / "tones", folder / "digits", folder / "cache"
        self.environment = {**os.environ, "ESP3C_CACHE_DIR": str(self.cache)}
        self.environment.pop("ESP3C_NO_CACHE", None)
        self.count = 0
        self.run([*ESP3C, "init", "tones"], folder)
        self.run([*ESP3C, "build", "tones"], folder)
        shutil.copytree(RECIPE, self.digits, ignore=shutil.ignore_patterns("__pycache__", "exp", "data", ".esp3c"))
        time.sleep(SETTLING)
        # The first fills the cache and, where Python keeps it, the bytecode; the second is known then.
        self.run([*ESP3C, "check"], self.digits)
        self.run([*ESP3C, "check"], self.digits)

    def run(self, command: list[str], folder: Path, **environment: str) -> float:
        return seconds(command, folder, {**self.environment, **environment})

    def filled(self) -> float:
        self.count += 1
        return self.run([*ESP3C, "check", "--set", f"training.trainer.max_epochs={self.count}"], self.digits)

    def empty(self) -> float:
        self.count += 1
        return self.run([*ESP3C, "check"], self.digits, ESP3C_CACHE_DIR=str(self.cache / f"empty{self.count}"))

    def commands(self) -> dict[str, Callable[[], float]]:
        flags = [f"--{name}_config=conf/{name}.yaml" for name in ("training", "inference", "metrics")]
        return {
            BARE: lambda: self.run([sys.executable, "-c", "pass"], self.tones),
            "esp3c --help": lambda: self.run([*ESP3C, "--help"], self.tones),
            "esp3c check, unchanged": lambda: self.run([*ESP3C, "check"], self.digits),
            "esp3c check, filled": self.filled,
            "esp3c check, empty": self.empty,
            "esp3c check, off": lambda: self.run([*ESP3C, "check"], self.digits, ESP3C_NO_CACHE="1"),
            "esp3c build --check": lambda: self.run([*ESP3C, "build", "--check"], self.tones),
            "run.py --help": lambda: self.run([sys.executable, "run.py", "--help"], self.tones),
            "run.py --dry_run": lambda: self.run([sys.executable, "run.py", "--dry_run", *flags], self.tones),
        }


def measure(runs: int = RUNS) -> dict[str, float]:
    """The median of each command. They take turns, so that a busy moment of the machine meets them all."""
    folder = Path(tempfile.mkdtemp(prefix="esp3c-bench-"))
    try:
        commands = Startup(folder).commands()
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                taken[name].append(command())
    finally:
        shutil.rmtree(folder)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> int:
    if sys.flags.dont_write_bytecode:
        print("bytecode is not kept here (PYTHONDONTWRITEBYTECODE): every start compiles the modules of esp3c")
    found = measure()
    for name, took in found.items():
        goal = f"   goal {GOALS[name]:.2f} s" if name in GOALS else ""
        print(f"{name:<24} {took:6.3f} s  {took / found[BARE]:5.1f} x {BARE}{goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
