"""What the runtime is told of a sweep: `.esp3c/sweeps/<id>/spec.json`.

```
{"version": 1, "id": …, "recipe": folder, "name": of the recipe, "keys": [swept keys], "columns": [short names of them],
 "stages": [of each point], "shared": command or null, "setting": machine setting of the jobs or null,
 "points": [{"name", "values", "here": command or null, "job": command or null, "folder": of the experiment,
             "history": {"file", "metric", "mode"} or null, "metrics": [{"file", "label"}]}]}
```

The commands are lists of words. `shared` is done once, before all else; of each point, `here` is done on this machine and then
`job` as a job. Paths are absolute.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure
from esp3c.cli.sweep_points import SET, Built
from esp3c.cli.sweep_values import Axis
from esp3c.emit.files import MANIFEST
from esp3c.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from esp3c.ir import Recipe, Stage

SWEEPS = Path(".esp3c") / "sweeps"
_VERSION = 1
_CRITERION = ("valid/loss", "min")


@record
class Work:
    """What is to be done: stages once for all points, those of each point here, those of each point in a job.

    `place` are the words of `--on`; `setting` is the machine setting of the jobs.
    """

    shared: tuple[str, ...]
    here: tuple[str, ...]
    jobs: tuple[str, ...]
    place: tuple[str, ...] = ()
    setting: dict[str, Any] | None = None


def write_spec(axes: Sequence[Axis], built: Sequence[Built], home: Path, work: Work) -> Path:
    """Builds every point and writes what is to be done; the file that says it.

    Raises:
        Failure: The disk refused, or a file is in the way.
    """
    from esp3c.cli.writer import write_files

    folders = [home / SET / _digest(list(each.overrides), *_content(each)) for each in built]
    for each, place in zip(built, folders, strict=True):
        write_files(place, each.result.files)
    stages = (*work.here, *work.jobs)
    points = [
        {
            "name": each.point.name,
            "values": list(each.point.values),
            "here": _command(each, place, work.here, work.place) if work.here else None,
            "job": _command(each, place, work.jobs, ()) if work.jobs else None,
            "folder": _there(home, _experiment(each)),
            "history": _history(home, each, stages),
            "metrics": _metrics(home, each, stages),
        }
        for each, place in zip(built, folders, strict=True)
    ]
    identity = _digest([*work.shared, "/", *stages], json.dumps(points), json.dumps(work.setting))
    spec = {
        "version": _VERSION,
        "id": identity,
        "recipe": os.fspath(home),
        "name": built[0].recipe.name,
        "keys": [axis.key for axis in axes],
        "columns": [axis.label for axis in axes],
        "stages": list(stages),
        "shared": _command(built[0], folders[0], work.shared, work.place) if work.shared else None,
        "setting": work.setting,
        "points": points,
    }
    path = home / SWEEPS / identity / "spec.json"
    _write(path, json.dumps(spec, indent=2) + "\n")
    return path


def _command(built: Built, folder: Path, stages: Sequence[str], place: Sequence[str]) -> list[str]:
    words = [sys.executable, os.fspath(folder / "run.py"), "--stages", *stages]
    for name in built.recipe.configs:
        words += [f"--{name}_config", os.fspath(folder / "conf" / f"{name}.yaml")]
    return [*words, *place]


def _content(built: Built) -> list[str]:
    """What is built, but for the file that holds the hash of the recipe: a comment makes no other sweep."""
    return [f"{each.path}\0{each.text}" for each in built.result.files if each.path != MANIFEST]


def _digest(words: Sequence[str], *texts: str) -> str:
    return hashlib.sha256("\0".join([*words, *texts]).encode()).hexdigest()[:12]


def _stages(recipe: Recipe, names: Sequence[str]) -> Iterable[Stage]:
    return (stage for stage in recipe.stages if stage.name in names)


def _training(built: Built, stages: Sequence[str]) -> str | None:
    """The training whose numbers are those of the point: the last one that runs, else the recipe's own."""
    from esp3c.graph.flow import built_in, configs_of

    found = "training" if "training" in built.recipe.configs else None
    for stage in _stages(built.recipe, stages):
        known = built_in(stage)
        if known is not None and known.name == "train":
            found = configs_of(built.recipe, stage).get("training", "training")
    return found


def _experiment(built: Built) -> str | None:
    from esp3c.graph.folders import folder

    name = next((each for each in ("training", *built.recipe.configs) if each in built.recipe.configs), None)
    return folder(built.recipe, name, "exp_dir") if name is not None else None


def _there(home: Path, place: str | None) -> str | None:
    """A folder of the recipe as an absolute path; None where it is not known before the run."""
    from esp3c.graph.folders import is_known

    return os.fspath(home / place) if place is not None and is_known(place) else None


def _history(home: Path, built: Built, stages: Sequence[str]) -> dict[str, str] | None:
    """Where a training writes its numbers, and by which of them it is judged."""
    from esp3c.graph.folders import folder

    config = _training(built, stages)
    place = _there(home, folder(built.recipe, config, "exp_dir")) if config is not None else None
    if config is None or place is None:
        return None
    metric, mode = _criterion(built, config)
    return {"file": os.path.join(place, "history.csv"), "metric": metric, "mode": mode}


def _criterion(built: Built, config: str) -> tuple[str, str]:
    from esp3c.check.machines import followed
    from esp3c.ir import ListNode, Scalar

    root = built.recipe.configs[config].root
    node = followed(root, root.get("best_model_criterion"))
    first = followed(root, node.items[0]) if isinstance(node, ListNode) and node.items else None
    parts = [followed(root, each) for each in first.items] if isinstance(first, ListNode) else []
    values = [each.value if isinstance(each, Scalar) else None for each in parts]
    if len(values) == 3 and isinstance(values[0], str) and values[2] in ("min", "max"):
        return values[0], str(values[2])
    return _CRITERION


def _metrics(home: Path, built: Built, stages: Sequence[str]) -> list[dict[str, str]]:
    """The files in which metrics leave their numbers, each with what tells it from the others."""
    from esp3c.graph.flow import built_in, files_of
    from esp3c.schema.stages import SCORES

    found: dict[str, str] = {}
    for stage in _stages(built.recipe, stages):
        known = built_in(stage)
        if known is not None and known.name == "measure":
            place = _there(home, files_of(built.recipe, stage, SCORES)[0])
            if place is not None:
                found[os.path.join(place, SCORES.names)] = stage.name
    return [{"file": file, "label": label if len(found) > 1 else ""} for file, label in found.items()]


def _write(path: Path, text: str) -> None:
    """Puts a file in its place, whole or not at all.

    Raises:
        Failure: the disk refused.
    """
    beside = path.parent / f".{path.name}.{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise Failure(f"cannot write to {path.parent}: {error.strerror or error}") from error
