"""How far a task has come, on whatever stands behind stdout.

On a terminal there is one live display, which all tasks share: a bar each, below what a `Panel` shows. Anywhere else (a file, a pipe,
a job's log) there are plain lines, few of them: a task that takes less than five seconds writes one, at its
end; a longer one also says that it is alive after five seconds and at each quarter, but no two of these
within five seconds.

`rich` is imported only where stdout is a terminal. NO_COLOR is honoured.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 5.0
# Without a total there are no quarters: each wait is this many times the one before.
_GROWTH_WITHOUT_TOTAL = 6.0
_SECONDS_BETWEEN_REDRAWS = 0.1


def track(iterable: Iterable[T], total: int | None = None, *, label: str, unit: str = "items") -> Iterator[T]:
    """Yield what `iterable` yields and show how far it has come.

    Args:
        iterable: What to go through.
        total: How many there are; taken from `len(iterable)` where it has one.
        label: The name of the task.
        unit: What is counted, in the plural.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with Progress(label, total, unit=unit) as progress:
        for item in iterable:
            yield item
            progress.advance()


class Progress:
    """The progress of one task, as a context manager.

    ```python
    with Progress("infer test", total=len(dataset)) as progress:
        for batch in batches:
            ...
            progress.advance(len(batch))
    ```
    """

    def __init__(self, label: str, total: int | None = None, *, unit: str = "items", shown: bool = True) -> None:
        self.shown = shown
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self._detail = ""
        self._view: _View | None = None

    def __enter__(self) -> Self:
        if self.shown:
            self._view = _BarView(self) if on_terminal() else _LineView(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is not None:
            self._view.close(failed=kind is not None and not issubclass(kind, GeneratorExit))
            self._view = None

    def advance(self, n: int = 1) -> None:
        """Count `n` more as done."""
        self.done += n
        if self._view is not None:
            self._view.moved()

    def describe(self, text: str) -> None:
        """Show `text` (a loss, a file name) after the label from the next line or redraw on."""
        self._detail = text
        if self._view is not None:
            self._view.moved()

    @property
    def title(self) -> str:
        """The label with the latest description after it."""
        return f"{self.label} · {self._detail}" if self._detail else self.label


def console_line(text: str) -> None:
    """Print `text` as a plain line on stdout, above the bars if there are any."""
    with _display_lock:
        display = _display
        if display is not None:
            display.console.print(text, markup=False, highlight=False, soft_wrap=True)
            return
    print(text, flush=True)


class Panel:
    """A place above the bars for something that rich can draw, as a context manager; only where `on_terminal()`."""

    def __init__(self) -> None:
        self._content: Any = None

    def __enter__(self) -> Self:
        _join_display()
        _panels.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _panels.remove(self)
        _leave_display()

    def show(self, content: Any) -> None:
        """Show this from the next redraw on, in the place of what was shown before."""
        self._content = content


def on_terminal() -> bool:
    """Whether stdout is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def duration(seconds: float) -> str:
    """`seconds` in words that a person reads at a glance: "0.4 s", "12 s", "3 min 05 s", "2 h 07 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class _View(Protocol):
    def moved(self) -> None: ...
    def close(self, *, failed: bool) -> None: ...


class _LineView:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = time.monotonic()
        self._next_time = self._start + _SECONDS_BETWEEN_LINES
        self._wait = _SECONDS_BETWEEN_LINES
        # The first line has no quarter to wait for: it says that the task is alive.
        self._next_count = 0

    def moved(self) -> None:
        progress = self._progress
        if progress.done < self._next_count:
            return
        now = time.monotonic()
        if now < self._next_time:
            return
        total = progress.total
        if total:
            if progress.done >= total:
                return
            quarter = progress.done * 4 // total + 1
            self._next_count = -(-quarter * total // 4)
            self._next_time = now + _SECONDS_BETWEEN_LINES
            amount = f"{progress.done} of {total} {progress.unit} ({100 * progress.done // total}%)"
        else:
            self._wait *= _GROWTH_WITHOUT_TOTAL
            self._next_time = now + self._wait
            amount = f"{progress.done} {progress.unit}"
        console_line(f"{progress.title}: {amount}, {duration(now - self._start)}")

    def close(self, *, failed: bool) -> None:
        progress = self._progress
        spent = duration(time.monotonic() - self._start)
        if failed or (progress.total is not None and progress.done < progress.total):
            of = "" if progress.total is None else f" of {progress.total}"
            console_line(f"{progress.title}: stopped at {progress.done}{of} {progress.unit} after {spent}")
        else:
            console_line(f"{progress.title}: {progress.done} {progress.unit} in {spent}")


class _BarView:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = time.monotonic()
        self._next_redraw = 0.0
        self._display = _join_display()
        self._task = self._display.add_task(progress.title, total=progress.total, unit=progress.unit)

    def moved(self) -> None:
        now = time.monotonic()
        if now >= self._next_redraw:
            self._next_redraw = now + _SECONDS_BETWEEN_REDRAWS
            self._display.update(self._task, completed=self._progress.done, description=self._progress.title)

    def close(self, *, failed: bool) -> None:
        progress = self._progress
        self._display.remove_task(self._task)
        # A finished bar becomes the same line as elsewhere, so that the screen keeps what was done.
        closing = _LineView(progress)
        closing._start = self._start
        closing.close(failed=failed)
        _leave_display()


# One live display for the process: two of them would draw over each other.
_display_lock = threading.RLock()
_display: Any = None
_display_users = 0
_panels: list[Panel] = []


def _join_display() -> Any:
    global _display, _display_users
    with _display_lock:
        if _display is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            class Display(RichProgress):
                # The thread that redraws holds rich's lock here: to wait for `_display_lock` could be for ever.
                def get_renderables(self) -> Iterator[Any]:
                    yield from [panel._content for panel in tuple(_panels) if panel._content is not None]
                    if self.tasks:
                        yield from super().get_renderables()

            _display = Display(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                TextColumn("{task.completed:.0f} {task.fields[unit]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(file=sys.stdout),
                transient=True,
                redirect_stdout=True,
                redirect_stderr=True,
            )
            _display.start()
        _display_users += 1
        return _display


def _leave_display() -> None:
    global _display, _display_users
    with _display_lock:
        _display_users -= 1
        if _display_users == 0 and _display is not None:
            _display.stop()
            _display = None
