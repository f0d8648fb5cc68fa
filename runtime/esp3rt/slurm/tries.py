"""Which attempts at the tasks of a work may be made, and what is said where none may any more.

What is decided stands in the journals, as `again` and `gave_up`: whoever leads after a leader that was killed has it from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from esp3rt.slurm.journal import Event
from esp3rt.slurm.ledger import DONE, FAILED, WAITING, Job, Ledger, Task
from esp3rt.slurm.living import at_work, has_left, in_vain, living
from esp3rt.slurm.settings import Settings
from esp3rt.slurm.tails import last_lines
from esp3rt.work import WorkersDied

_LINES_SHOWN = 12
_TAIL = ". It ends with:"
# So many calls of sbatch may come to nothing but jobs that do nothing.
_IDLE_CALLS = 3
# So often for each try that counts, one does not, while nothing is done: SLURM may do for ever what is nobody's fault.
_FREE_TRIES = 5


class _Write(Protocol):
    def __call__(self, kind: str, **data: object) -> None: ...


class Tries:
    """The attempts of one work.

    Args:
        ledger: The work; what is written is folded into it at once.
        settings: The machine setting.
        name_of: What to call a task in a message.
        write: Writes an event.
        say: Told of what a person should know, a line each.

    Attributes:
        keep_going: Whether a task that is given up leaves the others to go on.
        may_avoid: Whether tasks can be kept from nodes; False where there are no others.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        name_of: Callable[[int], str],
        write: _Write,
        say: Callable[[str], None],
    ) -> None:
        self.keep_going = False
        self.may_avoid = True
        self._ledger = ledger
        self._settings = settings
        self._name_of = name_of
        self._write = write
        self._say = say
        self._decided: set[tuple[int, int]] = set()
        self._tried: dict[int, int] = {}
        self._free: dict[int, int] = {}
        self._avoid: dict[int, list[str]] = {}

    def note(self, event: Event) -> None:
        """Hear what was decided, by whomever."""
        if event.kind == "again":
            task = event.data["task"]
            self._decided.add((task, event.data["attempt"] - 1))
            self._tried[task], self._avoid[task] = event.data.get("tried", 0), event.data["avoid"]
            self._free[task] = event.data.get("free", 0)
        elif event.kind == "ended":
            self._free.clear()

    def avoided_by(self, task: int) -> list[str]:
        """The nodes that a task is kept from."""
        return self._avoid.get(task, [])

    def is_avoided(self, task: int, jobs: Collection[Job]) -> bool:
        """Whether none of some jobs may take a task, as far as it is known where they run."""
        avoid = self.avoided_by(task)
        return bool(avoid) and bool(jobs) and all(job.node and job.node in avoid for job in jobs)

    def open_again(
        self, task: int, attempt: int, why: str, node: str, worker: str, free: bool = False, progress: bool = False
    ) -> None:
        """Let a task be tried again, unless it was often enough.

        Args:
            task: Its number.
            attempt: The attempt that came to nothing.
            why, node, worker: Why, where, and whose it was.
            free: Whether that does not count, unless it happens again and again while nothing is done.
            progress: Whether it got somewhere, so that it does not count in any case.

        Raises:
            WorkersDied: It was often enough.
        """
        state = self._ledger.tasks[task].state
        if state == DONE or (task, attempt) in self._decided or (self.keep_going and state == FAILED):
            return
        free = free or progress
        tried = self._tried.get(task, 0) + (not free)
        in_a_row = 0 if progress else self._free.get(task, 0) + free
        # An item that kills its process is known as such when it has killed two.
        allowed = self._settings.attempts + 2 * self._settings.max_bad_items
        times = tried if tried >= allowed else in_a_row if in_a_row >= _FREE_TRIES * allowed else 0
        if times:
            tries = f"{self._name_of(task)} was tried {times} times, the last time it was {why}"
            self.give_up(task, attempt, why, self.failure(tries, worker))
            return
        avoid = self.avoided_by(task)
        if node and not free and node not in avoid:
            avoid = [*avoid, node]
        # The last attempt takes what it gets.
        elsewhere = avoid if tried < allowed - 1 and self.may_avoid else []
        self._write("again", task=task, attempt=attempt + 1, tried=tried, free=in_a_row, avoid=elsewhere, why=why)
        self._say(f"{self._name_of(task)}: {why}{f' on {node}' if node else ''}; it is tried again")

    def begin_anew(self, task: Task) -> None:
        """Let a task that was given up be tried as if it never had been."""
        self._write("again", task=task.number, attempt=task.attempt + 1, tried=0, avoid=[], why=task.why)

    def avoid_nothing(self) -> None:
        """There are no nodes but those where tasks were lost."""
        self.may_avoid = False
        for task in self._ledger.tasks.values():
            if task.state == WAITING and self.avoided_by(task.number):
                tried, free = self._tried[task.number], self._free.get(task.number, 0)
                attempt = task.attempt + 1
                self._write("again", task=task.number, attempt=attempt, tried=tried, free=free, avoid=[], why=task.why)

    def refuse_endless(self, claims: Collection[str]) -> bool:
        """Whether the last jobs came to nothing. Others are not sent for ever.

        Args:
            claims: The workers that have begun something.

        Raises:
            WorkersDied: It was so with too many calls of sbatch.
        """
        working = at_work(self._ledger, claims)
        idle = in_vain(self._ledger, working)
        # Where others do their work, a machine or two may be the reason.
        others_work = self._ledger.count(DONE) or any(job.id in working for job in living(self._ledger))
        allowed = _IDLE_CALLS + (self._settings.workers if others_work else 0)
        if len({job.id.partition("_")[0] for job in idle}) >= allowed:
            last = idle[-1]
            if has_left(self._ledger, last):
                task = next(task.number for task in self._ledger.tasks.values() if task.state == WAITING)
                why = f"found nothing to do while {self._name_of(task)} waited; the last was {last.id}"
            else:
                why = (
                    f"ended before they began to work; the last, {last.id}, was {last.state or 'lost'} "
                    f"({last.reason or 'no reason'}) on {last.node or 'no node'}"
                )
            raise self.failure(f"{len(idle)} jobs {why}", f"{last.id}.0.0")
        return bool(idle) and not others_work

    def give_up(self, task: int, attempt: int, why: str, failure: WorkersDied) -> None:
        """Leave a task, and with it the work, unless this goes on without.

        Raises:
            WorkersDied: `failure`.
        """
        if self.keep_going and self._ledger.tasks[task].state == FAILED:
            return
        self._write("gave_up", task=task, attempt=attempt, why=why)
        if not self.keep_going:
            raise failure
        self._say(f"{str(failure).partition(_TAIL)[0]}; the others go on")

    def failure(self, what: str, worker: str) -> WorkersDied:
        """An error that shows the end of a worker's log.

        Args:
            what: What is wrong.
            worker: The worker's name; empty where there is none.
        """
        if not worker:
            return WorkersDied(what)
        log = self._ledger.paths.log_of(worker)
        tail = "".join(f"\n  {line}" for line in last_lines(log, _LINES_SHOWN))
        return WorkersDied(f"{what}; its log: {log}" + (f"{_TAIL}{tail}" if tail else ""))
