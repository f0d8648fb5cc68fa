"""What came of the points of a sweep: a table for people, `sweep.csv` and `sweep.json` for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esp3rt.files import write_json, write_text
from esp3rt.progress import console_line, duration, on_terminal
from esp3rt.slurm.tails import plain_text
from esp3rt.sweep.spec import DONE, FAILED, History, Point, Record, Records, Sweep

_VERSION = 1
# Of all other metrics less is better: error rates, losses, distances.
_MORE_IS_BETTER = re.compile(
    r"acc|bleu|chrf|f1|f_score|precision|recall|stoi|pesq|s[di]s?d?r\b|snr|mos|sim", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A point with its results.

    Attributes:
        point: The point.
        record: What has become of it.
        best: The best of the numbers by which its training is judged, or None.
        epoch: The epoch of that.
        scores: The first number of each metric for each test set, by a name that tells it from others.
        metrics: All that the metrics have left.
    """

    point: Point
    record: Record
    best: float | None
    epoch: int | None
    scores: Mapping[str, float]
    metrics: Mapping[str, Any]

    def number(self, name: str) -> float | None:
        """What stands in a column of numbers."""
        if self.point.history is not None and name == self.point.history.metric:
            return self.best
        return self.scores.get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The points of a sweep with their results, the best first.

    Attributes:
        sweep: The sweep.
        rows: Its points.
        columns: The names of the numbers that there are.
        by: By which of them the rows are in order; empty where there are none.
        most: Whether more of it is better.
    """

    sweep: Sweep
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    by: str
    most: bool

    @property
    def best(self) -> Row | None:
        """The best point, where there are numbers."""
        first = self.rows[0] if self.rows else None
        return first if first is not None and self.by and first.number(self.by) is not None else None


def results_of(sweep: Sweep) -> Results:
    """Read what the points have left."""
    records = Records(sweep)
    rows = [_row(point, records.of(point)) for point in sweep.points]
    criteria = {row.point.history.metric: row.point.history.mode for row in rows if row.point.history is not None}
    names = dict.fromkeys(name for row in rows for name in row.scores)
    used = {name for name in criteria if any(row.number(name) is not None for row in rows)}
    columns = [*(name for name in criteria if name in used), *names]
    by = next(iter(names), next(iter(used), ""))
    most = criteria[by] == "max" if by in criteria else bool(_MORE_IS_BETTER.search(by))
    rows.sort(key=lambda row: _place(row, by, most))
    return Results(sweep=sweep, rows=tuple(rows), columns=tuple(columns), by=by, most=most)


def _place(row: Row, by: str, most: bool) -> tuple[bool, bool, float, float]:
    """Where a row stands; among equals the better training comes first."""
    number = row.number(by) if by else None
    if number is None or row.record.state != DONE:
        return True, row.record.state == FAILED, 0.0, 0.0
    judged = 0.0 if row.best is None or row.point.history is None else row.best
    better = -judged if row.point.history is not None and row.point.history.mode == "max" else judged
    return False, False, -number if most else number, better


def _row(point: Point, record: Record) -> Row:
    best, epoch = (None, None) if point.history is None else _best(point.history)
    metrics: dict[str, Any] = {}
    scores: dict[str, float] = {}
    for each in point.scores:
        try:
            found = json.loads(each.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        metrics[each.label or "measure"] = found
        for name, number in _first_numbers(found, each.label):
            scores.setdefault(name, number)
    return Row(point=point, record=record, best=best, epoch=epoch, scores=scores, metrics=metrics)


def _best(history: History) -> tuple[float | None, int | None]:
    try:
        with open(history.file, encoding="utf-8", newline="") as handle:
            rows = [row for row in csv.DictReader(handle) if row.get(history.metric)]
        numbers = [(float(row[history.metric]), int(float(row.get("epoch") or 0))) for row in rows]
    except (OSError, ValueError, csv.Error):
        return None, None
    numbers = [each for each in numbers if math.isfinite(each[0])]
    if not numbers:
        return None, None
    return (max if history.mode == "max" else min)(numbers, key=lambda each: each[0])


def _first_numbers(found: Any, label: str) -> Iterator[tuple[str, float]]:
    """For each metric and test set its first number, which is the metric itself; what follows are counts."""
    taken: set[str] = set()
    for metric, by_test in found.items() if isinstance(found, dict) else ():
        for test, numbers in by_test.items() if isinstance(by_test, dict) else ():
            plain = numbers.items() if isinstance(numbers, dict) else ()
            first = next(((key, value) for key, value in plain if _is_number(value)), None)
            if first is None:
                continue
            words = [first[0], str(test), *([label] if label else [])]
            if " ".join(words) in taken:
                words.insert(0, str(metric).rpartition(".")[2])
            taken.add(" ".join(words))
            yield " ".join(words), float(first[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# -- shown ------------------------------------------------------------------------------------------------------------


def show(results: Results) -> None:
    """Print the table, and why points failed."""
    head, rows = _cells(results)
    if on_terminal() and not os.environ.get("NO_COLOR"):
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name in head:
            table.add_column(plain_text(name), no_wrap=True, justify="right" if name in results.columns else "left")
        for row, cells in zip(results.rows, rows, strict=True):
            style = "bold green" if row is results.best else "red" if row.record.state == FAILED else ""
            table.add_row(*map(plain_text, cells), style=style)
        Console().print(table)
    else:
        for line in aligned([head, *rows], {head.index(name) for name in results.columns}):
            console_line(plain_text(line))
    for row in results.rows:
        if row.record.state == FAILED:
            console_line(plain_text(f"{row.point.name} failed: {row.record.why or 'nobody knows why'}"))
            if row.record.log:
                console_line(plain_text(f"  its log: {row.record.log}"))
    if results.best is not None:
        which = "more" if results.most else "less"
        number = _short(results.best.number(results.by))
        console_line(plain_text(f"* {results.best.point.name}: {results.by} {number}, where {which} is better"))
    console_line(f"the results are in {results.sweep.folder}: sweep.csv, sweep.json")


def aligned(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    """Rows as lines whose columns stand below each other; those of `right` end below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cells(results: Results) -> tuple[list[str], list[list[str]]]:
    head = ["", *results.sweep.columns, "state", *results.columns, "time"]
    rows = []
    for row in results.rows:
        numbers = [_short(row.number(name)) for name in results.columns]
        time = duration(row.record.seconds) if row.record.seconds else ""
        mark = "*" if row is results.best else ""
        rows.append([mark, *row.point.values, row.record.state, *numbers, time])
    return head, rows


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"


# -- written ----------------------------------------------------------------------------------------------------------


def write(results: Results) -> None:
    """Write `sweep.csv` and `sweep.json`."""
    sweep = results.sweep
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["point", *sweep.keys, "state", *results.columns, "seconds", "why", "log"])
    for row in results.rows:
        numbers = ["" if row.number(name) is None else row.number(name) for name in results.columns]
        record = row.record
        out.writerow(
            [row.point.name, *row.point.values, record.state, *numbers, record.seconds, record.why, record.log]
        )
    write_text(sweep.folder / "sweep.csv", text.getvalue())
    write_json(
        sweep.folder / "sweep.json",
        {
            "version": _VERSION,
            "recipe": str(sweep.recipe),
            "name": sweep.name,
            "ordered_by": results.by or None,
            "more_is_better": results.most,
            "best": None if results.best is None else results.best.point.name,
            "points": [_as_json(sweep, row) for row in results.rows],
        },
    )


def _as_json(sweep: Sweep, row: Row) -> dict[str, Any]:
    history = row.point.history
    return {
        "name": row.point.name,
        "values": dict(zip(sweep.keys, row.point.values, strict=True)),
        "state": row.record.state,
        "seconds": row.record.seconds,
        "attempts": row.record.attempts,
        "best": None if history is None else {"metric": history.metric, "value": row.best, "epoch": row.epoch},
        "scores": dict(row.scores),
        "metrics": dict(row.metrics),
        "folder": None if row.point.folder is None else str(row.point.folder),
        "why": row.record.why,
        "log": row.record.log,
    }
