"""The files of a runner's output folder: the plan, the shards, and how a shard is known to be done.

```
output_dir/shard_subdir/
    manifest.json     the plan: what the work depends on, how many items, which shards
    split.0/          a shard's files
        done          written last: how many items, and the hash of each file that the shard wrote
    .leases/          who works on what at this moment
```
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path, PosixPath
from typing import Any

from esp3rt.files import remove_partials, sha256_of, write_json
from esp3rt.lease import Lease, Owner, holder, take
from espnet3.utils.errors import RunnerError

MANIFEST = "manifest.json"
DONE = "done"
_VERSION = 2
_LEASES = ".leases"
_SHARD = re.compile(r"split\.(\d+)")
_SECONDS_BETWEEN_LOOKS = 0.2


class ShardDir(PosixPath):
    """The folder of a shard, which sorts by the shard's number: `split.9` comes before `split.10`."""

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return _order(self) < _order(other)

    def __gt__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return _order(self) > _order(other)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which work is done under a folder, and how it is cut into shards.

    Attributes:
        runner: The class path of the runner.
        inputs: What the result depends on: a hash of each thing, by its name.
        n_items: How many items there are.
        shards: The number of items of each shard, in order.
    """

    runner: str
    inputs: Mapping[str, str]
    n_items: int
    shards: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """The plan as `manifest.json` holds it."""
        return {"version": _VERSION, **asdict(self), "shards": list(self.shards)}

    @property
    def mark(self) -> str:
        """One hash for all that the result depends on."""
        text = json.dumps([self.runner, self.n_items, dict(self.inputs)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def starts(self) -> list[int]:
        """The number of the first item of each shard."""
        return [sum(self.shards[:number]) for number in range(len(self.shards))]


def cut(n_items: int, n_shards: int, batch_size: int | None) -> tuple[int, ...]:
    """The number of items of each shard: whole batches, so that it makes no difference where a shard ends."""
    size = batch_size or 1
    n_batches = -(-n_items // size)
    n_shards = max(1, min(n_shards, n_batches))
    ends = [min(n_items, n_batches * number // n_shards * size) for number in range(n_shards + 1)]
    return tuple(end - start for start, end in pairwise(ends))


def shard_dir(base: Path, shard_id: int) -> Path:
    """The folder of one shard."""
    return ShardDir(base / f"split.{shard_id}")


def lease_of(base: Path, name: str | int) -> Path:
    """The lease of a shard, or of another thing, under the folder `base`."""
    return base / _LEASES / str(name)


def wait_for(base: Path, name: str) -> Lease:
    """Take a lease that others have for a moment only."""
    while isinstance(lease := take(lease_of(base, name)), Owner):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return lease


def read_plan(base: Path) -> Plan | None:
    """The plan of the folder `base`, or None where there is none that can be read."""
    found = read_json(base / MANIFEST)
    if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
        return None
    with suppress(TypeError, KeyError):
        return Plan(**{**found, "shards": tuple(found["shards"])})
    return None


def enter_plan(base: Path, plan: Plan, resume: bool) -> tuple[Plan, Plan | None]:
    """Make `plan` the plan of the folder `base`, unless the one that is there is for the same work.

    Without `resume`, or where another plan (or none that can be read) stands there, all shards are cleared
    away first.

    Returns:
        The plan to go by, with the shards that were cut first, however many are wanted now; and a plan for other work
        whose results were cleared away, or None.

    Raises:
        RunnerError: A process that lives is working there on something else.
    """
    base.mkdir(parents=True, exist_ok=True)
    with wait_for(base, "plan"):
        remove_partials(base)
        before = read_plan(base)
        if resume and before is not None and before.mark == plan.mark:
            return before, None
        for name in range(len(before.shards) if before is not None else 0):
            owner = holder(lease_of(base, name))
            if owner is not None:
                raise RunnerError(
                    f"{owner} is working in {base}, with other inputs than this run's; wait until it is done, or end it"
                )
        cleared = before is not None and any((folder / DONE).exists() for folder in base.glob("split.*"))
        # The plan goes first: killed in between, the shards that are left belong to no plan and are cleared
        # next time.
        (base / MANIFEST).unlink(missing_ok=True)
        for folder in base.glob("split.*"):
            clear_shard(folder)
            folder.rmdir()
        write_json(base / MANIFEST, plan.as_json())
        return plan, before if cleared else None


def clear_shard(folder: Path) -> None:
    """Empty the folder of a shard; its `done` file goes first."""
    if not folder.is_dir():
        return
    (folder / DONE).unlink(missing_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_done(folder: Path, count: int, mark: str, outputs: Iterable[str | Path] = ()) -> None:
    """Say that the shard in `folder` is done: every file in it, and every other of its `outputs`, with size and hash."""
    own = (path for path in folder.rglob("*") if path.is_file() and path != folder / DONE)
    names = {os.path.relpath(path, folder) for path in (*own, *outputs)}
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in sorted(names)
    }
    write_json(folder / DONE, {"version": _VERSION, "count": count, "fingerprint": mark, "files": files})


def read_done(folder: Path) -> dict[str, Any] | None:
    """What the shard's `done` file says, if every file that it names is there unchanged; else None."""
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or done.get("version") != _VERSION:
        return None
    files = done.get("files")
    if not isinstance(files, dict):
        return None
    for name, state in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != state["bytes"]:
            return None
        if sha256_of(path) != state["sha256"]:
            return None
    return done


def is_for(folder: Path, mark: str) -> bool:
    """Whether the shard's `done` file is about the work that `mark` tells."""
    done = read_json(folder / DONE)
    # A class with an `is_shard_done` of its own may write a `done` of its own.
    return not isinstance(done, dict) or done.get("fingerprint") == mark


def read_json(path: Path) -> Any:
    """What the JSON file `path` holds; None where it does not exist or holds no JSON."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


def _order(path: Path) -> list[tuple[str, int]]:
    return [
        (part, -1) if (found := _SHARD.fullmatch(part)) is None else ("split", int(found[1])) for part in path.parts
    ]
