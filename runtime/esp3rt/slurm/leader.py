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
from dataclasses import dataclass, field
from typing import Any

from esp3rt.slurm import client
from esp3rt.slurm.claims import LEADER, all_claims
from esp3rt.slurm.journal import Event, Journal, Reader
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, WAITING, Job, Ledger, Worker
from esp3rt.slurm.looks import UNKNOWN, Look, Watch
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.request import COMMANDS, SHARDS, Shape, Wanted
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.submit import Sender
from esp3rt.slurm.tails import last_lines
from esp3rt.wire import unpacked_error
from esp3rt.work import WorkersDied

_SHORTEST_WAIT, _LONGEST_WAIT, _GROWTH = 0.05, 1.0, 1.2
_SECONDS_TO_LOOK = 10.0
_SECONDS_BETWEEN_LOOKS = 1.0
# Where SLURM does not answer, so long is spent on sending, and so long then on what jobs have done meanwhile.
_SECONDS_TO_SEND, _SECONDS_BETWEEN_SENDING = 15.0, 15.0
# So many calls of sbatch may come to nothing but jobs that end before they have begun a task.
_IDLE_DEATHS = 3
_LINES_SHOWN = 12
_TAIL = ". It ends with:"
# SLURM ended them for reasons of its own; whoever did not get far at least got somewhere.
_NOT_ITS_FAULT = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")
# The node could not start it, and SLURM keeps it until somebody lets it go.
_HELD_FOR_EVER = "launch failed requeued held"


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
        keep_going: Of commands: whether one that fails, or is tried in vain, leaves the others to go on.
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
    keep_going: bool = False

    def __post_init__(self) -> None:
        self.ledger = Ledger.of(self.paths)
        self._reader = Reader(self.paths.journal)
        name = f"{LEADER}{socket.gethostname().partition('.')[0]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._journal = Journal(self.paths.journal, name)
        self._watch = Watch()
        self._inbox: deque[Event] = deque()
        # By the journals, also those of leaders before this one.
        self._decided: set[tuple[int, int]] = set()
        self._tried: dict[int, int] = {}
        self._avoid: dict[int, list[str]] = {}
        self._exits: dict[str, str] = {}
        self._looked = self._send_from = 0.0
        self._is_look_wanted = self._is_burial_due = self._is_unsent = False
        self._sender = Sender(self.paths, self.settings, self._journal, self.ledger.token[:6], self.say)
        self._watched: set[tuple[str, str]] = set()
        self._known_moved = 0

    # -- the loop ------------------------------------------------------------------------------------------------------

    def lead(self) -> Iterator[Ended]:
        """See to it that every task ends, and yield each that has.

        A work that was led before is gone on with: its living jobs are kept. Where the iterator is closed, jobs run on.

        Raises:
            WorkersDied: A task could not be done; the message says why and where its log is.
            WorkCancelled: Somebody has cancelled the work.
            Refused: SLURM does not take a job.
            Exception: What a shard's work has raised.
        """
        self._sender.patience = _SECONDS_TO_SEND
        self._begin()
        is_first, wait = True, _SHORTEST_WAIT
        while True:
            changed, is_first = is_first or bool(self._inbox), False
            while self._inbox:
                event = self._inbox.popleft()
                if event.kind == "ended" and event.data.get("token") == self.ledger.token:
                    yield Ended(event.data["task"], event.data)
                else:
                    self._heed(event)
            if changed and self._is_all_over():
                return
            if self._is_time_to_look():
                changed = self._look() or changed
            if self._is_burial_due:
                self._bury()
            if changed:
                wait = _SHORTEST_WAIT
            # What workers have said in the meantime may be that nothing is to be sent.
            if (changed or self._is_unsent) and not self._inbox and time.monotonic() >= self._send_from:
                self._send_or_wait()
            self.tick()
            if not self._take_in():
                time.sleep(wait)
                wait = min(_LONGEST_WAIT, wait * _GROWTH)
                self._take_in()

    def _is_all_over(self) -> bool:
        """Whether every task has ended, which is written down then."""
        failed = self.ledger.count(FAILED) if self.keep_going else 0
        if self.ledger.count(DONE) + failed < len(self.ledger.tasks):
            return False
        self.end(*(("failed", f"{failed} of {len(self.ledger.tasks)} failed") if failed else ("done",)))
        return True

    def send_all(self) -> list[str]:
        """Send the jobs and do not wait for them; what SLURM calls them."""
        self._begin()
        self._send_what_lacks()
        return sorted({job.id.partition("_")[0] for job in self.ledger.jobs.values()})

    def end(self, how: str, why: str = "") -> None:
        """Say that the work is over, and cancel what is left of its jobs."""
        try:
            self._write("over", how=how, why=why)
        finally:
            # Where the disk is full as well.
            self._end_jobs(self._alive())

    def _end_jobs(self, jobs: Sequence[Job]) -> None:
        by_name: dict[str, list[str]] = {}
        for job in jobs:
            by_name.setdefault(job.name, []).append(job.id)
        for name, ids in by_name.items():
            try:
                client.cancel(ids, name=name)
            except (client.Unreachable, client.Refused) as error:
                self.say(f"jobs {', '.join(ids)} could not be cancelled ({error}); they end when they find no work")

    def _begin(self) -> None:
        self._take_in()
        if self.ledger.kind == SHARDS:
            # Of an error that was raised while nobody led nobody has heard: whoever leads now has called for another try.
            self._inbox = deque(event for event in self._inbox if event.kind != "failed")
            for task in self.ledger.tasks.values():
                if task.state == FAILED:
                    self._write("again", task=task.number, attempt=task.attempt + 1, tried=0, avoid=[], why=task.why)
        self._bury()

    def _take_in(self) -> bool:
        events = self.ledger.fold(sorted(self._reader.read(), key=lambda event: event.time))
        for event in events:
            self._note(event)
        self._inbox.extend(events)
        if self.ledger.moved != self._known_moved:
            self.moved(self.ledger.moved - self._known_moved)
            self._known_moved = self.ledger.moved
        return bool(events)

    def _note(self, event: Event) -> None:
        if event.kind == "again":
            task = event.data["task"]
            self._decided.add((task, event.data["attempt"] - 1))
            self._tried[task], self._avoid[task] = event.data.get("tried", 0), event.data["avoid"]
        elif event.kind == "seen":
            self._exits[event.data["job"]] = event.data.get("exit", "")

    def _write(self, kind: str, **data: Any) -> None:
        try:
            self._journal.write(kind, sure=True, **data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._journal.path)) from error
        # What it says itself it hears as well, so that what it knows is what the next leader will know.
        self._take_in()

    # -- what becomes of tasks -----------------------------------------------------------------------------------------

    def _heed(self, event: Event) -> None:
        if event.kind == "over" and event.data["how"] == "cancelled":
            raise WorkCancelled(f"{self.ledger.name} was cancelled")
        if event.kind == "failed":
            self._on_failed(event)
        elif event.kind == "worker" and event.data["job"] not in self.ledger.jobs:
            # Of a call of sbatch that seemed to have come to nothing.
            self._write("seen", job=event.data["job"], state="RUNNING", alive=True, node=event.data["node"])
        elif event.kind in ("left", "stopping"):
            # SLURM may know more of its job, and of others that say nothing any more.
            self._is_look_wanted = self._is_burial_due = True
        elif event.kind == "began":
            self._is_burial_due = self._is_burial_due or self._is_gone(event.writer)
        elif event.kind == "died":
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
            failure = self._failure(f"{self.name_of(task)} {event.data['text']}", event.writer)
            if not self.keep_going:
                raise failure
            self._give_up(task, event.data["text"], failure)
            return
        error = event.data["error"]
        raise unpacked_error(None if error is None else base64.b64decode(error), event.data["text"])

    def _give_up(self, task: int, why: str, failure: WorkersDied) -> None:
        """Leave a task, and with it the work, unless this goes on without."""
        if self.keep_going and self.ledger.tasks[task].state == FAILED:
            return
        self._write("gave_up", task=task, why=why)
        if not self.keep_going:
            raise failure
        self.say(f"{str(failure).partition(_TAIL)[0]}; the others go on")

    def _is_done(self, task: int) -> bool:
        return self.ledger.tasks[task].state == DONE

    def _open_again(self, task: int, attempt: int, why: str, node: str, worker: str, free: bool = False) -> None:
        """Let a task be tried again, unless it was often enough."""
        if self._is_done(task) or (task, attempt) in self._decided:
            return
        if self.keep_going and self.ledger.tasks[task].state == FAILED:
            return
        tried = self._tried.get(task, 0) + (not free)
        # An item that kills its process is known as such when it has killed two.
        allowed = self.settings.attempts + 2 * self.settings.max_bad_items
        if tried >= allowed:
            tries = f"{self.name_of(task)} was tried {tried} times, the last time it was {why}"
            self._give_up(task, why, self._failure(tries, worker))
            return
        avoid = self._avoid.get(task, [])
        if node and not free and node not in avoid:
            avoid = [*avoid, node]
        # The last attempt takes what it gets.
        elsewhere = avoid if tried < allowed - 1 and self._sender.may_exclude else []
        self._write("again", task=task, attempt=attempt + 1, tried=tried, avoid=elsewhere, why=why)
        self.say(f"{self.name_of(task)}: {why}{f' on {node}' if node else ''}; it is tried again")

    def _failure(self, what: str, worker: str) -> WorkersDied:
        log = self.paths.log_of(worker) if worker else None
        lines = last_lines(log, _LINES_SHOWN) if log is not None else []
        tail = "".join(f"\n  {line}" for line in lines)
        where = f"; its log: {log}" if log is not None else ""
        return WorkersDied(f"{what}{where}" + (f"{_TAIL}{tail}" if tail else ""))

    # -- what becomes of jobs ------------------------------------------------------------------------------------------

    def _is_time_to_look(self) -> bool:
        for job in self.ledger.jobs.values():
            if job.alive is not False and (job.id, job.name) not in self._watched:
                self._watched.add((job.id, job.name))
                self._watch.add([job.id], name=job.name)
        now = time.monotonic()
        if self._is_look_wanted and now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._watch.hurry()
        return self._watch.due(now)

    def _look(self) -> bool:
        """Ask SLURM; whether anything has changed."""
        self._looked, self._is_look_wanted = time.monotonic(), False
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
            self._is_burial_due = True
            self._write(
                "seen", job=look.job, state=look.state, alive=look.alive, reason=look.reason, node=look.node,
                restarts=look.restarts or 0, exit=look.exit_code,
            )  # fmt: skip
        if look.state == "PENDING" and look.reason == _HELD_FOR_EVER:
            self.say(f"job {look.job} is cancelled: it could not be started, and SLURM holds it ({look.reason})")
            self._end_jobs([job])
        return changed

    def _workers_of(self, job: str) -> list[Worker]:
        return [worker for worker in self.ledger.workers.values() if worker.job == job]

    def _is_gone(self, worker: str) -> bool:
        """Whether a worker's job is over, or was started again."""
        job = self.ledger.jobs.get(_job(worker))
        return job is not None and (job.alive is False or _restarts(worker) < job.restarts)

    def _bury(self) -> None:
        """Open the tasks of workers that will write no more."""
        self._is_burial_due = False
        # They may have written their last words after the journals were read.
        self._take_in()
        if self.ledger.kind == COMMANDS:
            self._is_burial_due = bool(self._inbox)
            if not self._inbox:
                self._bury_commands()
            return
        for (task, attempt), owner in sorted(all_claims(self.paths).items()):
            if not self._is_gone(owner):
                continue
            job, worker = self.ledger.jobs[_job(owner)], self.ledger.workers.get(owner)
            # The first task of a job had all the time that a job has.
            is_cut_off = job.state == "TIMEOUT" and worker is not None and worker.done > 0
            free = is_cut_off or job.alive is not False or job.state in (*_NOT_ITS_FAULT, "CANCELLED")
            # Where nobody knows how a job ended, its node is not to blame.
            node = "" if job.state == UNKNOWN else worker.node if worker is not None else job.node
            self._open_again(task, attempt, self._how(job), node, owner, free)

    def _bury_commands(self) -> None:
        for task in self.ledger.tasks.values():
            jobs = [job for job in self.ledger.jobs.values() if job.task == task.number]
            if not jobs or any(job.alive is not False for job in jobs):
                # The same job goes on with the same command.
                continue
            job = jobs[-1]
            worker = max((worker.name for worker in self._workers_of(job.id)), default="")
            progress = bool(worker) and (self.paths.ranks / f"{worker.rpartition('.')[0]}.progress").exists()
            free = job.state in _NOT_ITS_FAULT or progress
            self._open_again(task.number, max(1, task.attempt), self._how(job), job.node, worker, free)

    def _how(self, job: Job) -> str:
        state = job.state.lower().replace("_", " ")
        detail = job.reason if job.reason not in ("", "None") else self._exits.get(job.id, "")
        if job.state == "TIMEOUT" and self.ledger.kind == SHARDS:
            detail = f"{detail}: jobs need more time, or smaller shards"
        return f"lost: its job {job.id} was {state}" + (f" ({detail})" if detail else "")

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send_or_wait(self) -> None:
        """Send what lacks; where SLURM does not answer, later."""
        try:
            self._send_what_lacks()
            self._is_unsent = False
        except (client.Unreachable, client.Refused) as error:
            # What is refused where others run, such as one job more than a user may have, may be taken later.
            if isinstance(error, client.Refused) and not self._alive():
                raise
            if not self._is_unsent:
                self.say(f"{self.ledger.name}: more jobs are sent later ({error})")
            self._is_unsent = True
            self._send_from = time.monotonic() + _SECONDS_BETWEEN_SENDING

    def _send_what_lacks(self) -> None:
        self._sender.find_lost(self.ledger.unsent)
        self._take_in()
        open_tasks = [task for task in self.ledger.tasks.values() if task.state in (WAITING, RUNNING)]
        alive = self._alive()
        if self.ledger.kind == COMMANDS:
            taken = {job.task for job in alive}
            lacking = [task.number for task in open_tasks if task.number not in taken]
            if lacking:
                self._send(lacking, len(lacking))
            return
        waiting = [task for task in open_tasks if task.state == WAITING]
        busy = {worker.job for worker in self.ledger.workers.values() if worker.task is not None}
        idle = sum(job.id not in busy for job in alive)
        lacking_jobs = min(len(waiting) - idle, self.settings.workers - len(alive))
        if waiting and lacking_jobs <= 0 and all(self._avoided(task.number, alive) for task in waiting):
            lacking_jobs = 1
        if lacking_jobs > 0:
            if self._refuse_endless():
                # One is enough to see whether the next do better.
                lacking_jobs = 1
            everywhere = [set(self._avoid.get(task.number, ())) for task in waiting]
            self._send([], lacking_jobs, sorted(set.intersection(*everywhere)))
            if not self._sender.may_exclude:
                self._avoid_nothing()

    def _avoid_nothing(self) -> None:
        """There is no node but those at which tasks were lost."""
        for task in self.ledger.tasks.values():
            if task.state == WAITING and self._avoid.get(task.number):
                tried = self._tried[task.number]
                self._write("again", task=task.number, attempt=task.attempt + 1, tried=tried, avoid=[], why=task.why)

    def _avoided(self, task: int, alive: Sequence[Any]) -> bool:
        """Whether no living job may take a task, as far as it is known where they run."""
        avoid = self._avoid.get(task, ())
        return bool(avoid) and bool(alive) and all(job.node and job.node in avoid for job in alive)

    def _alive(self) -> list[Job]:
        """The jobs that do something, or will."""
        return [job for job in self.ledger.jobs.values() if job.alive is not False and not self._has_left(job)]

    def _has_left(self, job: Job) -> bool:
        """Whether every process of a job has ended in order, and SLURM has not started it again."""
        latest = [w for w in self._workers_of(job.id) if _restarts(w.name) >= job.restarts]
        return bool(latest) and all(worker.over for worker in latest)

    def _refuse_endless(self) -> bool:
        """Whether jobs ended before they did anything. Others are not sent for ever.

        Raises:
            WorkersDied: It was so with too many calls of sbatch.
        """
        dead = [job for job in self.ledger.jobs.values() if job.alive is False and job.state not in _NOT_ITS_FAULT]
        at_work = {_job(worker) for worker in all_claims(self.paths).values()}
        idle = [job for job in dead if job.id not in at_work and not self._has_left(job)]
        # Where others do their work, a machine or two may be the reason.
        others_work = self.ledger.count(DONE) or any(job.id in at_work for job in self._alive())
        allowed = _IDLE_DEATHS + (self.settings.workers if others_work else 0)
        if len({job.id.partition("_")[0] for job in idle}) >= allowed:
            last = idle[-1]
            log = self.paths.logs / f"{last.id}_0_log.out"
            tail = "".join(f"\n  {line}" for line in last_lines(log, _LINES_SHOWN))
            raise WorkersDied(
                f"{len(idle)} jobs ended before they began to work; the last, {last.id}, was "
                f"{last.state or 'lost'} ({last.reason or 'no reason'}) on {last.node or 'no node'}; its log: {log}"
                + (f"{_TAIL}{tail}" if tail else "")
            )
        return bool(idle) and not others_work

    def _send(self, tasks: Sequence[int], jobs: int, exclude: Sequence[str] = ()) -> None:
        wanted = Wanted(
            kind=self.ledger.kind,
            name=self.ledger.name,
            jobs=jobs,
            shape=self.shape,
            folder=self.recipe,
            exclude=tuple(exclude),
            after=self.after,
            gpus=self.gpus,
        )
        try:
            self._sender.send(wanted, tasks, {task: self.ledger.tasks[task].attempt + 1 for task in tasks})
        finally:
            self._take_in()


def _job(worker: str) -> str:
    return worker.rsplit(".", 2)[0]


def _restarts(worker: str) -> int:
    return int(worker.rsplit(".", 2)[1])
