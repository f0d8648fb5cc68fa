"""Writes the files of a build: all of them or none, and never over a file that is not the build's own.

A file is the build's own if it has the hash that the last manifest says. New texts are first written and synced under
`.esp3c/`, then a journal says what is about to be renamed, then everything is renamed into place, the manifest last. A
process that is killed between two renames leaves the journal, by which the next build knows the files as its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esp3c.cli.common import Failure
from esp3c.emit.files import MANIFEST, EmittedFile
from esp3c.record import record

_JOURNAL = ".esp3c/journal.json"
_LOCK = ".esp3c/lock"


@record
class Written:
    """What a build did, by path."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]

    def summary(self, total: int) -> str:
        changed = len([each for each in (*self.new, *self.changed) if each != MANIFEST])
        if not changed and not self.removed:
            return f"{total} files up to date"
        return f"{changed} of {total} files written"


def differences(folder: Path, files: Sequence[EmittedFile]) -> list[tuple[str, str]]:
    """The files that a build would write (`new`, `changed`) or remove (`stale`)."""
    owned = _owned(folder)
    found: list[tuple[str, str]] = []
    for each in files:
        there = _hash(folder / each.path)
        if there is None:
            found.append((each.path, "new"))
        elif there != _digest(each.text):
            mine = each.path == MANIFEST or there in owned.get(each.path, ())
            found.append((each.path, "changed" if mine else "not esp3c's own, and in the way:"))
    names = {each.path for each in files}
    found.extend((path, "stale") for path, hashes in owned.items() if path not in names and _mine(folder, path, hashes))
    return [each for each in found if each[0] != MANIFEST or len(found) > 1]


def write_files(folder: Path, files: Sequence[EmittedFile]) -> Written:
    """Puts the files of a build into `folder`.

    Raises:
        Failure: a file is in the way that the build does not own, or the disk refused; nothing has changed then.
    """
    try:
        with _lock(folder):
            return _write(folder, files)
    except OSError as error:
        raise Failure(f"cannot write to {folder}: {error.strerror or error}") from error


def _write(folder: Path, files: Sequence[EmittedFile]) -> Written:
    owned = _owned(folder)
    new: list[EmittedFile] = []
    changed: list[EmittedFile] = []
    foreign: list[str] = []
    for each in files:
        target = folder / each.path
        there = _hash(target)
        if there is None:
            if os.path.lexists(target):
                foreign.append(f"{each.path} (not a plain file)")
            else:
                new.append(each)
        elif there != _digest(each.text):
            if each.path != MANIFEST and there not in owned.get(each.path, ()):
                why = "edited since the last build" if each.path in owned else "not written by esp3c"
                foreign.append(f"{each.path} ({why})")
            changed.append(each)
    if foreign:
        listed = "".join(f"\n  {each}" for each in foreign)
        raise Failure(
            f"these files in {folder} are not esp3c's to overwrite, so nothing was written:{listed}\n"
            "put what was changed into the recipe and move them away, or build into another folder with -o DIR"
        )
    names = {each.path for each in files}
    gone = [path for path in owned if path not in names]
    stale = [path for path in gone if _mine(folder, path, owned[path])]
    kept = [path for path in gone if path not in stale and (folder / path).exists()]
    if new or changed or stale:
        _commit(folder, [*new, *changed], stale, owned)
    else:
        # A build that was killed behind its last rename left these.
        _forget(folder)
    return Written(tuple(each.path for each in new), tuple(each.path for each in changed), tuple(stale), tuple(kept))


def _commit(
    folder: Path, files: Sequence[EmittedFile], stale: Sequence[str], owned: dict[str, tuple[str, ...]]
) -> None:
    stage = folder / ".esp3c" / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    for each in files:
        _write_synced(stage / "new" / each.path, each.text)
    # Until the manifest is in place, both the old and the new hash of a file mean that it is the build's own.
    journal = {path: list(hashes) for path, hashes in owned.items()}
    for each in files:
        journal[each.path] = [*journal.get(each.path, []), _digest(each.text)]
    _write_synced(stage / "journal.json", json.dumps(journal))
    os.replace(stage / "journal.json", folder / _JOURNAL)
    _sync_folder(folder / ".esp3c")

    ordered = sorted(files, key=lambda each: each.path == MANIFEST)
    undo: list[tuple[Path, Path | None]] = []
    try:
        for each in ordered:
            target = folder / each.path
            target.parent.mkdir(parents=True, exist_ok=True)
            undo.append((target, _put_aside(stage, each.path, target)))
            os.replace(stage / "new" / each.path, target)
        for path in stale:
            undo.append((folder / path, _put_aside(stage, path, folder / path)))
            os.unlink(folder / path)
    except BaseException:
        for target, old in reversed(undo):
            if old is None:
                target.unlink(missing_ok=True)
            else:
                os.replace(old, target)
        _forget(folder)
        raise
    for parent in {(folder / each.path).parent for each in files}:
        _sync_folder(parent)
    _forget(folder)
    for path in stale:
        _remove_empty(folder, (folder / path).parent)


def _forget(folder: Path) -> None:
    (folder / _JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(folder / ".esp3c" / "stage", ignore_errors=True)


def _put_aside(stage: Path, path: str, target: Path) -> Path | None:
    """A second copy of the file that is about to be replaced, or None where there is none."""
    if not target.exists():
        return None
    old = stage / "old" / path
    old.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target, old)
    return old


def _remove_empty(folder: Path, parent: Path) -> None:
    while parent != folder and parent.is_dir():
        cache = parent / "__pycache__"
        if [each for each in parent.iterdir() if each != cache]:
            return
        shutil.rmtree(parent, ignore_errors=True)
        parent = parent.parent


def _write_synced(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One build of a folder at a time; the second waits for the first."""
    (folder / ".esp3c").mkdir(parents=True, exist_ok=True)
    with open(folder / _LOCK, "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _owned(folder: Path) -> dict[str, tuple[str, ...]]:
    """The hashes by which each file is known as the build's own."""
    owned: dict[str, tuple[str, ...]] = {}
    listed = _read(folder / MANIFEST).get("files")
    for path, entry in (listed if isinstance(listed, dict) else {}).items():
        if isinstance(entry, dict) and isinstance(entry.get("sha256"), str):
            owned[path] = (entry["sha256"],)
    for path, hashes in _read(folder / _JOURNAL).items():
        if path != MANIFEST and isinstance(hashes, list):
            owned[path] = (*owned.get(path, ()), *(each for each in hashes if isinstance(each, str)))
    # A manifest that somebody wrote by hand must not lead anywhere else.
    return {path: hashes for path, hashes in owned.items() if _inside(path)}


def _inside(path: str) -> bool:
    parts = Path(path).parts
    return bool(parts) and not os.path.isabs(path) and ".." not in parts


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _mine(folder: Path, path: str, hashes: Sequence[str]) -> bool:
    return _hash(folder / path) in hashes


def _hash(path: Path) -> str | None:
    """The hash of a plain file, or None where there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
