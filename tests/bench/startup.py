"""How long the commands take as cold processes, in the same run as a bare Python.

    python tests/bench/startup.py

Prints medians, and each as a multiple of `python -c pass`, which is the part that nobody can save.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 9


def seconds(command: list[str], folder: Path) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    esp3c = [sys.executable, "-m", "esp3c.cli.main"]
    folder = Path(tempfile.mkdtemp(prefix="esp3c-bench-"))
    try:
        subprocess.run([*esp3c, "init", "tones"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*esp3c, "build", "tones"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        flags = [f"--{name}_config=conf/{name}.yaml" for name in ("training", "inference", "metrics")]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "esp3c --help": [*esp3c, "--help"],
            "esp3c check": [*esp3c, "check"],
            "esp3c build --check": [*esp3c, "build", "--check"],
            "run.py --help": [sys.executable, "run.py", "--help"],
            "run.py --dry_run": [sys.executable, "run.py", "--dry_run", *flags],
        }
        bare = 0.0
        for name, command in commands.items():
            took = seconds(command, folder / "tones")
            bare = bare or took
            print(f"{name:<22} {took:6.3f} s  {took / bare:5.1f} x python -c pass")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
