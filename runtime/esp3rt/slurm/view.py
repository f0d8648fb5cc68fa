"""What a person sees of a run: a table on a terminal, lines anywhere else.

`table` and `plain` say the same. A stage has a row; below it stands the last line of the log of what runs. `rich` is
imported only where a table is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from esp3rt.progress import Panel, console_line, duration, on_terminal
from esp3rt.slurm.ledger import DONE, FAILED, RUNNING, WAITING, Job, Run
from esp3rt.slurm.named import named_lines
from esp3rt.slurm.news import News
from esp3rt.slurm.rows import CANCELLED, QUEUED, STOPPED, Row, rows
from esp3rt.slurm.tails import last_line, plain_text

_SECONDS_BETWEEN_REDRAWS = 0.25
_SECONDS_BETWEEN_READS = 1.0
_SECONDS_BETWEEN_LINES = 5.0
# Reading takes this part of the time at most, however slow the file system is.
_SHARE_OF_READING = 0.1
_NODES_SHOWN = 3
_LONGEST_REASON = 120
_STYLES = {DONE: "green", FAILED: "bold red", RUNNING: "cyan", STOPPED: "yellow", CANCELLED: "yellow", WAITING: "dim"}


def table(run: Run, now: float, *, leads: bool = True) -> Any:
    """A run as something that rich can draw.

    Args:
        run: The run.
        now: The time, in seconds since 1970.
        leads: Whether somebody leads it.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    found = rows(run, now, leads=leads)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("stage", "state", "work", "nodes", "elapsed", "left"):
        wraps = name in ("work", "nodes")
        made.add_column(name, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for row in found:
        left = "" if row.left is None else f"about {duration(row.left)}"
        elapsed = "" if row.elapsed is None else duration(row.elapsed)
        cells = (row.stage, _state(row), _work(row), nodes_text(row.nodes), elapsed, left)
        made.add_row(*(Text(plain_text(cell)) for cell in cells), style=_STYLES.get(row.state, ""))
    below = [Text(plain_text(line), no_wrap=True, overflow="ellipsis") for line in named_lines(run, now)]
    for row in found:
        if line := said_last(row):
            below.append(Text(f"{row.stage} │ {line}", style="dim", no_wrap=True, overflow="ellipsis"))
    below += [Text(plain_text(line), style="yellow") for line in silences(found)]
    return Group(made, *below)


def plain(run: Run, now: float, *, leads: bool = True) -> list[str]:
    """A run as lines; see `table`."""
    found = rows(run, now, leads=leads)
    widths = [max((len(text(row)) for row in found), default=0) for text in (_stage, _state)]
    lines = []
    for row in found:
        parts = [_work(row)]
        # Of a job it is said where it runs.
        parts += [nodes_text(row.nodes)] if row.nodes else []
        parts += [duration(row.elapsed)] if row.elapsed is not None else []
        parts += [f"about {duration(row.left)} left"] if row.left is not None else []
        rest = ", ".join(part for part in parts if part)
        lines.append(plain_text(f"{row.stage:<{widths[0]}}  {_state(row):<{widths[1]}}  {rest}"))
        if line := said_last(row):
            lines.append(f"{'':<{widths[0]}}  | {line}")
    return [*lines, *map(plain_text, [*named_lines(run, now), *silences(found)])]


def said_last(row: Row) -> str:
    """The last line of the log of what runs; empty where nothing does."""
    return last_line(row.log).strip() if row.state in (RUNNING, STOPPED) and row.log is not None else ""


def silences(found: Sequence[Row]) -> list[str]:
    """That SLURM does not answer, where it does not."""
    silent = [row for row in found if row.silent]
    if not silent:
        return []
    since = min(row.silent_since for row in silent)
    when = f" since {time.strftime('%H:%M:%S', time.localtime(since))}" if since else ""
    why = silent[0].silent
    why = why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]}…"
    return [f"SLURM does not answer{when} ({why}); what is said of jobs may be old"]


def nodes_text(nodes: Sequence[str]) -> str:
    """The names of nodes, the first ones where they are many."""
    shown = " ".join(nodes[:_NODES_SHOWN])
    return shown if len(nodes) <= _NODES_SHOWN else f"{shown} and {len(nodes) - _NODES_SHOWN} more"


def job_text(job: Job, *, over: bool = False) -> str:
    """A job in a few words.

    Args:
        job: The job.
        over: Whether it is known to be over: what SLURM said of it last is old.
    """
    state = "nobody knows its state" if job.alive is None else job.state or "just sent"
    again = [f"started {job.restarts + 1} times"] if job.restarts else []
    said = ", ".join([*([] if over else [state]), *again])
    return f"job {job.id}: {said}" if said else f"job {job.id}"


def _stage(row: Row) -> str:
    return row.stage


def _state(row: Row) -> str:
    return f"{row.state} ({row.reason})" if row.reason and row.state == QUEUED else row.state


def _work(row: Row) -> str:
    if not row.unit:
        return job_text(row.jobs[-1], over=row.state in (DONE, FAILED, CANCELLED)) if row.jobs else row.where
    parts = [f"{row.done} of {row.total} {row.unit} done"]
    waits = f" ({row.reason})" if row.reason and row.state != QUEUED else ""
    parts += [f"{row.running} running"] if row.running else []
    parts += [f"{row.queued} queued{waits}"] if row.queued else []
    parts += [f"{row.failed} failed"] if row.failed else []
    return ", ".join(parts)


class Live:
    """Shows a run while it goes on, as a context manager.

    ```python
    with Live(read_run(paths)) as live:
        while not ...:
            live.tick()
    ```

    On a terminal there is the table, above the bars of `esp3rt.progress`; what has to stay on the screen (a stage that is
    done, a node that is lost) is printed above it. Anywhere else there are lines, where something has changed.

    Args:
        run: The run; it is refreshed here, so it should be nobody else's.
        watching: Whether this process only looks on; see `News`.
        leads: Whether somebody leads it; may be set anew.
    """

    def __init__(self, run: Run, *, watching: bool = False, leads: bool = True) -> None:
        self.leads = leads
        self._run = run
        self._news = News(run, watching=watching)
        self._panel = Panel() if on_terminal() else None
        self._next_read = self._next_draw = self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._panel is not None:
            self._panel.__enter__()
        self.tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run.refresh()
            self._tell()
        finally:
            if self._panel is not None:
                self._panel.__exit__(kind, error, trace)

    def tick(self) -> None:
        """Look whether there is something new, and show it; costs nothing where it was done a moment ago."""
        now = time.monotonic()
        if now >= self._next_read:
            self._run.refresh()
            spent = time.monotonic() - now
            self._next_read = now + max(_SECONDS_BETWEEN_READS, spent / _SHARE_OF_READING)
            self._tell()
        if self._panel is not None and now >= self._next_draw:
            self._next_draw = now + _SECONDS_BETWEEN_REDRAWS
            self._panel.show(table(self._run, time.time(), leads=self.leads))

    def _tell(self) -> None:
        now = time.monotonic()
        lasting_only = self._panel is not None or now < self._next_line
        for line, lasting in self._news.since(time.time(), lasting_only=lasting_only):
            if not lasting:
                self._next_line = now + _SECONDS_BETWEEN_LINES
            console_line(plain_text(line))
