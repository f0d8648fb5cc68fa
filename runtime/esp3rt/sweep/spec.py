"""What is to be done for a sweep, as the compiler has written it down, and what has become of each point.

```
<recipe>/.esp3c/sweeps/<id>/
    spec.json              what is to be done; the id is made of it
    lead/                  the lease of the process that is at it
    points/<point>.json    what has become of a point, where something has
    logs/<point>.log       what a point has printed that ran on this machine
    sweep.csv, sweep.json  the results
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from esp3rt.files import write_json

WAITING, DONE, FAILED = "waiting", "done", "failed"
_VERSION = 1


class SweepError(ValueError):
    """What is to be done cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The file with the numbers of a training, and by which of them it is judged: `mode` is `min` or `max`."""

    file: Path
    metric: str
    mode: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """A file with the numbers of metrics; `label` tells it from others."""

    file: Path
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One combination of values.

    Attributes:
        name: A file's name that no other point has.
        values: The values, as they were written.
        here: The command of the stages that run on this machine, if there are any.
        job: The command of those that run in a job.
        folder: The folder of its experiment, where it is known.
        history: Where its training writes its numbers.
        scores: Where its metrics do.
    """

    name: str
    values: tuple[str, ...]
    here: tuple[str, ...]
    job: tuple[str, ...]
    folder: Path | None
    history: History | None
    scores: tuple[Scores, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """What is to be done.

    Attributes:
        file: Where it stands.
        recipe: The folder of the recipe.
        name: The name of the recipe.
        keys: What is varied.
        columns: Short names of it.
        shared: The command that is done once, before all points; empty where there is none.
        setting: The machine setting of the jobs, or None.
        points: The points.
    """

    file: Path
    recipe: Path
    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    shared: tuple[str, ...]
    setting: Mapping[str, Any] | None
    points: tuple[Point, ...]

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return self.file.parent

    def log_of(self, point: Point) -> Path:
        """What a point prints on this machine."""
        return self.folder / "logs" / f"{point.name}.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What has become of a point.

    Attributes:
        state: `WAITING`, `DONE` or `FAILED`.
        prepared: Whether its stages on this machine are done.
        seconds: For how long it has run.
        attempts: How often it was begun.
        why: Why it failed.
        log: What it has printed.
        files: The results that it has left.
    """

    state: str = WAITING
    prepared: bool = False
    seconds: float = 0.0
    attempts: int = 0
    why: str = ""
    log: str = ""
    files: tuple[str, ...] = ()


def read_sweep(file: Path) -> Sweep:
    """Read what is to be done.

    Raises:
        SweepError: It cannot be read.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["version"] != _VERSION:
            raise SweepError(f"{file} has version {found['version']}, and {_VERSION} is known; start the sweep again")
        return Sweep(
            file=file,
            recipe=Path(found["recipe"]),
            name=found["name"],
            keys=tuple(found["keys"]),
            columns=tuple(found["columns"]),
            shared=tuple(found["shared"] or ()),
            setting=found["setting"],
            points=tuple(map(_point, found["points"])),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, SweepError):
            raise
        raise SweepError(f"{file} cannot be read ({error!r}); start the sweep again") from error


def _point(found: Mapping[str, Any]) -> Point:
    history = found["history"]
    return Point(
        name=found["name"],
        values=tuple(found["values"]),
        here=tuple(found["here"] or ()),
        job=tuple(found["job"] or ()),
        folder=None if found["folder"] is None else Path(found["folder"]),
        history=None
        if history is None
        else History(file=Path(history["file"]), metric=history["metric"], mode=history["mode"]),
        scores=tuple(Scores(file=Path(each["file"]), label=each["label"]) for each in found["metrics"]),
    )


class Records:
    """What has become of the points of a sweep, on the disk.

    Args:
        sweep: The sweep.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._folder = sweep.folder / "points"

    def of(self, point: Point) -> Record:
        """What has become of a point. One whose results are gone is as if it had never run."""
        try:
            found = json.loads((self._folder / f"{point.name}.json").read_text(encoding="utf-8"))
            record = Record(**{**found, "files": tuple(found["files"])})
        except FileNotFoundError:
            return Record()
        except (KeyError, TypeError, ValueError):
            return Record()
        gone = not all(Path(file).exists() for file in record.files)
        folder_gone = point.folder is None or not point.folder.is_dir()
        if (record.state == DONE and gone) or (record.prepared and record.state == WAITING and folder_gone):
            return Record()
        return record

    def write(self, point: Point, record: Record) -> None:
        """Say what has become of a point; where it is done, its results are looked up."""
        if record.state == DONE:
            files = [each.file for each in point.scores]
            files += [point.history.file] if point.history is not None else []
            record = Record(**{**asdict(record), "files": tuple(str(file) for file in files if file.exists())})
        write_json(self._folder / f"{point.name}.json", asdict(record))
