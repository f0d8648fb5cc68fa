"""Runs on a cluster as their journals tell them, without a cluster.

    run = RunOnDisk(folder, ["train", "infer"])
    run.begin("infer")
    work = run.shards("infer", 100)
    work.sent("17", jobs=2)
    worker = work.worker("17_0", "n1")
    worker.done(0, seconds=10)

Times are seconds after `START`; each call says when, or happens at `run.now`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esp3rt.files import write_json
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.ledger import Run, read_run
from esp3rt.slurm.looks import Look
from esp3rt.slurm.paths import RunPaths, WorkPaths, new_run

START = 1_795_000_000.0


class RunOnDisk:
    """A run."""

    def __init__(self, recipe: Path, stages: list[str], **about: Any) -> None:
        self.now = 0.0
        self.paths: RunPaths = new_run(recipe)
        self.about = {
            "version": 1,
            "command": ["true"],
            "cwd": str(recipe),
            "recipe": str(recipe),
            "name": recipe.name,
            "stages": stages,
            "created": START,
            "detached": False,
            **about,
        }
        write_json(self.paths.description, self.about)
        self._journal = Journal(self.paths.journal, "leader-login-1")

    def read(self) -> Run:
        return read_run(self.paths)

    def begin(self, stage: str) -> None:
        self.write("stage_began", stage=stage, where="slurm")

    def end(self, stage: str, how: str = "done", why: str = "") -> None:
        self.write("stage_ended", stage=stage, how=how, why=why)

    def over(self, how: str, why: str = "") -> None:
        self.write("run_over", how=how, why=why)

    def write(self, kind: str, **data: Any) -> None:
        self._journal.write(kind, t=START + self.now, **data)

    def shards(self, stage: str, count: int, items: int = 0) -> WorkOnDisk:
        return WorkOnDisk(self, stage, "shards", list(range(count)), {"items": items})

    def commands(self, stage: str, names: list[str] | None = None) -> WorkOnDisk:
        named = dict(enumerate(names or [stage]))
        return WorkOnDisk(self, stage, "commands", list(named), {"names": named})


class WorkOnDisk:
    """A work of a run."""

    def __init__(self, run: RunOnDisk, stage: str, kind: str, tasks: list[int], more: dict[str, Any]) -> None:
        self.run = run
        self.calls = 0
        about = {"version": 1, "kind": kind, "name": stage, "stage": stage, "token": "word", "tasks": tasks}
        self.paths: WorkPaths = run.paths.new_work(stage, {**about, "created": START + run.now, **more})
        self._journal = Journal(self.paths.journal, "leader-login-1")

    def write(self, kind: str, **data: Any) -> None:
        self._journal.write(kind, t=START + self.run.now, **data)

    def sending(self, jobs: int = 1, tasks: list[int] | None = None, name: str = "") -> None:
        self.calls += 1
        name = name or f"{self.paths.name}.word.{self.calls}"
        self.write("sending", number=self.calls, name=name, jobs=jobs, array=jobs > 1, tasks=tasks)

    def sent(self, job: str, jobs: int = 1, tasks: list[int] | None = None, name: str = "") -> None:
        self.sending(jobs, tasks, name)
        self.write("sent", number=self.calls, job=job)

    def seen(
        self, job: str, state: str, *, alive: bool | None = True, reason: str = "", node: str = "", restarts: int = 0
    ) -> None:
        self.write("seen", job=job, state=state, alive=alive, reason=reason, node=node, restarts=restarts)

    def worker(self, job: str, node: str, *, restarts: int = 0, process: int = 0) -> WorkerOnDisk:
        return WorkerOnDisk(self, job, node, restarts, process)


class WorkerOnDisk:
    """A worker of a work."""

    def __init__(self, work: WorkOnDisk, job: str, node: str, restarts: int, process: int) -> None:
        self.work = work
        self.name = f"{job}.{restarts}.{process}"
        self.log: Path = work.paths.log_of(self.name)
        self._journal = Journal(work.paths.journal, self.name)
        self.write("worker", job=job, restarts=restarts, process=process, node=node, pid=1)

    def write(self, kind: str, **data: Any) -> None:
        self._journal.write(kind, t=START + self.work.run.now, **data)

    def began(self, task: int, attempt: int = 1) -> None:
        self.write("began", task=task, attempt=attempt)

    def moved(self, n: int) -> None:
        self.write("moved", n=n)

    def ended(self, task: int, attempt: int = 1) -> None:
        self.write("ended", task=task, attempt=attempt, token="word", sha256="", result="")

    def done(self, task: int, seconds: float = 1.0) -> None:
        self.began(task)
        self.work.run.now += seconds
        self.ended(task)

    def failed(self, task: int, text: str, attempt: int = 1) -> None:
        self.write("failed", task=task, attempt=attempt, error=None, text=text)

    def died(self, task: int, why: str, attempt: int = 1) -> None:
        self.write("died", task=task, attempt=attempt, why=why)

    def left(self, code: int = 0) -> None:
        self.write("left", code=code)

    def prints(self, text: str) -> None:
        with open(self.log, "a", encoding="utf-8", newline="") as log:
            log.write(text)


class Answers:
    """SLURM's answers, in the place of `Watch`; patch it over `esp3rt.slurm.asked.Watch`.

    Attributes:
        looks: What it says of each job; of others nobody can say anything.
        unreachable: Why it does not answer.
        asked: The jobs that it was asked about, with their names.
    """

    def __init__(self, *looks: Look, unreachable: str = "") -> None:
        self.looks = {look.job: look for look in looks}
        self.unreachable = unreachable
        self.asked: dict[str, str] = {}

    def __call__(self) -> Answers:
        return self

    def add(self, jobs: list[str], *, name: str = "") -> None:
        self.asked |= dict.fromkeys(jobs, name)

    def due(self) -> bool:
        return bool(self.asked)

    def look(self, *, deadline: float) -> dict[str, Look]:
        return {job: Look(job) for job in self.asked} | self.looks
