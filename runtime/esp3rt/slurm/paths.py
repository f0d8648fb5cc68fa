"""The names of all files of a run on a cluster, in one place.

```
<recipe>/.esp3c/runs/<run>/          a run: one call of run.py that has stages on the cluster
    run.json                         what was called, and for which stages
    lead/                            the lease of the process that leads the run
    journal/<writer>.jsonl           what became of its stages
    works/<number>-<name>/           a work: tasks that are done by jobs of one kind
        work.json                    what it is, and the token that every result of it carries
        job.pkl                      what is done with a shard; absent where tasks are commands
        send/<number>.json, .sh      what was asked of SLURM, once for each call of sbatch
        claims/<task>.<attempt>      who does a shard; a link to a file of workers/
        workers/<worker>             a process of a job
        results/<task>.<attempt>     what came of a shard, where it is too long for the journal
        ranks/<worker>               where the first process of a job that has several can be reached
        journal/<writer>.jsonl       what happened, a file for each writer
        next                         the work to which its jobs go when it is done
        closed                       there: there will be none
        logs/<job>_<process>_log.out what jobs print
```

When a stage is done, job.pkl, claims/, workers/ and results/ of its works are removed.

A worker is called `<job>.<restarts>.<process>`, such as `17_3.0.0`: a job that SLURM starts again is another worker.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esp3rt.files import write_json

RUNS = Path(".esp3c") / "runs"
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_WORK = re.compile(r"(\d+)-.+")


def new_run(recipe: str | os.PathLike[str]) -> RunPaths:
    """Make the folder of a new run of the recipe in a folder. Names of runs sort by time, which is UTC in them."""
    while True:
        now = time.time()
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1000):03d}{secrets.token_hex(1)[0]}"
        folder = Path(recipe).absolute() / RUNS / name
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return RunPaths(folder)


def runs_of(recipe: str | os.PathLike[str]) -> list[RunPaths]:
    """The runs of the recipe in a folder, oldest first."""
    root = Path(recipe).absolute() / RUNS
    names = sorted(name for name in os.listdir(root) if _RUN.fullmatch(name)) if root.is_dir() else []
    return [RunPaths(root / name) for name in names if (root / name / "run.json").is_file()]


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run."""

    folder: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def description(self) -> Path:
        """What was called."""
        return self.folder / "run.json"

    def about(self) -> dict[str, Any]:
        """The content of run.json."""
        found: dict[str, Any] = json.loads(self.description.read_text(encoding="utf-8"))
        return found

    @property
    def lead(self) -> Path:
        """The lease of the process that leads it."""
        return self.folder / "lead"

    @property
    def journal(self) -> Path:
        """The folder of its journals."""
        return self.folder / "journal"

    def works(self) -> list[WorkPaths]:
        """Its works, in the order in which they were begun."""
        root = self.folder / "works"
        found = (_WORK.fullmatch(name) for name in os.listdir(root)) if root.is_dir() else iter(())
        numbered = sorted((int(match[1]), match[0]) for match in found if match is not None)
        works = [WorkPaths(root / name) for _, name in numbered]
        return [work for work in works if work.description.is_file()]

    def new_work(self, name: str, description: dict[str, object]) -> WorkPaths:
        """Make the folder of a new work.

        Args:
            name: What to call it; what a file's name cannot hold is left out.
            description: The content of work.json.
        """
        root = self.folder / "works"
        root.mkdir(parents=True, exist_ok=True)
        short = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "work"
        taken = [int(match[1]) for each in os.listdir(root) if (match := _WORK.fullmatch(each)) is not None]
        number = max(taken, default=0) + 1
        while True:
            work = WorkPaths(root / f"{number}-{short}")
            try:
                work.folder.mkdir()
                break
            except FileExistsError:
                number += 1
        for folder in (work.send, work.claims, work.workers, work.results, work.ranks, work.journal, work.logs):
            folder.mkdir()
        write_json(work.description, description)
        return work


@dataclass(frozen=True, slots=True)
class WorkPaths:
    """The files of one work."""

    folder: Path

    @property
    def name(self) -> str:
        """The work's name, without its number."""
        return self.folder.name.partition("-")[2]

    @property
    def description(self) -> Path:
        """What it is."""
        return self.folder / "work.json"

    def about(self) -> dict[str, Any]:
        """The content of work.json."""
        found: dict[str, Any] = json.loads(self.description.read_text(encoding="utf-8"))
        return found

    @property
    def job(self) -> Path:
        """What is done with a shard."""
        return self.folder / "job.pkl"

    @property
    def send(self) -> Path:
        """What was asked of SLURM."""
        return self.folder / "send"

    @property
    def claims(self) -> Path:
        """Who does which shard."""
        return self.folder / "claims"

    @property
    def workers(self) -> Path:
        """The processes of its jobs."""
        return self.folder / "workers"

    @property
    def results(self) -> Path:
        """What came of shards."""
        return self.folder / "results"

    @property
    def ranks(self) -> Path:
        """Where first processes can be reached."""
        return self.folder / "ranks"

    @property
    def journal(self) -> Path:
        """The folder of its journals."""
        return self.folder / "journal"

    @property
    def logs(self) -> Path:
        """The folder of what jobs print."""
        return self.folder / "logs"

    @property
    def next(self) -> Path:
        """The work to which its jobs go when it is done: a file with its folder."""
        return self.folder / "next"

    @property
    def closed(self) -> Path:
        """There where its jobs have nowhere to go when it is done."""
        return self.folder / "closed"

    def claim(self, task: int, attempt: int) -> Path:
        """The claim of an attempt at a task."""
        return self.claims / f"{task}.{attempt}"

    def result(self, task: int, attempt: int) -> Path:
        """What came of an attempt at a task."""
        return self.results / f"{task}.{attempt}"

    def log_of(self, worker: str) -> Path:
        """What a worker, and those with the same job before it, have printed."""
        job, _, process = worker.rsplit(".", 2)
        return self.logs / f"{job}_{process}_log.out"
