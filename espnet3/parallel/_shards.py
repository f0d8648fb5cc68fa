"""The files of a runner's output folder: the plan, the shards, and how a shard is known to be done.

```
output_dir/shard_subdir/
    manifest.json     the plan: what the work depends on, how many items, which shards
    split.0/          a shard's files
        done          written last: how many items, and the hash of each file that the shard wrote
    .leases/          who works on what at this moment
```

Where a shard is taken over from a process that may wake up (on another machine that fell silent, say), the new owner
works in a folder of its own, `split.0.2`: the other then writes where nobody reads.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
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
_TURN = "turn"
_SHARD = re.compile(r"split\.(\d+)(?:\.(\d+))?")
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_OF_PATIENCE = 3.0


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


def cut(n_items: int, n_shards: int, batch_size: int | None) -> tuple[int, ...]:
    """The number of items of each shard: whole batches, so that it makes no difference where a shard ends."""
    size = batch_size or 1
    n_batches = -(-n_items // size)
    n_shards = max(1, min(n_shards, n_batches))
    ends = [min(n_items, n_batches * number // n_shards * size) for number in range(n_shards + 1)]
    return tuple(end - start for start, end in pairwise(ends))


def shard_dir(base: Path, shard_id: int, turn: int = 0) -> Path:
    """The folder of one shard, or that of a later owner, whose turn it is."""
    return ShardDir(base / (f"split.{shard_id}.{turn}" if turn else f"split.{shard_id}"))


def current_dir(base: Path, shard_id: int) -> Path:
    """The folder of one shard that counts: that of its latest owner."""
    turn = read_json(lease_of(base, shard_id) / _TURN)
    return shard_dir(base, shard_id, turn if isinstance(turn, int) else 0)


def begin_turn(base: Path, shard_id: int, turn: int) -> Path:
    """Give a shard a new folder, which counts from now on."""
    write_json(lease_of(base, shard_id) / _TURN, turn)
    return shard_dir(base, shard_id, turn)


def _shard_names(base: Path) -> list[re.Match[str]]:
    found = (_SHARD.fullmatch(name) for name in os.listdir(base)) if base.is_dir() else iter(())
    return [name for name in found if name is not None and (base / name[0]).is_dir()]


def lease_of(base: Path, name: str | int) -> Path:
    """The lease of a shard, or of another thing, under the folder `base`."""
    return base / _LEASES / str(name)


def wait_for(base: Path, name: str, label: str) -> Lease:
    """Take a lease that others have for a moment, and say so where it takes them longer."""
    from esp3rt.progress import console_line

    patience = _SECONDS_OF_PATIENCE
    while isinstance(lease := take(lease_of(base, name)), Owner):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        patience -= _SECONDS_BETWEEN_LOOKS
        if -_SECONDS_BETWEEN_LOOKS < patience <= 0:
            console_line(f"{label}: waits for {lease}, which is busy in {base} ({name})")
    return lease


def read_plan(base: Path) -> Plan | None:
    """The plan of the folder `base`, or None where there is none that can be read."""
    found = read_json(base / MANIFEST)
    if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
        return None
    with suppress(TypeError, KeyError):
        return Plan(**{**found, "shards": tuple(found["shards"])})
    return None


def enter_plan(base: Path, plan: Plan, resume: bool, label: str = "") -> tuple[Plan, Plan | None, Lease]:
    """Make `plan` the plan of the folder `base`, unless the one that is there is for the same work.

    Without `resume`, or where another plan (or none that can be read) stands there, all shards are cleared
    away first.

    Returns:
        The plan to go by, with the shards that were cut first, however many are wanted now; a plan for other work
        whose results were cleared away, or None; and a lease that says that a run by this plan is on. Whoever calls
        gives it back when the results are merged.

    Raises:
        RunnerError: A process that lives is working there on something else, or on the same while all is to be done
            again.
    """
    base.mkdir(parents=True, exist_ok=True)
    with wait_for(base, "plan", label):
        remove_partials(base)
        before = read_plan(base)
        same = before is not None and before.mark == plan.mark
        if not (resume and same):
            _refuse_company(base, before, same)
        run = take(lease_of(base, f"run-{secrets.token_hex(8)}"))
        assert isinstance(run, Lease)
        try:
            if resume and same:
                assert before is not None
                return before, None, run
            cleared = before is not None and any((base / name[0] / DONE).exists() for name in _shard_names(base))
            # The plan goes first: killed in between, the shards that are left belong to no plan and are cleared
            # next time.
            (base / MANIFEST).unlink(missing_ok=True)
            for name in _shard_names(base):
                clear_shard(base / name[0])
                (base / name[0]).rmdir()
            for file in (base / _LEASES).glob(f"*/{_TURN}"):
                file.unlink()
            write_json(base / MANIFEST, plan.as_json())
        except BaseException:
            leave_plan(run)
            raise
        return plan, before if cleared else None, run


def leave_plan(run: Lease) -> None:
    """Say that the run of `enter_plan` is over."""
    run.release()
    shutil.rmtree(run.file.parent, ignore_errors=True)


def _refuse_company(base: Path, before: Plan | None, same: bool) -> None:
    folder = base / _LEASES
    for name in os.listdir(folder) if folder.is_dir() else ():
        if name == "plan":
            continue
        owner = holder(folder / name)
        if owner is not None:
            why = "which this run would throw away (resume is off)" if same else "with other inputs than this run's"
            raise RunnerError(f"{owner} is working in {base}, {why}; wait until it is done, or end it")
        if name.startswith("run-"):
            shutil.rmtree(folder / name, ignore_errors=True)


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


def write_done(
    folder: Path,
    count: int,
    mark: str,
    outputs: Iterable[str | Path] = (),
    left_out: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Say that the shard in `folder` is done: every file in it, and every other of its `outputs`, with size and hash.

    What of its `count` items was left out is said as well.
    """
    own = (path for path in folder.rglob("*") if path.is_file() and path != folder / DONE)
    names = {os.path.relpath(path, folder) for path in (*own, *outputs)}
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in sorted(names)
    }
    more = {"left_out": [dict(each) for each in left_out]} if left_out else {}
    write_json(folder / DONE, {"version": _VERSION, "count": count, "fingerprint": mark, "files": files, **more})


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


def is_untouched(folder: Path) -> bool:
    """Whether no file of a shard that was just seen to be done has been written to since its `done` file was.

    It costs a look at each file, where `read_done` reads them all.
    """
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or not isinstance(done.get("files"), dict):
        return (folder / DONE).exists()
    written = (folder / DONE).stat().st_mtime_ns
    for name, state in done["files"].items():
        try:
            found = (folder / name).stat()
        except FileNotFoundError:
            return False
        if found.st_size != state["bytes"] or found.st_mtime_ns > written:
            return False
    return True


def is_for(folder: Path, mark: str, count: int) -> bool:
    """Whether the shard's `done` file is about the work that `mark` tells, and about so many items."""
    done = read_json(folder / DONE)
    # A class with an `is_shard_done` of its own may write a `done` of its own.
    return not isinstance(done, dict) or (done.get("fingerprint"), done.get("count")) == (mark, count)


def left_out_of(folder: Path) -> list[dict[str, Any]]:
    """The items that the shard in `folder` was done without."""
    done = read_json(folder / DONE)
    found = done.get("left_out", []) if isinstance(done, dict) else []
    return found if isinstance(found, list) else []


def read_json(path: Path) -> Any:
    """What the JSON file `path` holds; None where it does not exist or holds no JSON."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


def _order(path: Path) -> list[tuple[str, int, int]]:
    return [
        (part, -1, 0) if (found := _SHARD.fullmatch(part)) is None else ("split", int(found[1]), int(found[2] or 0))
        for part in path.parts
    ]
