"""Leads a work: sends jobs, hears what becomes of tasks, sends others where jobs are lost, until every task has ended.

What is true of a task is what workers have written down (`ledger`). What SLURM says of jobs is asked only to find out that a
worker will not write any more: then its tasks are open again. Which workers these are is worked out of all that is known,
again and again: it makes no difference who has learned it, and when. A job of which SLURM says nothing certain is waited for.

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
from esp3rt.slurm.found import LeadLost
from esp3rt.slurm.guard import Check, GuardedJournal, nobody_else_can
from esp3rt.slurm.journal import Event, Reader
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, WAITING, Ledger
from esp3rt.slurm.living import NOT_ITS_FAULT, how_lost, is_gone, job_of, living, restarts_of, without_node, workers_of
from esp3rt.slurm.looks import UNKNOWN, Look, Watch
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.request import COMMANDS, SHARDS, Shape, Wanted
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.staying import end_jobs
from esp3rt.slurm.submit import Sender
from esp3rt.slurm.tries import Tries
from esp3rt.wire import unpacked_error
from esp3rt.work import WorkersDied

_SHORTEST_WAIT, _LONGEST_WAIT, _GROWTH = 0.05, 1.0, 1.2
_SECONDS_TO_LOOK = 10.0
_SECONDS_BETWEEN_LOOKS = 1.0
# Where SLURM does not answer, so long is spent on sending, and so long then on what jobs have done meanwhile.
_SECONDS_TO_SEND, _SECONDS_BETWEEN_SENDING = 15.0, 15.0
_SECONDS_TO_BEGIN = 120.0
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
        check: Asked often whether this process leads; it raises `LeadLost` where another does.
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
    check: Check = nobody_else_can

    def __post_init__(self) -> None:
        self.ledger = Ledger.of(self.paths)
        self._reader = Reader(self.paths.journal)
        name = f"{LEADER}{socket.gethostname().partition('.')[0]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._journal = GuardedJournal(self.paths.journal, name, self.check)
        self._watch = Watch()
        self._inbox: deque[Event] = deque()
        self._tries = Tries(self.ledger, self.settings, self.name_of, self._write, self.say)
        self._looked = self._send_from = 0.0
        self._began = time.monotonic()
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
            LeadLost: Another process leads it; nothing of it was touched since.
            Refused: SLURM does not take a job.
            Exception: What a shard's work has raised.
        """
        self._sender.patience = _SECONDS_TO_SEND
        self._begin()
        is_first, wait = True, _SHORTEST_WAIT
        while True:
            self.check()
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
        """Say that the work is over, and cancel what is left of its jobs, unless they may go on with the next."""
        ends_jobs = how != "done" or not self.ledger.stay
        try:
            self._write("over", how=how, why=why)
        except LeadLost:
            ends_jobs = False
            raise
        finally:
            # Where the disk is full as well.
            if ends_jobs:
                end_jobs(living(self.ledger), self.say)

    def take_back(self, why: str) -> None:
        """End a work that nobody is to go on with, and all jobs that were sent for it."""
        self._take_in()
        self._sender.find_lost(self.ledger.unsent)
        self._take_in()
        self.end("cancelled", why)

    def _begin(self) -> None:
        self._tries.keep_going = self.keep_going
        self._take_in()
        if self.ledger.kind == SHARDS:
            # Of an error that was raised while nobody led nobody has heard: whoever leads now has called for another try.
            self._inbox = deque(event for event in self._inbox if event.kind != "failed")
            for task in self.ledger.tasks.values():
                if task.state == FAILED:
                    self._tries.begin_anew(task)
        self._bury()

    def _take_in(self, own: bool = False) -> bool:
        """Hear what was said; with `own`, only what this process itself has said."""
        found = self._reader.read_one(self._journal) if own else self._reader.read()
        events = self.ledger.fold(sorted(found, key=lambda event: event.time))
        for event in events:
            self._tries.note(event)
        self._inbox.extend(events)
        if self.ledger.moved != self._known_moved:
            self.moved(self.ledger.moved - self._known_moved)
            self._known_moved = self.ledger.moved
        return bool(events)

    def _write(self, kind: str, **data: Any) -> None:
        try:
            self._journal.write(kind, sure=True, **data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._journal.path)) from error
        # What it says itself it hears as well, so that what it knows is what the next leader will know.
        self._take_in(own=True)

    # -- what becomes of tasks -----------------------------------------------------------------------------------------

    def _heed(self, event: Event) -> None:
        if event.kind == "over" and event.data["how"] == "cancelled":
            raise WorkCancelled(f"{self.ledger.name} was cancelled")
        if event.kind == "failed":
            self._on_failed(event)
        elif event.kind in ("left", "stopping"):
            # SLURM may know more of its job, and of others that say nothing any more.
            self._is_look_wanted = self._is_burial_due = True
        elif event.kind == "began":
            self._is_burial_due = self._is_burial_due or is_gone(self.ledger, event.writer)
        elif event.kind == "died":
            worker = self.ledger.workers.get(event.writer)
            self._tries.open_again(
                event.data["task"], event.data["attempt"], event.data["why"], worker.node if worker else "", event.writer,
                free=bool(event.data.get("free")), progress=bool(event.data.get("progress")),
            )  # fmt: skip

    def _on_failed(self, event: Event) -> None:
        task = event.data["task"]
        if task is not None and self.ledger.tasks[task].state == DONE:
            return
        if self.ledger.kind == COMMANDS:
            failure = self._tries.failure(f"{self.name_of(task)} {event.data['text']}", event.writer)
            if not self.keep_going:
                raise failure
            self._tries.give_up(task, event.data["attempt"], event.data["text"], failure)
            return
        error = event.data["error"]
        raise unpacked_error(None if error is None else base64.b64decode(error), event.data["text"])

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
        if stuck := without_node(self.ledger):
            self.say(f"job {stuck[0].id} is cancelled: the nodes that are left to it do not work ({stuck[0].reason})")
            end_jobs(stuck, self.say)
            self._tries.avoid_nothing()
            self._is_look_wanted = True
        return any(changed) or bool(stuck)

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
            end_jobs([job], self.say)
        return changed

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
            if not is_gone(self.ledger, owner):
                continue
            job, worker = self.ledger.jobs[job_of(owner)], self.ledger.workers.get(owner)
            # The first task of a job had all the time that a job has.
            is_cut_off = job.state == "TIMEOUT" and worker is not None and worker.done > 0
            is_older = restarts_of(owner) < job.restarts
            free = is_cut_off or is_older or job.state in (*NOT_ITS_FAULT, "CANCELLED")
            # Where nobody knows how a job ended, its node is not to blame.
            node = "" if job.state == UNKNOWN else worker.node if worker is not None else job.node
            self._tries.open_again(task, attempt, how_lost(job, self.ledger.kind), node, owner, free)

    def _bury_commands(self) -> None:
        for task in self.ledger.tasks.values():
            jobs = [job for job in self.ledger.jobs.values() if job.task == task.number]
            if not jobs or any(job.alive is not False for job in jobs):
                # The same job goes on with the same command.
                continue
            job = jobs[-1]
            if job.state == "CANCELLED":
                # Another one would be against the will of whoever did it.
                why = f"somebody has ended its job {job.id}"
                self.end("cancelled", why)
                raise WorkCancelled(f"{self.name_of(task.number)} was cancelled: {why}")
            names = (worker.name for worker in workers_of(self.ledger, job.id))
            # One that never began has a log of what came before it.
            worker = max(names, key=restarts_of, default=f"{job.id}.{job.restarts}.0")
            progress = (self.paths.ranks / f"{worker.rpartition('.')[0]}.progress").exists()
            free, attempt = job.state in NOT_ITS_FAULT, max(1, task.attempt, job.attempt)
            why = how_lost(job, self.ledger.kind)
            self._tries.open_again(task.number, attempt, why, job.node, worker, free, progress)

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send_or_wait(self) -> None:
        """Send what lacks; where SLURM does not answer, later."""
        try:
            self._send_what_lacks()
            self._is_unsent = False
        except (client.Unreachable, client.Refused) as error:
            # What is refused where others run, such as one job more than a user may have, may be taken later.
            if isinstance(error, client.Refused) and not living(self.ledger):
                raise
            if self._is_unsent and not self.ledger.jobs and time.monotonic() - self._began >= _SECONDS_TO_BEGIN:
                # Nothing runs that could be lost; and perhaps there is no cluster.
                raise
            if not self._is_unsent:
                self.say(f"{self.ledger.name}: more jobs are sent later ({error})")
            self._is_unsent = True
            self._send_from = time.monotonic() + _SECONDS_BETWEEN_SENDING

    def _send_what_lacks(self) -> None:
        self._sender.find_lost(self.ledger.unsent)
        self._take_in()
        for worker in list(self.ledger.workers.values()):
            if worker.job not in self.ledger.jobs:
                # Of a call of sbatch that seemed to have come to nothing.
                self._write("seen", job=worker.job, state="RUNNING", alive=True, node=worker.node)
        open_tasks = [task for task in self.ledger.tasks.values() if task.state in (WAITING, RUNNING)]
        alive = living(self.ledger)
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
        if waiting and lacking_jobs <= 0 and all(self._tries.is_avoided(task.number, alive) for task in waiting):
            lacking_jobs = 1
        if lacking_jobs > 0 and self._tries.refuse_endless(all_claims(self.paths).values()):
            # One after the other is enough to see whether the next do better.
            lacking_jobs = 0 if alive else 1
        if lacking_jobs > 0:
            everywhere = [set(self._tries.avoided_by(task.number)) for task in waiting]
            self._send([], lacking_jobs, sorted(set.intersection(*everywhere)))
            if not self._sender.may_exclude:
                self._tries.avoid_nothing()

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
