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

from esp3c import __version__
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


@record
class Change:
    """What a build would do to a file, and why.

    `what`: `new`, `changed`, `same`, `removed`, `kept` (no longer part of the recipe, but not to be removed), or `in the way`
    (not the build's own: nothing at all would be written).
    """

    path: str
    what: str
    why: str


def survey(folder: Path, files: Sequence[EmittedFile]) -> tuple[Change, ...]:
    """What a build would do to each file, without doing it.

    Raises:
        Failure: the disk refused to be read.
    """
    try:
        return tuple(_survey(folder, files))
    except OSError as error:
        raise Failure(f"cannot read {error.filename or folder}: {error.strerror or error}") from error


def _survey(folder: Path, files: Sequence[EmittedFile]) -> Iterator[Change]:
    owned = _owned(folder)
    version = _read(folder / MANIFEST).get("esp3c")
    why = "the recipe has changed" if version in (None, __version__) else f"written by esp3c {version}"
    for each in files:
        target = folder / each.path
        there = _hash(target)
        if there is None:
            if os.path.lexists(target):
                yield Change(each.path, "in the way", "not a plain file")
            else:
                yield Change(each.path, "new", "removed since the last build" if each.path in owned else "")
        elif there == _digest(each.text):
            yield Change(each.path, "same", "")
        elif each.path == MANIFEST or there in owned.get(each.path, ()):
            yield Change(each.path, "changed", why)
        else:
            edited = each.path in owned
            yield Change(each.path, "in the way", "edited since the last build" if edited else "not written by esp3c")
    names = {each.path for each in files}
    for path, hashes in owned.items():
        if path in names:
            continue
        if _mine(folder, path, hashes):
            yield Change(path, "removed", "no longer part of the recipe")
        elif (folder / path).exists():
            yield Change(path, "kept", "no longer part of the recipe, but edited since the last build")


def differences(folder: Path, files: Sequence[EmittedFile]) -> list[tuple[str, str]]:
    """The files that a build would write (`new`, `changed`) or remove (`stale`)."""
    words = {
        "new": "new",
        "changed": "changed",
        "removed": "stale",
        "in the way": "not esp3c's own, and in the way:",
    }
    found = [(each.path, words[each.what]) for each in survey(folder, files) if each.what in words]
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
    changes = tuple(_survey(folder, files))
    foreign = [f"{each.path} ({each.why})" for each in changes if each.what == "in the way"]
    if foreign:
        listed = "".join(f"\n  {each}" for each in foreign)
        raise Failure(
            f"these files in {folder} are not esp3c's to overwrite, so nothing was written:{listed}\n"
            "put what was changed into the recipe and move them away, or build into another folder with -o DIR"
        )
    new, changed, stale, kept = (
        tuple(each.path for each in changes if each.what == what) for what in ("new", "changed", "removed", "kept")
    )
    if new or changed or stale:
        _commit(folder, [each for each in files if each.path in {*new, *changed}], stale, _owned(folder))
    else:
        # A build that was killed behind its last rename left these.
        _forget(folder)
    return Written(new, changed, stale, kept)


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
        if text.startswith("#!"):
            # Who may read it may run it.
            mode = os.fstat(handle.fileno()).st_mode
            os.fchmod(handle.fileno(), mode | (mode & 0o444) >> 2)
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
