"""Leads a work: sends jobs, hears what becomes of tasks, sends others where jobs are lost, until every task has ended.

What is true of a task is what workers have written down (`ledger`). What SLURM says of jobs is asked only to find out that a
worker will not write any more: then its tasks are open again. A job of which SLURM says nothing certain is waited for.

All that the leader knows is on the disk. One that is killed is replaced by the next, which reads the journals and goes on:
jobs do not notice.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from esp3rt.slurm import client
from esp3rt.slurm.claims import LEADER, claims_of
from esp3rt.slurm.journal import Event, Journal, Reader
from esp3rt.slurm.ledger import DONE, RUNNING, WAITING, Job, Ledger, Worker
from esp3rt.slurm.looks import Look, Watch
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.request import COMMANDS, SHARDS, Request, Shape, Wanted, requests
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.submit import send
from esp3rt.wire import unpacked_error
from esp3rt.work import WorkersDied

_SHORTEST_WAIT, _LONGEST_WAIT, _GROWTH = 0.05, 1.0, 1.2
_SECONDS_OF_PATIENCE = 600.0
_SECONDS_TO_LOOK = 10.0
# So many jobs in a row may end before they have begun a task.
_IDLE_DEATHS = 3
_LINES_SHOWN = 12
# SLURM ended them for reasons of its own; whoever did not get far at least got somewhere.
_NOT_ITS_FAULT = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")


class WorkCancelled(WorkersDied):
    """Somebody has cancelled the work's jobs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A task that has ended: `data` is what its worker wrote."""

    task: int
    data: Mapping[str, Any]


@dataclass(kw_only=True)
class Leader:
    """Leads one work.

    Args:
        paths: Its files.
        settings: The machine setting.
        shape: The processes of a job.
        recipe: The folder of the recipe.
        name_of: What to call a task in a message.
        say: Told of what a person should know, a line each.
        moved: Told how many more items are done.
        tick: Called often while there is nothing to do.
        after: Jobs that its jobs must wait for.
        gpus: Whether the setting's GPUs are asked for.
    """

    paths: WorkPaths
    settings: Settings
    recipe: str
    shape: Shape = field(default_factory=Shape)
    name_of: Callable[[int], str] = "task {}".format
    say: Callable[[str], None] = lambda line: None
    moved: Callable[[int], None] = lambda n: None
    tick: Callable[[], None] = lambda: None
    after: tuple[str, ...] = ()
    gpus: bool = True

    def __post_init__(self) -> None:
        self.ledger = Ledger.of(self.paths)
        self._reader = Reader(self.paths.journal)
        name = f"{LEADER}{socket.gethostname().partition('.')[0]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._journal = Journal(self.paths.journal, name)
        self._watch = Watch()
        self._inbox: deque[Event] = deque()
        self._decided: set[tuple[int, int]] = set()
        self._tried: dict[int, int] = {}
        self._avoid: dict[int, list[str]] = {}
        self._buried: set[str] = set()
        self._known_moved = 0
        self._largest: int | None = None
        self._may_exclude = True

    # -- the loop ------------------------------------------------------------------------------------------------------

    def lead(self) -> Iterator[Ended]:
        """See to it that every task ends, and yield each that has.

        A work that was led before is gone on with: its living jobs are kept. Where the iterator is closed, jobs run on.

        Raises:
            WorkersDied: A task could not be done; the message says why and where its log is.
            WorkCancelled: Somebody has cancelled the work.
            Refused: SLURM does not take a job.
            Unreachable: SLURM has not answered for long.
            Exception: What a shard's work has raised.
        """
        self._begin()
        wait = _SHORTEST_WAIT
        while True:
            changed = bool(self._inbox)
            while self._inbox:
                event = self._inbox.popleft()
                if event.kind == "ended" and event.data.get("token") == self.ledger.token:
                    yield Ended(event.data["task"], event.data)
                else:
                    self._heed(event)
            if changed and self.ledger.count(DONE) == len(self.ledger.tasks):
                self.end("done")
                return
            if self._watch.due():
                changed = self._look() or changed
            if changed:
                self._send_what_lacks()
                wait = _SHORTEST_WAIT
            self.tick()
            if not self._take_in():
                time.sleep(wait)
                wait = min(_LONGEST_WAIT, wait * _GROWTH)
                self._take_in()

    def send_all(self) -> list[str]:
        """Send the jobs and do not wait for them; what SLURM calls them."""
        self._begin()
        return sorted({job.id.partition("_")[0] for job in self.ledger.jobs.values()})

    def end(self, how: str, why: str = "") -> None:
        """Say that the work is over, and cancel what is left of its jobs."""
        self._write("over", how=how, why=why)
        left: dict[str, list[str]] = {}
        for job in self.ledger.jobs.values():
            if job.alive is not False and not self._has_left(job):
                left.setdefault(job.name, []).append(job.id)
        for name, jobs in left.items():
            try:
                client.cancel(jobs, name=name)
            except (client.Unreachable, client.Refused) as error:
                self.say(f"jobs {', '.join(jobs)} could not be cancelled ({error}); they end when they find no work")

    def _begin(self) -> None:
        self._take_in()
        self._find_lost_calls()
        for job in self.ledger.jobs.values():
            if job.alive is not False:
                self._watch.add([job.id], name=job.name)
        self._send_what_lacks()

    def _take_in(self) -> bool:
        events = self.ledger.fold(self._reader.read())
        self._inbox.extend(events)
        if self.ledger.moved != self._known_moved:
            self.moved(self.ledger.moved - self._known_moved)
            self._known_moved = self.ledger.moved
        return bool(events)

    def _write(self, kind: str, **data: Any) -> None:
        self._journal.write(kind, sure=True, **data)
        # What it says itself it hears as well, so that what it knows is what the next leader will know.
        self._take_in()

    # -- what becomes of tasks -----------------------------------------------------------------------------------------

    def _heed(self, event: Event) -> None:
        if event.kind == "again":
            self._decided.add((event.data["task"], event.data["attempt"] - 1))
        elif event.kind == "over" and event.data["how"] == "cancelled":
            raise WorkCancelled(f"{self.ledger.name} was cancelled")
        elif event.kind == "failed":
            self._on_failed(event)
        elif event.kind == "died":
            if event.data["task"] is None:
                raise self._failure(f"a worker process {event.data['why']} before it began a task", event.writer)
            worker = self.ledger.workers.get(event.writer)
            self._open_again(
                event.data["task"], event.data["attempt"], event.data["why"], worker.node if worker else "", event.writer,
                free=bool(event.data.get("progress")),
            )  # fmt: skip

    def _on_failed(self, event: Event) -> None:
        task = event.data["task"]
        if task is not None and self._is_done(task):
            return
        if self.ledger.kind == COMMANDS:
            raise self._failure(f"{self.name_of(task)} {event.data['text']}", event.writer)
        error = event.data["error"]
        raise unpacked_error(None if error is None else base64.b64decode(error), event.data["text"])

    def _is_done(self, task: int) -> bool:
        return self.ledger.tasks[task].state == DONE

    def _open_again(self, task: int, attempt: int, why: str, node: str, worker: str, free: bool = False) -> None:
        """Let a task be tried again, unless it was often enough."""
        if self._is_done(task) or (task, attempt) in self._decided:
            return
        self._decided.add((task, attempt))
        tried = self._tried[task] = self._tried.get(task, 0) + (not free)
        # An item that kills its process is known as such when it has killed two.
        allowed = self.settings.attempts + 2 * self.settings.max_bad_items
        if tried >= allowed:
            self._write("gave_up", task=task, why=why)
            raise self._failure(f"{self.name_of(task)} was tried {tried} times, the last time it was {why}", worker)
        avoid = self._avoid.setdefault(task, [])
        if node and not free and node not in avoid:
            avoid.append(node)
        # The last attempt takes what it gets.
        elsewhere = avoid if tried < allowed - 1 else []
        self._write("again", task=task, attempt=attempt + 1, avoid=elsewhere, why=why)
        self.say(f"{self.name_of(task)}: {why}{f' on {node}' if node else ''}; it is tried again")

    def _failure(self, what: str, worker: str) -> WorkersDied:
        log = self.paths.log_of(worker) if worker else None
        lines = _tail(log) if log is not None else []
        tail = "".join(f"\n  {line}" for line in lines)
        where = f"; its log: {log}" if log is not None else ""
        return WorkersDied(f"{what}{where}" + (f". It ends with:{tail}" if tail else ""))

    # -- what becomes of jobs ------------------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Ask SLURM; whether anything has changed."""
        looks = self._watch.look(deadline=_SECONDS_TO_LOOK)
        unanswered = self._watch.unreachable
        if unanswered != self.ledger.silent:
            self.say(f"SLURM does not answer ({unanswered}); jobs go on" if unanswered else "SLURM answers again")
            self._write("silent", why=unanswered)
        changed = [self._seen(look) for look in looks.values() if look.job in self.ledger.jobs]
        return any(changed)

    def _seen(self, look: Look) -> bool:
        job = self.ledger.jobs[look.job]
        before = (job.state, job.alive, job.reason, job.node, job.restarts)
        changed = look.alive is not None and before != (
            look.state, look.alive, look.reason, look.node, look.restarts or 0
        )  # fmt: skip
        if changed:
            self._write(
                "seen", job=look.job, state=look.state, alive=look.alive, reason=look.reason, node=look.node,
                restarts=look.restarts or 0, exit=look.exit_code,
            )  # fmt: skip
        if look.alive is False and look.job not in self._buried:
            self._buried.add(look.job)
            # It may have written its last words after the journals were read.
            self._take_in()
            self._bury(look, {worker.name for worker in self._workers_of(look.job)})
        superseded = {w.name for w in self._workers_of(look.job) if _restarts(w.name) < (look.restarts or 0)}
        if superseded - self._buried:
            self._take_in()
            self._bury(look, superseded - self._buried)
            self._buried |= superseded
        return changed

    def _workers_of(self, job: str) -> list[Worker]:
        return [worker for worker in self.ledger.workers.values() if worker.job == job]

    def _bury(self, look: Look, workers: set[str]) -> None:
        """Open the tasks of workers that will write no more."""
        why = _how(look)
        if self.ledger.kind == SHARDS:
            free = look.state in (*_NOT_ITS_FAULT, "TIMEOUT", "CANCELLED") or look.alive is True
            for (task, attempt), worker in claims_of(self.paths, workers).items():
                self._open_again(task, attempt, why, self.ledger.workers[worker].node, worker, free)
            return
        job = self.ledger.jobs[look.job]
        if look.alive is not False or job.task is None:
            # The same job goes on with the same command.
            return
        worker = max(workers, default="")
        progress = bool(worker) and (self.paths.ranks / f"{worker.rpartition('.')[0]}.progress").exists()
        attempt = max(1, self.ledger.tasks[job.task].attempt)
        self._open_again(job.task, attempt, why, job.node, worker, look.state in _NOT_ITS_FAULT or progress)

    # -- sending -------------------------------------------------------------------------------------------------------

    def _find_lost_calls(self) -> None:
        """A leader before this one may have died between calling sbatch and writing down what it said."""
        for number, sending in sorted(self.ledger.unsent.items()):
            find = partial(client.find_by_name, sending["name"])
            found = client.retried(find, seconds=_SECONDS_OF_PATIENCE, say=self.say)
            if found:
                self._write("sent", number=number, job=found[0])
            else:
                self._write("not_sent", number=number, why="whoever called sbatch was ended")

    def _send_what_lacks(self) -> None:
        open_tasks = [task for task in self.ledger.tasks.values() if task.state in (WAITING, RUNNING)]
        alive = [job for job in self.ledger.jobs.values() if job.alive is not False and not self._has_left(job)]
        if self.ledger.kind == COMMANDS:
            taken = {job.task for job in alive}
            lacking = [task.number for task in open_tasks if task.number not in taken]
            if lacking:
                self._send(lacking, len(lacking), ())
            return
        waiting = [task for task in open_tasks if task.state == WAITING]
        lacking_jobs = min(len(waiting), self.settings.workers - len(alive))
        if waiting and lacking_jobs <= 0 and all(self._avoided(task.number, alive) for task in waiting):
            lacking_jobs = 1
        if lacking_jobs > 0:
            self._refuse_endless()
            everywhere = [set(self._avoid.get(task.number, ())) for task in waiting]
            avoid = sorted(set.intersection(*everywhere)) if self._may_exclude else []
            self._send([], lacking_jobs, tuple(avoid))

    def _avoided(self, task: int, alive: Sequence[Any]) -> bool:
        """Whether no living job may take a task, as far as it is known where they run."""
        avoid = self._avoid.get(task, ())
        return bool(avoid) and bool(alive) and all(job.node and job.node in avoid for job in alive)

    def _has_left(self, job: Job) -> bool:
        """Whether every process of a job has ended in order, and SLURM has not started it again."""
        latest = [w for w in self._workers_of(job.id) if _restarts(w.name) >= job.restarts]
        return bool(latest) and all(worker.over for worker in latest)

    def _refuse_endless(self) -> None:
        """Jobs that end before they do anything are not sent for ever."""
        dead = [job for job in self.ledger.jobs.values() if job.alive is False and job.state not in _NOT_ITS_FAULT]
        idle = [job for job in dead if not self._workers_of(job.id)]
        # Where others do their work, a machine or two may be the reason.
        allowed = _IDLE_DEATHS + (self.settings.workers if self.ledger.count(DONE) else 0)
        if len(idle) >= allowed:
            last = idle[-1]
            log = self.paths.logs / f"{last.id}_0_log.out"
            tail = "".join(f"\n  {line}" for line in _tail(log))
            raise WorkersDied(
                f"{len(idle)} jobs ended before they began to work; the last, {last.id}, was "
                f"{last.state or 'lost'} ({last.reason or 'no reason'}) on {last.node or 'no node'}; its log: {log}"
                + (f". It ends with:{tail}" if tail else "")
            )

    def _send(self, tasks: Sequence[int], jobs: int, exclude: tuple[str, ...]) -> None:
        if self._largest is None:
            self._largest = client.max_array_size() if jobs > 1 else None
        number = 1 + max((int(file.stem) for file in self.paths.send.glob("*.json")), default=0)
        wanted = Wanted(
            kind=self.ledger.kind,
            name=self.ledger.name,
            jobs=jobs,
            shape=self.shape,
            folder=self.recipe,
            exclude=exclude,
            after=self.after,
            gpus=self.gpus,
        )
        first = 0
        for request in requests(self.settings, wanted, self._largest):
            about = {
                "first": first,
                "of": jobs,
                "tasks": list(tasks[first : first + request.jobs]),
                "attempts": {task: self.ledger.tasks[task].attempt + 1 for task in tasks},
            }
            name = self._name_of_request(request.name, number)
            parameters = {**request.parameters, "job_name": name}
            arguments = ("work", str(self.paths.folder), str(number))
            named = replace(request, name=name, parameters=parameters, arguments=arguments)
            if not self._send_one(named, number, about, exclude):
                return
            first += request.jobs
            number += 1

    def _send_one(self, request: Request, number: int, about: dict[str, Any], exclude: tuple[str, ...]) -> bool:
        try:
            job = send(request, number, self.paths, self._journal, about, _SECONDS_OF_PATIENCE, self.say)
        except client.Refused:
            if not exclude:
                raise
            # There may be no other node.
            self._may_exclude = False
            self._take_in()
            self._send_what_lacks()
            return False
        self._take_in()
        self._watch.add([name for name in self.ledger.jobs if name.partition("_")[0] == job], name=request.name)
        what = f"an array of {request.jobs} jobs" if request.is_array else "a job"
        self.say(f"{self.ledger.name}: {what} is in the queue ({job})")
        return True

    def _name_of_request(self, name: str, number: int) -> str:
        """A name that no other job has, and that tells a person what it is for."""
        return f"{name}.{self.ledger.token[:6]}.{number}"


def _restarts(worker: str) -> int:
    return int(worker.rsplit(".", 2)[1])


def _how(look: Look) -> str:
    state = look.state.lower().replace("_", " ")
    detail = look.reason if look.reason not in ("", "None") else look.exit_code
    return f"lost: its job {look.job} was {state}" + (f" ({detail})" if detail else "")


def _tail(log: Any) -> list[str]:
    try:
        with open(log, "rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 16_384))
            text = handle.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rpartition("\r")[2] for line in text.splitlines() if line.strip()][-_LINES_SHOWN:]
