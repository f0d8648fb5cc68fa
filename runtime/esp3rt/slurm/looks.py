"""What SLURM says of jobs: whether they live, where, why they wait, how they ended.

The queue (squeue) is asked first, with one call a look. It alone knows what lives: accounting (sacct) is seconds behind, and
calls a job that is requeued NODE_FAIL or PREEMPTED meanwhile. Accounting is asked of jobs that the queue does not know any
more, and is done without where a site has none; `scontrol` is asked last.

`Look.alive` is False only where it is certain, and then stays so. SLURM's silence is never an end: it makes it None.

A number alone is no job. After SLURM was set up anew, or its controller was killed, numbers are given a second time: what
bears another name, or was submitted before the job was, is somebody else's, and shows that ours is gone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from esp3rt.slurm.client import NotInstalled, Refused, Unreachable, as_time, command, in_parts, says_unknown_job

UNKNOWN = "UNKNOWN"
SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.5, 30.0
_SHORTEST_SILENCE, _LONGEST_SILENCE = 5.0, 60.0
_GROWTH = 1.5
# For so long the queue has to show what may be about to change, before it is believed.
_SETTLING = 5.0
# After so long accounting is tried again: where it failed, where there is none.
_ACCOUNTING_FAILED, _ACCOUNTING_MISSING = 60.0, 600.0
# Of the time that is left; the rest is for `scontrol`.
_SHARE_OF_ACCOUNTING = 0.5

# Every other word is of a job that lives, or may run again.
_OVER = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
)
# Ends after which SLURM itself starts a job again, where it may.
_REQUEUED_AFTER = frozenset({"BOOT_FAIL", "NODE_FAIL", "PREEMPTED"})

# No name and no reason has it.
_SEPARATOR = "\x1f"
_QUEUE_FIELDS = (
    "JobArrayID",
    "State",
    "Requeue",
    "RestartCnt",
    "exit_code",
    "SubmitTime",
    "NodeList",
    "Reason",
    "Name",
)
_ACCOUNTING_FIELDS = "JobID,State,ExitCode,Reason,NodeList,Submit,JobName"
# What accounting calls a job until it has heard its name.
_NOT_NAMED_YET = "allocation"


@dataclass(frozen=True, slots=True)
class Look:
    """What SLURM said of one job, or of one task of an array.

    Attributes:
        job: `123` or `123_4`.
        state: SLURM's word, or `UNKNOWN`.
        alive: True: it waits, runs, or may run again. False: it is over for certain. None: nobody can say now.
        reason: Why it waits, or how it ended, in SLURM's words; for `UNKNOWN` in ours.
        node: Where it runs, or ran, as far as it is known.
        restarts: How often SLURM has started it again, as far as it is known.
        exit_code: Of a job that is over: `3:0` is exit code 3, `0:9` is signal 9; else empty.
        submitted: When it was submitted or last requeued, in UTC, as SLURM writes it.
        name: The job's name.
    """

    job: str
    state: str = UNKNOWN
    alive: bool | None = None
    reason: str = ""
    node: str = ""
    restarts: int | None = None
    exit_code: str = ""
    submitted: str | None = None
    name: str = ""


class Watch:
    """Looks at jobs, no more often than is useful. It belongs to one thread, and asks only when it is told to.

    Attributes:
        unreachable: Why SLURM did not answer the last look; empty where it did.
        no_accounting: Why accounting could not be asked; empty where it could, or was not needed.
    """

    def __init__(self, jobs: Iterable[str] = (), *, name: str = "", since: str | None = None) -> None:
        self.unreachable = ""
        self.no_accounting = ""
        self._accounting_from = 0.0
        self._wanted: dict[str, _Wanted] = {}
        self._looks: dict[str, Look] = {}
        self._running: set[str] = set()
        self._doubted: dict[str, float] = {}
        self._silences = 0
        self.hurry()
        self.add(jobs, name=name, since=since)

    def add(self, jobs: Iterable[str], *, name: str = "", since: str | None = None) -> None:
        """Look at these too.

        Args:
            jobs: `123`, or `123_4` for one task of an array; not an array as a whole.
            name: The name that each must have; empty: any.
            since: The earliest time at which each was submitted, as `client.submit_time` gives it.
        """
        for job in jobs:
            self._wanted[job] = _Wanted(name, since)
            # Nothing is known of it, though another of its number may be over.
            self._looks[job] = Look(job, reason="not asked yet", name=name)
            self._running.discard(job)
            self._doubted.pop(job, None)
            self.hurry()

    @property
    def looks(self) -> dict[str, Look]:
        """What is known of every job since the last look."""
        return dict(self._looks)

    @property
    def interval(self) -> float:
        """How many seconds lie between the last look and the next."""
        return self._interval

    def due(self, now: float | None = None) -> bool:
        """Whether it is time for a look; never, once every job is over.

        Args:
            now: By `time.monotonic`; by default its present value.
        """
        return bool(self._open()) and (time.monotonic() if now is None else now) >= self._next

    def hurry(self) -> None:
        """Something has happened: a look is due at once, and the next ones come soon."""
        self._interval = SHORTEST_INTERVAL
        self._next = 0.0

    def look(self, *, deadline: float = 30.0) -> dict[str, Look]:
        """Ask SLURM once, and give what is known of every job.

        Args:
            deadline: For how many seconds to wait for answers, in all; what is not answered by then is not known.

        Raises:
            NotInstalled: This machine cannot ask.
        """
        end = time.monotonic() + deadline
        before = self.looks
        was_silent, self.unreachable = bool(self.unreachable), ""
        for part in in_parts(self._open()):
            self._look_at(part, end)
        if self.unreachable:
            self._interval = min(_LONGEST_SILENCE, _SHORTEST_SILENCE * 2**self._silences)
            self._silences = min(self._silences + 1, 8)
        elif was_silent or any(_what_counts(look) != _what_counts(before[job]) for job, look in self._looks.items()):
            self._interval, self._silences = SHORTEST_INTERVAL, 0
        else:
            self._interval = min(LONGEST_INTERVAL, self._interval * _GROWTH)
        self._next = time.monotonic() + self._interval
        return self.looks

    def _open(self) -> list[str]:
        return [job for job in self._wanted if self._looks[job].alive is not False]

    def _look_at(self, jobs: Collection[str], end: float) -> None:
        found: dict[str, Look] = {}
        try:
            for look in self._ask(jobs, end):
                found[look.job] = look
        except NotInstalled:
            raise
        except (Unreachable, Refused) as error:
            # What SLURM refuses to say is no more of an end than what it does not say.
            self.unreachable = str(error)
        for job in jobs:
            self._looks[job] = found.get(job) or self._unknown(job, None, self.unreachable)

    def _ask(self, jobs: Collection[str], end: float) -> Iterator[Look]:
        queue = _queue(jobs, end - time.monotonic())
        missing = []
        for job in jobs:
            held = queue.get(job)
            if held is not None and self._wanted[job].is_it(held.look):
                yield self._weighed(held)
            else:
                missing.append(job)
        arrays = {job.partition("_")[0] for job in queue if "_" in job}
        for job in [job for job in missing if job in arrays]:
            missing.remove(job)
            why = f"it is an array: each of its tasks has to be looked at by name, such as {job}_0"
            yield self._unknown(job, None, why)
        ended = self._history(missing, end)
        yield from ended.values()
        missing = [job for job in missing if job not in ended]
        shown = _shown(missing, end)
        for job in missing:
            held = shown.get(job)
            if held is not None and self._wanted[job].is_it(held.look):
                yield self._weighed(held)
            else:
                yield self._gone(job, held is not None)

    def _weighed(self, held: _Held) -> Look:
        """What the queue says, but for an end that may be no end yet."""
        look = held.look
        if look.alive:
            self._doubted.pop(look.job, None)
            (self._running.discard if look.state == "PENDING" else self._running.add)(look.job)
        elif held.requeues and look.state in _REQUEUED_AFTER and not self._has_settled(look.job):
            return replace(look, alive=True, exit_code="")
        return look

    def _gone(self, job: str, is_another: bool) -> Look:
        """SLURM does not know a job, nor how it ended."""
        why = "its number is another job's" if is_another else "SLURM does not know it any more"
        # A controller that was killed forgets jobs that run, and has them ended only when it hears of them from a node.
        certain = job not in self._running or self._has_settled(job)
        return self._unknown(job, False if certain else None, why)

    def _unknown(self, job: str, alive: bool | None, why: str) -> Look:
        return replace(self._looks[job], state=UNKNOWN, alive=alive, reason=why, exit_code="")

    def _has_settled(self, job: str) -> bool:
        now = time.monotonic()
        return now - self._doubted.setdefault(job, now) >= _SETTLING

    def _history(self, jobs: Collection[str], end: float) -> dict[str, Look]:
        """How jobs ended that the queue does not know, as far as accounting has it."""
        now = time.monotonic()
        if not jobs or now < self._accounting_from:
            return {}
        try:
            lives = _lives(jobs, (end - now) * _SHARE_OF_ACCOUNTING)
        except (Unreachable, Refused) as error:
            self.no_accounting = str(error)
            there_is_none = isinstance(error, NotInstalled) or "disabled" in self.no_accounting
            self._accounting_from = now + (_ACCOUNTING_MISSING if there_is_none else _ACCOUNTING_FAILED)
            return {}
        self.no_accounting = ""
        ended = {}
        for job in jobs:
            ours = sorted(filter(self._wanted[job].is_it, lives.get(job, ())), key=lambda look: look.submitted or "")
            if ours and ours[-1].alive is False:
                ended[job] = replace(ours[-1], restarts=len(ours) - 1, name=ours[-1].name or self._wanted[job].name)
        return ended


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    since: str | None

    def is_it(self, look: Look) -> bool:
        """Whether that is the job, and not another of the same number."""
        named = not self.name or look.name in (self.name, "")
        return named and (self.since is None or look.submitted is None or look.submitted >= self.since)


@dataclass(frozen=True, slots=True)
class _Held:
    """A job that the controller has, and whether SLURM may start it again by itself."""

    look: Look
    requeues: bool


def _queue(jobs: Collection[str], deadline: float) -> dict[str, _Held]:
    """What squeue says. It is asked for whole arrays: for a single number the controller sends no other job."""
    fields = ",".join(f"{field}:{_SEPARATOR}" for field in _QUEUE_FIELDS)
    numbers = ",".join(_numbers(jobs))
    try:
        text = command("squeue", "-a", "-r", "-h", "-t", "all", "-j", numbers, "-O", fields, deadline=deadline)
    except Refused as refused:
        if says_unknown_job(refused):
            return {}
        raise
    held = {}
    for line in text.split("\n"):
        # Where there are several clusters it prints a line above each one's.
        if len(cells := line.split(_SEPARATOR)) > len(_QUEUE_FIELDS):
            job, state, requeues, restarts, status, submitted, node, reason, name = map(str.strip, cells[:-1])
            look = _look(job, state, reason, node, _exit_code(status), submitted, name, restarts)
            held[job] = _Held(look, requeues == "1")
    return held


def _lives(jobs: Collection[str], deadline: float) -> dict[str, list[Look]]:
    """What sacct says: of a job that was requeued, or a number that was given twice, every life."""
    numbers = ",".join(_numbers(jobs))
    text = command("sacct", "-X", "-n", "-P", "-D", "-j", numbers, "-o", _ACCOUNTING_FIELDS, deadline=deadline)
    lives: dict[str, list[Look]] = {}
    for line in text.split("\n"):
        if line.count("|") >= _ACCOUNTING_FIELDS.count(","):
            ids, states, code, waited, node, submitted, name = line.split("|", _ACCOUNTING_FIELDS.count(","))
            # "CANCELLED by 1000"
            state, _, detail = states.partition(" ")
            reason = detail if state in _OVER else waited
            for job in _tasks(ids):
                called = "" if name == _NOT_NAMED_YET else name
                lives.setdefault(job, []).append(_look(job, state, reason, node, code, submitted, called))
    return lives


def _shown(jobs: Collection[str], end: float) -> dict[str, _Held]:
    """What scontrol says."""
    held = {}
    for number in _numbers(jobs):
        try:
            text = command("scontrol", "-o", "show", "job", number, deadline=end - time.monotonic())
        except Refused as refused:
            if says_unknown_job(refused):
                continue
            raise
        for line in text.split("\n"):
            # A name may hold anything.
            head, _, rest = line.partition(" JobName=")
            name, _, rest = rest.rpartition(" UserId=")
            # The first of each counts: a comment, which comes last, may hold anything too.
            said = dict(reversed(re.findall(r"(\w+)=(\S*)", f"{head} {rest}")))
            if "JobState" not in said:
                continue
            array, tasks = said.get("ArrayJobId"), said.get("ArrayTaskId")
            state, reason, node = said["JobState"], said.get("Reason", ""), said.get("NodeList", "")
            code, submitted, restarts = said.get("ExitCode", ""), said.get("SubmitTime", ""), said.get("Restarts", "")
            for job in _tasks(f"{array}_[{tasks}]" if array and tasks else said.get("JobId", "")):
                look = _look(job, state, reason, node, code, submitted, name, restarts)
                held[job] = _Held(look, said.get("Requeue") == "1")
    return held


def _look(
    job: str, state: str, reason: str, node: str, code: str, submitted: str, name: str, restarts: str = ""
) -> Look:
    is_over = state in _OVER
    return Look(
        job=job,
        state=state,
        alive=not is_over,
        reason=_said(reason),
        node=_said(node),
        restarts=int(restarts) if restarts.isdecimal() else None,
        exit_code=code if is_over else "",
        submitted=as_time(submitted),
        name=name,
    )


def _what_counts(look: Look) -> tuple[object, ...]:
    return look.state, look.alive, look.node, look.restarts


def _numbers(jobs: Collection[str]) -> list[str]:
    return list(dict.fromkeys(job.partition("_")[0] for job in jobs))


def _tasks(ids: str) -> list[str]:
    """`13_[0,2-3%2]` are the tasks 0, 2 and 3 of array 13; every other id is one job."""
    number, bracket, rest = ids.partition("_[")
    if not bracket:
        return [ids]
    ranges = re.findall(r"(\d+)(?:-(\d+))?(?::(\d+))?", rest.partition("%")[0])
    return [
        f"{number}_{task}"
        for first, last, step in ranges
        for task in range(int(first), int(last or first) + 1, int(step or 1))
    ]


def _exit_code(status: str) -> str:
    """squeue shows what `wait` gave: 768 is exit code 3, 9 is signal 9."""
    return f"{int(status) >> 8}:{int(status) & 127}" if status.isdecimal() else status


def _said(text: str) -> str:
    return "" if text in ("None", "N/A", "(null)", "None assigned", "Unknown") else text
