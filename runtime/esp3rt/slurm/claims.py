"""Which worker does which task: a claim is a file that only one can make.

The file is a hard link to a file of the worker's own, so it is there with all that it says, or not at all. First attempts
are open to everybody; a further attempt is when the leader has said so, which it does when it knows that the one before
came to nothing.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from esp3rt.lease import is_made_by_this
from esp3rt.slurm.journal import Reader
from esp3rt.slurm.paths import WorkPaths

LEADER = "leader-"


class Claims:
    """The claims of one worker.

    Args:
        paths: The files of the work.
        tasks: The numbers of its tasks.
        worker: The worker's name; nobody else may have it.
        node: The node that it runs on.
        start: Where in `tasks` it begins; workers that begin apart do not get in each other's way.
    """

    def __init__(self, paths: WorkPaths, tasks: Sequence[int], worker: str, node: str, start: int) -> None:
        self._paths = paths
        self._node = node
        self._mine = paths.workers / worker
        self._mine.write_text(worker, encoding="utf-8")
        start %= max(1, len(tasks))
        self._first = deque([*tasks[start:], *tasks[:start]])
        self._again: dict[int, tuple[int, list[str]]] = {}
        # Of each task the latest attempt that was opened, and the latest that this worker has made.
        self._opened: dict[int, int] = {}
        self._made: dict[int, int] = {}
        self._closed: set[int] = set()
        self._leader = Reader(paths.journal, LEADER)
        self.over = False

    def next(self) -> tuple[int, int] | None:
        """Claim a task: its number and the attempt; None where there is nothing to claim at this moment."""
        self._hear()
        if self.over:
            return None
        while self._first:
            task = self._first.popleft()
            if task in self._closed or task in self._again:
                continue
            if self._claim(task, 1):
                return task, 1
            # Others have been here: what else they have is looked up at once.
            taken = {int(name.partition(".")[0]) for name in os.listdir(self._paths.claims) if name.endswith(".1")}
            self._first = deque(task for task in self._first if task not in taken)
        for task, (attempt, avoid) in sorted(self._again.items()):
            if self._node not in avoid and task not in self._closed:
                del self._again[task]
                if self._claim(task, attempt):
                    return task, attempt
        return None

    def _claim(self, task: int, attempt: int) -> bool:
        self._made[task] = attempt
        claim = self._paths.claim(task, attempt)
        try:
            os.link(self._mine, claim)
        except FileExistsError:
            return is_made_by_this(self._mine, claim)
        except OSError:
            # A file system without hard links.
            try:
                descriptor = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                return False
            try:
                with open(descriptor, "w", encoding="utf-8") as handle:
                    handle.write(self._mine.name)
            except OSError:
                # A claim that does not say whose it is would be nobody's for ever.
                claim.unlink()
                raise
        return True

    def _hear(self) -> None:
        for event in sorted(self._leader.read(), key=lambda event: event.time):
            if event.kind == "again":
                task, attempt = event.data["task"], event.data["attempt"]
                if attempt < self._opened.get(task, 0):
                    continue
                self._closed.discard(task)
                self._opened[task] = attempt
                if attempt > self._made.get(task, 0):
                    self._again[task] = attempt, event.data.get("avoid", [])
            elif event.kind == "gave_up":
                if self._opened.get(event.data["task"], 0) <= event.data.get("attempt", math.inf):
                    self._closed.add(event.data["task"])
            elif event.kind in ("over", "reopened"):
                self.over = event.kind == "over"


def all_claims(paths: WorkPaths) -> dict[tuple[int, int], str]:
    """Every claim: task and attempt, and the worker that has it."""
    workers = {entry.inode(): entry.name for entry in os.scandir(paths.workers)}
    found = {}
    for entry in os.scandir(paths.claims):
        task, _, attempt = entry.name.partition(".")
        found[int(task), int(attempt)] = workers.get(entry.inode()) or _written_in(Path(entry.path))
    return found


def _written_in(claim: Path) -> str:
    if claim.stat().st_nlink > 1:
        return ""
    return claim.read_text(encoding="utf-8")
