"""What is known of a work: each task, each attempt at it, each worker, each job; folded out of the journals.

The events of a work, by who writes them:

| event | writer | data |
|---|---|---|
| `sending` | leader | `number`, `name`, `jobs`, `tasks`, `attempts` (commands: of each job the task, and which attempt), \
`avoid` (nodes): sbatch is about to be called |
| `sent` | leader | the same and `job`: SLURM has taken it |
| `not_sent` | leader | `number`, `why` |
| `seen` | leader | `job`, `state`, `alive`, `reason`, `node`, `restarts`, `exit`: what SLURM says has changed; \
`name`, `adopted` |
| `silent` | leader | `why`: SLURM does not answer; empty: it does again |
| `again` | leader | `task`, `attempt`, `tried` (how often in vain), `free` (how often without counting, since something \
was done), `avoid` (nodes), `why`: the attempt may be made |
| `gave_up` | leader | `task`, `attempt`, `why` |
| `over` | leader | `how` ("done", "failed", "cancelled"), `why` |
| `reopened` | leader | it goes on after all |
| `worker` | worker | `job`, `restarts`, `process`, `node`, `pid`: a process of a job has begun |
| `ready` | worker | what all tasks need is built |
| `began` | worker | `task`, `attempt` |
| `moved` | worker | `n`: how many more items are done |
| `ended` | worker | `task`, `attempt`, `token`, `sha256`, `result` (base64) or a file in results/; `left`: it leaves as well |
| `failed` | worker | `task`, `attempt`, `error`, `text`: the task raised an error |
| `died` | worker | `task`, `attempt`, `why`: the process that worked on it died; `free`: that does not count; `progress`: \
it got somewhere |
| `requeued` | worker | `task`, `attempt`: the job goes on when SLURM starts it again |
| `stopping` | worker | `why`: no further task is begun |
| `left` | worker | `code`: the worker ends in order |

What the leader says of jobs is what SLURM says, which is a hint. What workers say of tasks is what happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esp3rt.slurm.journal import Event, Reader
from esp3rt.slurm.paths import RunPaths, WorkPaths

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
DRIVER = "driver"


@dataclass(slots=True)
class Task:
    """A task.

    Attributes:
        number: Which.
        state: `WAITING`, `RUNNING`, `DONE` or `FAILED`.
        attempt: The latest attempt, from 1; 0 before the first.
        worker: The worker that made it.
        began, ended: When, in seconds since 1970; 0 where it did not.
        why: Why the attempt before ended badly, or the last.
    """

    number: int
    state: str = WAITING
    attempt: int = 0
    worker: str = ""
    began: float = 0.0
    ended: float = 0.0
    why: str = ""


@dataclass(slots=True)
class Worker:
    """A process of a job.

    Attributes:
        name: `<job>.<restarts>.<process>`.
        job: Its job, `17` or `17_3`.
        node: Where it runs.
        began, heard: When it began, and when it last said something.
        task: What it works on, or None.
        done: How many tasks it has ended.
        moved: How many items it has done of its task.
        over: Whether it has left.
        is_idle: Whether it has left with nothing done while tasks waited.
    """

    name: str
    job: str
    node: str = ""
    began: float = 0.0
    heard: float = 0.0
    task: int | None = None
    done: int = 0
    moved: int = 0
    over: bool = False
    is_idle: bool = False


@dataclass(slots=True)
class Job:
    """A job, or a task of a job array, as SLURM has shown it.

    Attributes:
        id: `17` or `17_3`.
        name: The name that it was given.
        state: SLURM's word; empty before it was seen.
        alive: Whether it may still run; None where nobody knows.
        reason, node: As SLURM says.
        restarts: How often SLURM has started it again.
        exit: SLURM's word for its exit code, once it is over.
        task, attempt: The task that it is for, and which attempt it is, where tasks are commands; else None and 0.
        avoid: The nodes that it is kept from.
        since: When it was last seen to change.
        adopted: Whether it was sent for a work before this one.
    """

    id: str
    name: str = ""
    state: str = ""
    alive: bool | None = True
    reason: str = ""
    node: str = ""
    restarts: int = 0
    exit: str = ""
    task: int | None = None
    attempt: int = 0
    avoid: Sequence[str] = ()
    since: float = 0.0
    adopted: bool = False


@dataclass(slots=True)
class Ledger:
    """The state of a work.

    Attributes:
        paths: Its files.
        token: What every result of it carries.
        name: What it is called.
        kind: `shards` or `commands`.
        tasks: Its tasks by number; one that nothing is known of is waiting.
        names: What tasks are called, where they have names.
        workers, jobs: By name, by id.
        unsent: Calls of sbatch of which it is not known whether they went through: number to event.
        moved: How many items are done of the tasks that are running or done.
        items: How many items there are, 0 where it is not known.
        stay: For how many seconds jobs that find nothing to do wait for more.
        silent: Why SLURM does not answer; empty where it does.
        over: How the work ended, or empty.
        why: Why.
        began: When it was made.
    """

    paths: WorkPaths
    token: str
    name: str
    kind: str
    tasks: dict[int, Task]
    names: dict[int, str] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    unsent: dict[int, dict[str, Any]] = field(default_factory=dict)
    moved: int = 0
    items: int = 0
    stay: float = 0.0
    silent: str = ""
    over: str = ""
    why: str = ""
    began: float = 0.0
    ended: float = 0.0

    @classmethod
    def of(cls, paths: WorkPaths) -> Ledger:
        """An empty ledger for a work."""
        about = json.loads(paths.description.read_text(encoding="utf-8"))
        numbers = about["tasks"]
        return cls(
            paths=paths,
            token=about["token"],
            name=about["name"],
            kind=about["kind"],
            tasks={number: Task(number) for number in numbers},
            names={int(number): name for number, name in about.get("names", {}).items()},
            items=about.get("items", 0),
            stay=about.get("stay", 0.0),
            began=about["created"],
        )

    def count(self, state: str) -> int:
        """How many tasks are in a state."""
        return sum(task.state == state for task in self.tasks.values())

    def fold(self, events: Iterable[Event]) -> list[Event]:
        """Take events in, and give them back."""
        taken = []
        for event in events:
            handler = _HANDLERS.get(event.kind)
            if handler is not None:
                handler(self, event)
            worker = self.workers.get(event.writer)
            if worker is not None:
                worker.heard = max(worker.heard, event.time)
            taken.append(event)
        return taken

    # -- what the leader says ------------------------------------------------------------------------------------------

    def _on_sending(self, event: Event) -> None:
        self.unsent[event.data["number"]] = event.data

    def _on_sent(self, event: Event) -> None:
        sending = {**self.unsent.pop(event.data["number"], {}), **event.data}
        size = sending.get("jobs", 1)
        tasks, attempts = sending.get("tasks") or [None] * size, sending.get("attempts") or [0] * size
        base = event.data["job"]
        for index in range(size):
            name = f"{base}_{index}" if sending.get("array", size > 1) else base
            known = self.jobs.get(name)
            if known is not None and known.name and known.name == sending.get("name"):
                # Said twice: by whoever has sent it, and by whoever has found it.
                continue
            if known is not None and known.name:
                # SLURM was set up anew and counts from one again: those were another job's.
                self.workers = {worker.name: worker for worker in self.workers.values() if worker.job != name}
            # The newest job stands last.
            self.jobs.pop(name, None)
            self.jobs[name] = Job(
                name, name=sending.get("name", ""), task=tasks[index], attempt=attempts[index],
                avoid=sending.get("avoid", ()), since=event.time,
            )  # fmt: skip

    def _on_not_sent(self, event: Event) -> None:
        self.unsent.pop(event.data["number"], None)

    def _on_seen(self, event: Event) -> None:
        job = self.jobs.setdefault(event.data["job"], Job(event.data["job"]))
        job.state, job.alive = event.data["state"], event.data["alive"]
        job.reason, job.node = event.data.get("reason", ""), event.data.get("node", "")
        job.restarts, job.exit = event.data.get("restarts") or job.restarts, event.data.get("exit", "")
        job.name = event.data.get("name") or job.name
        job.adopted = job.adopted or bool(event.data.get("adopted"))
        job.since = event.time
        self.silent = ""

    def _on_silent(self, event: Event) -> None:
        self.silent = event.data["why"]

    def _on_again(self, event: Event) -> None:
        task = self.tasks.get(event.data["task"])
        # Clocks differ: the attempt may have begun before, it seems, it was allowed.
        if task is not None and task.state != DONE and event.data["attempt"] > task.attempt:
            self._let_go(task)
            task.state, task.attempt, task.why = WAITING, event.data["attempt"] - 1, event.data.get("why", "")

    def _on_gave_up(self, event: Event) -> None:
        task = self.tasks.get(event.data["task"])
        if task is not None and task.state != DONE:
            self._let_go(task)
            task.state, task.why, task.ended = FAILED, event.data["why"], event.time
            task.attempt = max(task.attempt, event.data.get("attempt", 0))

    def _on_over(self, event: Event) -> None:
        self.over, self.why, self.ended = event.data["how"], event.data.get("why", ""), event.time

    def _on_reopened(self, event: Event) -> None:
        self.over = self.why = ""

    # -- what workers say ----------------------------------------------------------------------------------------------

    def _on_worker(self, event: Event) -> None:
        data = event.data
        self.workers[event.writer] = Worker(event.writer, data["job"], data["node"], event.time, event.time)

    def _on_began(self, event: Event) -> None:
        task, worker = self.tasks.get(event.data["task"]), self.workers.get(event.writer)
        if worker is not None:
            worker.task, worker.moved = event.data["task"], 0
        if task is not None and task.state != DONE and event.data["attempt"] >= task.attempt:
            task.state, task.attempt, task.worker = RUNNING, event.data["attempt"], event.writer
            task.began = event.time

    def _on_moved(self, event: Event) -> None:
        worker = self.workers.get(event.writer)
        self.moved += event.data["n"]
        if worker is not None:
            worker.moved += event.data["n"]

    def _on_ended(self, event: Event) -> None:
        task, worker = self.tasks.get(event.data["task"]), self.workers.get(event.writer)
        if worker is not None:
            worker.task, worker.done, worker.moved = None, worker.done + 1, 0
            worker.over = worker.over or bool(event.data.get("left"))
        if task is not None and event.data.get("token") == self.token and task.state != DONE:
            task.state, task.attempt, task.worker = DONE, event.data["attempt"], event.writer
            task.ended, task.why = event.time, ""

    def _on_failed(self, event: Event) -> None:
        self._attempt_over(event, event.data.get("text", "").rstrip().rpartition("\n")[2])

    def _on_died(self, event: Event) -> None:
        self._attempt_over(event, event.data.get("why", ""))

    def _on_requeued(self, event: Event) -> None:
        task = self.tasks.get(event.data["task"])
        if task is not None and task.state == RUNNING:
            task.state, task.why = WAITING, "goes on when SLURM starts its job again"

    def _on_left(self, event: Event) -> None:
        worker = self.workers.get(event.writer)
        if worker is not None:
            waits = worker.task is None and not worker.done and self.count(WAITING)
            worker.over, worker.task, worker.is_idle = True, None, bool(waits)

    def _attempt_over(self, event: Event, why: str) -> None:
        worker, task = self.workers.get(event.writer), self.tasks.get(event.data.get("task", -1))
        if worker is not None:
            self._forget_moved(worker)
            worker.task = None
        if task is not None and task.state == RUNNING and task.worker == event.writer:
            # Whether it is tried again is the leader's to say.
            task.state, task.why = WAITING, why

    def _let_go(self, task: Task) -> None:
        worker = self.workers.get(task.worker)
        if worker is not None and worker.task == task.number:
            self._forget_moved(worker)
            worker.task = None

    def _forget_moved(self, worker: Worker) -> None:
        self.moved -= worker.moved
        worker.moved = 0


_HANDLERS = {name.removeprefix("_on_"): value for name, value in vars(Ledger).items() if name.startswith("_on_")}


@dataclass(slots=True)
class Stage:
    """A stage of a run.

    Attributes:
        name: Its name.
        state: `WAITING`, `RUNNING`, `DONE` or `FAILED`.
        where: Where it runs, in a few words.
        began, ended: When, in seconds since 1970; 0 where it did not.
        why: Why it failed.
        works: What of it is done by jobs.
    """

    name: str
    state: str = WAITING
    where: str = ""
    began: float = 0.0
    ended: float = 0.0
    why: str = ""
    works: list[Ledger] = field(default_factory=list)


@dataclass(slots=True)
class Run:
    """The state of a run: `read_run` makes it, `refresh` reads what has been added since.

    Attributes:
        paths: Its files.
        about: run.json: `command`, `stages`, `recipe`, `created`, `detached`.
        stages: Its stages in order.
        over: Whether it has ended: "done", "failed", "cancelled", or empty.
    """

    paths: RunPaths
    about: dict[str, Any]
    stages: dict[str, Stage]
    over: str = ""
    _reader: Reader | None = None
    _works: dict[Path, tuple[Ledger, Reader]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read what has been added to the journals."""
        if self._reader is None:
            self._reader = Reader(self.paths.journal)
        for event in sorted(self._reader.read(), key=lambda event: event.time):
            self._take(event)
        for paths in self.paths.works():
            if paths.folder not in self._works:
                ledger = Ledger.of(paths)
                self._works[paths.folder] = ledger, Reader(paths.journal)
                about = json.loads(paths.description.read_text(encoding="utf-8"))
                self.stages.setdefault(about["stage"], Stage(about["stage"])).works.append(ledger)
            ledger, reader = self._works[paths.folder]
            ledger.fold(sorted(reader.read(), key=lambda event: event.time))

    def _take(self, event: Event) -> None:
        if event.kind == "stage_began":
            stage = self.stages.setdefault(event.data["stage"], Stage(event.data["stage"]))
            stage.state, stage.began, stage.where = RUNNING, event.time, event.data.get("where", "")
            stage.ended, stage.why = 0.0, ""
            self.over = ""
        elif event.kind == "stage_ended":
            stage = self.stages.setdefault(event.data["stage"], Stage(event.data["stage"]))
            stage.state, stage.ended, stage.why = event.data["how"], event.time, event.data.get("why", "")
        elif event.kind == "run_over":
            self.over = event.data["how"]


def read_run(paths: RunPaths) -> Run:
    """What is known of a run."""
    about = json.loads(paths.description.read_text(encoding="utf-8"))
    run = Run(paths, about, {name: Stage(name) for name in about["stages"]})
    run.refresh()
    return run
