"""The files of a runner's output folder: the plan, the shards, and how a shard is known to be done.

```
output_dir/shard_subdir/
    manifest.json     the plan: which work, how many items, which shards
    split.0/          a shard's files
        done          written last: how many items, and the hash of each file beside it
```
"""

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from esp3rt.files import remove_partials, sha256_of, write_json

MANIFEST = "manifest.json"
DONE = "done"
_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which work is done under a folder, and how it is cut into shards.

    Attributes:
        runner: The class path of the runner.
        fingerprint: What the result depends on.
        n_items: How many items there are.
        shards: The number of items of each shard, in order.
    """

    runner: str
    fingerprint: str
    n_items: int
    shards: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """The plan as `manifest.json` holds it."""
        return {"version": _VERSION, **asdict(self), "shards": list(self.shards)}


def shard_dir(base: Path, shard_id: int) -> Path:
    """The folder of one shard."""
    return base / f"split.{shard_id}"


def enter_plan(base: Path, plan: Plan, resume: bool) -> None:
    """Make `plan` the plan of the folder `base`.

    Without `resume`, or where another plan (or none that can be read) stands there, all shards are cleared
    away first.
    """
    base.mkdir(parents=True, exist_ok=True)
    remove_partials(base)
    if not resume or read_json(base / MANIFEST) != plan.as_json():
        # The plan goes first: killed in between, the shards that are left belong to no plan and are cleared
        # next time.
        (base / MANIFEST).unlink(missing_ok=True)
        for folder in base.glob("split.*"):
            clear_shard(folder)
            folder.rmdir()
        write_json(base / MANIFEST, plan.as_json())


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


def write_done(folder: Path, count: int, fingerprint: str) -> None:
    """Say that the shard in `folder` is done: every file in it is named with its size and hash."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / DONE
    }
    write_json(folder / DONE, {"version": _VERSION, "count": count, "fingerprint": fingerprint, "files": files})


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


def read_json(path: Path) -> Any:
    """What the JSON file `path` holds; None where it does not exist or holds no JSON."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None
