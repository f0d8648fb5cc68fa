"""A program that goes through items on a cluster, and what tests need to disturb it and to see what came of it.

As a program, `python works.py FOLDER ITEMS SETTING` writes a line for each item to `FOLDER/out/lines`, in order, by a runner
under the machine setting SETTING (JSON; `null` is this process). Each item that is worked on is noted in `FOLDER/seen/`, a
file for each process. What is to go wrong at an item stands in the file `FOLDER/faults/<item>`, see `FAULTS`; it goes
wrong once, unless the word `always` follows. `FOLDER/faults/merge` with `kill` ends the program before its last step.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from omegaconf import OmegaConf

from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.parallel import parallel_in_force

FAULTS = ("kill", "exit", "sys.exit", "raise", "memory", "hold")
DEADLINE = 90.0

_T = TypeVar("_T")


# -- the program -------------------------------------------------------------------------------------------------------


class Given(EnvironmentProvider):
    """The environment is the config."""

    def build_env_local(self) -> dict[str, Any]:
        return self.build_worker_setup_fn()()

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        env = {str(name): value for name, value in self.config.items()}
        return lambda: env


class Lines(BaseRunner):
    """A line for each item."""

    @staticmethod
    def forward(idx: Any, folder: str, **env: Any) -> str:
        note(folder, idx)
        go_wrong(folder, str(idx))
        return line_of(idx)

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"lines": (shard_dir / "lines").open("w", encoding="utf-8")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["lines"].write(result)

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        writers["lines"].close()

    def merge(self, shard_dirs: list[Path]) -> None:
        assert self.output_dir is not None
        go_wrong(str(self.output_dir.parent), "merge")
        concatenate_shard_files(shard_dirs, "lines", self.output_dir / "lines")


def line_of(item: int) -> str:
    """What an item becomes; lines differ in length."""
    return f"{item} {hashlib.sha256(str(item).encode()).hexdigest()[: 8 + item % 50]}\n"


def place() -> dict[str, Any]:
    """Where this process is."""
    env = os.environ
    array, index = env.get("SLURM_ARRAY_JOB_ID"), env.get("SLURM_ARRAY_TASK_ID")
    return {
        "job": f"{array}_{index}" if array else env.get("SLURM_JOB_ID", ""),
        "restarts": int(env.get("SLURM_RESTART_COUNT", "0")),
        "node": env.get("SLURMD_NODENAME", ""),
        "pid": os.getpid(),
        "supervisor": os.getppid(),
    }


def append(file: Path, line: str) -> None:
    """Add a line to a file that several processes may write to."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def note(folder: str, item: int) -> None:
    """Write down that an item is worked on by this process."""
    append(Path(folder, "seen", f"{place()['job']}-{os.getpid()}"), str(item))


def go_wrong(folder: str, what: str) -> None:
    """Do what the file of this name in `faults` says."""
    file = Path(folder, "faults", what)
    try:
        fault, *more = file.read_text().split()
    except FileNotFoundError:
        return
    if fault == "hold":
        append(Path(folder, "held", what), json.dumps(place()))
        # Like a hook that has another program do its work.
        subprocess.run(["sh", "-c", 'while [ -e "$0" ]; do sleep 0.05; done', file], check=True)
        return
    if "always" not in more:
        file.unlink()
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "exit":
        os._exit(3)
    elif fault == "sys.exit":
        sys.exit(3)
    elif fault == "memory":
        kept = [b"x" * 50 * 2**20 + bytes([piece]) for piece in range(int(more[0]) // 50)]
        time.sleep(60)
        raise MemoryError(f"nobody minded {len(kept)} pieces")
    raise ValueError(f"item {what} cannot be read")


def run(folder: Path, items: int, setting: Any) -> None:
    """Go through the items."""
    runner = Lines(Given(OmegaConf.create({"folder": str(folder)})), output_dir=folder / "out")
    with parallel_in_force(OmegaConf.create(setting) if setting else None):
        runner(range(items))


def main() -> int:
    """The program."""
    folder, items, setting = sys.argv[1:]
    try:
        run(Path(folder), int(items), json.loads(setting))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


# -- what tests need ---------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """A process that waits at an item."""

    job: str
    restarts: int
    node: str
    pid: int
    supervisor: int


class Works:
    """The program in a folder, started as often as a test likes.

    Args:
        folder: The folder; it is made.
        items: How many items there are.
        workers, shards: As in the machine setting.
        options: What replaces the usual options there.

    What the program prints goes to a file beside the folder.
    """

    def __init__(self, folder: Path, items: int = 24, workers: int = 2, shards: int = 8, **options: Any) -> None:
        self.folder = folder
        self.printed = folder.with_name(f"{folder.name}.log")
        self.items = items
        usual = {"partition": "cpu", "time": 10, "mem": "400M", "cpus_per_task": 1}
        self.setting = {"env": "slurm", "n_workers": workers, "n_shards": shards, "options": {**usual, **options}}
        self.started: list[subprocess.Popen[bytes]] = []
        for name in ("seen", "faults", "held", "bin"):
            (folder / name).mkdir(parents=True)
        self._wrap_sbatch()

    # -- starting and ending -------------------------------------------------------------------------------------------

    def start(self) -> subprocess.Popen[bytes]:
        """Start the program."""
        command = [sys.executable, __file__, str(self.folder), str(self.items), json.dumps(self.setting)]
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with open(self.printed, "ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], code: int) -> None:
        """Wait for the end of the program, which must have this exit code."""
        try:
            found = process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program does not end:\n{self.report()}") from None
        assert found == code, f"exit code {found} instead of {code}:\n{self.report()}"

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the good end of the program: the output is as if it had run here."""
        self.end(process, 0)
        assert self.output() == self.expected(), self.report()

    def close(self) -> None:
        """End what still runs."""
        for process in self.started:
            process.kill()
            process.wait()

    def output(self) -> bytes:
        """What was written."""
        return (self.folder / "out" / "lines").read_bytes()

    def expected(self) -> bytes:
        """What the same runner writes in this process."""
        here = self.folder / "here"
        (here / "seen").mkdir(parents=True, exist_ok=True)
        run(here, self.items, None)
        return (here / "out" / "lines").read_bytes()

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def fault(self, item: int | str, *words: str) -> None:
        """Let something go wrong at an item."""
        (self.folder / "faults" / str(item)).write_text(" ".join(words))

    def hold(self, *items: int) -> None:
        """Let whoever comes to one of these items wait there."""
        for item in items:
            self.fault(item, "hold")

    def held(self, item: int, count: int = 1) -> Held:
        """Wait until a process waits at an item; where `count` is more, the last of so many."""
        file = self.folder / "held" / str(item)
        lines = self.until(lambda: _lines(file)[count - 1 :])
        return Held(**json.loads(lines[0]))

    def release(self, *items: int) -> None:
        """Let go of those who wait at these items."""
        for item in items:
            (self.folder / "faults" / str(item)).unlink()

    def _wrap_sbatch(self) -> None:
        """Count the calls of sbatch, and kill who calls it, before or after, where `faults` says so."""
        real = shutil.which("sbatch")
        assert real is not None
        at = {when: shlex.quote(str(self.folder / "faults" / f"{when}-sbatch")) for when in ("before", "after")}
        lines = [
            "#!/bin/sh",
            f"if [ -e {at['before']} ]; then rm {at['before']}; kill -9 $PPID; exit 1; fi",
            f"echo >> {shlex.quote(str(self.folder / 'calls'))}",
            f'{real} "$@"',
            "code=$?",
            f"if [ -e {at['after']} ]; then rm {at['after']}; kill -9 $PPID; fi",
            "exit $code",
        ]
        wrapper = self.folder / "bin" / "sbatch"
        wrapper.write_text("\n".join(lines) + "\n")
        wrapper.chmod(0o755)

    # -- what has happened ---------------------------------------------------------------------------------------------

    def until(self, what: Callable[[], _T]) -> _T:
        """Ask until there is something to be had."""
        end = time.monotonic() + DEADLINE
        while not (found := what()):
            assert time.monotonic() < end, f"nothing within {DEADLINE} s:\n{self.report()}"
            time.sleep(0.05)
        return found

    def calls(self) -> int:
        """How often sbatch was called."""
        return len(_lines(self.folder / "calls"))

    def seen(self) -> Counter[int]:
        """How often each item was worked on."""
        return Counter(int(line) for file in (self.folder / "seen").iterdir() for line in _lines(file))

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What the journals of all works say of these kinds, in order: the data, with `kind`, `time` and `writer`."""
        from esp3rt.slurm.journal import Reader

        folders = sorted(self.folder.glob(".esp3c/runs/*/works/*/journal"))
        found = [event for folder in folders for event in Reader(folder).read() if not kinds or event.kind in kinds]
        found.sort(key=lambda event: event.time)
        return [{**event.data, "kind": event.kind, "time": event.time, "writer": event.writer} for event in found]

    def event(self, kind: str, after: float = 0.0, **data: Any) -> dict[str, Any]:
        """Wait for an event with these data; `after` is a time in seconds since 1970."""

        def found() -> list[dict[str, Any]]:
            events = (event for event in self.events(kind) if event["time"] >= after - 0.001)
            return [event for event in events if all(event.get(name) == value for name, value in data.items())]

        return self.until(found)[0]

    def noticed(self, what: str, since: float, kind: str = "again", **data: Any) -> None:
        """Wait for the event by which the program shows that it has noticed something, and tell after what time."""
        print(f"{what}: noticed after {self.event(kind, since, **data)['time'] - since:.2f} s")

    def nodes_of(self, shard: int) -> list[str]:
        """On which nodes a shard was begun, in order."""
        nodes = {event["writer"]: event["node"] for event in self.events("worker")}
        return [nodes[event["writer"]] for event in self.events("began") if event["task"] == shard]

    def log(self) -> str:
        """What the program has printed, in all its lives."""
        return self.printed.read_text(errors="replace")

    def report(self) -> str:
        """What there is to know where something is not as it should be."""
        logs = [self.printed, *sorted(self.folder.glob(".esp3c/runs/*/works/*/logs/*"))]
        parts = [f"-- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists()]
        return "\n".join([*parts, "-- journals", *map(str, self.events())])


def _lines(file: Path) -> Sequence[str]:
    return file.read_text().split("\n")[:-1] if file.exists() else []


if __name__ == "__main__":
    sys.exit(main())
