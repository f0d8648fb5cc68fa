"""Checks of the disks: room, what the file systems are and can do, and the folder of what esp3c remembers."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from esp3c.cli.doctor_finding import FAIL, OK, WARN, Finding, Patient, asked, size
from esp3c.ir import Scalar, Text, strip
from esp3c.record import record

LITTLE, TOO_LITTLE = 5e9, 2e8
"""Bytes of free room that are few, and too few for anything."""

FEW_FILES = 10_000
LOCAL = frozenset({"tmpfs", "ramfs", "overlay", "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "squashfs"})
NETWORK = frozenset(
    {"nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "afs", "panfs", "wekafs", "9p", "glusterfs"}
)

_QUOTA_SECONDS = 3.0


@record
class Mount:
    """A file system: where it is mounted, and its kind."""

    place: str
    kind: str

    @property
    def remote(self) -> bool:
        return self.kind in NETWORK or self.kind.startswith("fuse.")


def mount_of(place: str, table: str = "/proc/mounts") -> Mount | None:
    """The file system of a place; None where the system does not say."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as handle:
            lines = [line.split() for line in handle]
    except OSError:
        return None
    real = os.path.realpath(place)
    found = None
    for fields in lines:
        if len(fields) < 3:
            continue
        mounted = fields[1].replace("\\040", " ")
        inside = mounted == "/" or real == mounted or real.startswith(mounted + "/")
        # Of several at one place the last is the one that is seen.
        if inside and (found is None or len(mounted) >= len(found.place)):
            found = Mount(mounted, fields[2])
    return found


def room(patient: Patient) -> Iterator[Finding]:
    """There is room where the recipe writes. Places of one file system are one finding."""
    by_device: dict[int, list[tuple[str, str]]] = {}
    for what, place in _places(patient):
        there = _nearest(place)
        try:
            by_device.setdefault(os.stat(there).st_dev, []).append((what, there))
        except OSError as error:
            yield Finding(
                "room", FAIL, f"{there}: {error.strerror or error}", "mount it again, or ask who looks after it"
            )
    for found in by_device.values():
        place = found[0][1]
        free = shutil.disk_usage(place)
        left = os.statvfs(place)
        names = ", ".join(dict.fromkeys(what for what, _ in found))
        mount = mount_of(place)
        said = (
            f"{size(free.free)} of {size(free.total)} free"
            + (f", {mount.kind}" if mount is not None else "")
            + f" ({names})"
        )
        todo = _make_room(place)
        files = left.f_files and left.f_favail < FEW_FILES
        if files:
            said = f"{left.f_favail} more files fit; " + said
        if free.free < TOO_LITTLE:
            yield Finding("room", FAIL, said, todo)
        else:
            yield Finding(
                "room", WARN if files or free.free < LITTLE else OK, said, todo if files or free.free < LITTLE else ""
            )
    if shutil.which("quota"):
        answer = asked(["quota", "-q"], _QUOTA_SECONDS)
        if answer.out:
            yield Finding("quota", WARN, answer.out.splitlines()[0], "quota -s says more; make room, or ask for more")


def _make_room(place: str) -> str:
    return f"make room on the file system of {place}, or set exp_dir and data_dir elsewhere in the `recipe` block"


def _places(patient: Patient) -> Iterator[tuple[str, str]]:
    from esp3c.cli.cache import Cache

    yield from _own_folders(patient)
    yield ".esp3c", os.path.join(patient.folder, ".esp3c")
    cache = Cache().folder
    if cache is not None:
        yield "cache", cache
    yield "temporary files", tempfile.gettempdir()


def _own_folders(patient: Patient) -> Iterator[tuple[str, str]]:
    """The folders that the recipe writes to, as far as they are plain text."""
    if patient.result is None:
        return
    for name, usual in (("exp_dir", "exp"), ("data_dir", "data")):
        node = patient.result.recipe.settings.get(name)
        value = strip(node) if node is not None else None
        place = usual
        if isinstance(value, Scalar) and isinstance(value.value, str):
            place = value.value
        elif isinstance(value, Text) and value.parts and isinstance(value.parts[0], str):
            place = os.path.dirname(value.parts[0]) or usual
        yield name, os.path.join(patient.folder, place)


def _nearest(place: str) -> str:
    """The place, or what is there of the way to it."""
    path = Path(place).absolute()
    return os.fspath(next(each for each in (path, *path.parents) if os.path.exists(each)))


def writing(patient: Patient) -> Iterator[Finding]:
    """What esp3c and its runs do with files works in the recipe's folder and where it writes. All of it is removed again."""
    tried: dict[str, list[str]] = {}
    for name, place in (("recipe", os.fspath(patient.folder)), *_own_folders(patient)):
        tried.setdefault(_nearest(place), []).append(name)
    for place, names in tried.items():
        mount = mount_of(place)
        kind = f" on {mount.kind}" + (", a network file system" if mount.remote else "") if mount is not None else ""
        try:
            with tempfile.TemporaryDirectory(prefix=".esp3c-doctor-", dir=place) as folder:
                broken = _tried(Path(folder))
            full = next((each for each in broken.values() if each.errno in _FULL), None)
            if full is not None:
                raise full
        except OSError as error:
            if error.errno in _FULL:
                yield from _no_room(place, error)
                continue
            todo = f"chmod u+w {place}, or a folder of your own"
            yield Finding("writing", FAIL, f"{place} ({', '.join(names)}): {error.strerror or error}", todo)
            continue
        for what, why in broken.items():
            # Shards are claimed by hard links, and by nothing else.
            result = WARN if what == "hard links" and not patient.on_slurm else FAIL
            yield Finding("writing", result, f"{what} in {place}{kind}: {why.strerror or why}", _TODO[what])
        if not broken:
            yield Finding("writing", OK, f"renames, hard links and locks work in {place}{kind}")


_TODO = {
    "renames": "put the recipe on another file system: files are put in their place by renaming them",
    "hard links": "put the recipe on another file system before stages are sent to SLURM: jobs claim their shards with hard links",
    "locks": "put the recipe on a file system with locks, or mount this one with them (`flock` for lustre)",
}


_FULL = {errno.ENOSPC, errno.EDQUOT}


def _no_room(place: str, error: OSError) -> Iterator[Finding]:
    """Nothing could be written for want of room, unless that has been said of this place already."""
    if shutil.disk_usage(place).free >= TOO_LITTLE:
        yield Finding("room", FAIL, f"{place}: {error.strerror or error}", _make_room(place))


def _tried(folder: Path) -> dict[str, OSError]:
    """What was tried and did not work, each with the reason."""

    def renames() -> None:
        for text in ("one", "two"):
            beside = folder / "file.new"
            with beside.open("w", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(beside, folder / "file")
        if (folder / "file").read_text(encoding="utf-8") != "two":
            raise OSError("a file that was replaced still has its old content")

    def hard_links() -> None:
        (folder / "mine").touch()
        os.link(folder / "mine", folder / "claim")
        try:
            os.link(folder / "mine", folder / "claim")
        except FileExistsError:
            return
        raise OSError("a second link of one name was made over the first")

    def locks() -> None:
        import fcntl

        with (folder / "lock").open("w") as one, (folder / "lock").open("w") as other:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            raise OSError("two had the same lock at once")

    acts = {"renames": renames, "hard links": hard_links, "locks": locks}
    return {what: error for what, act in acts.items() if (error := _error(act)) is not None}


def _error(act: Callable[[], None]) -> OSError | None:
    try:
        act()
    except OSError as error:
        return error
    return None


def cache(patient: Patient) -> Iterator[Finding]:
    """What esp3c remembers between two calls is kept."""
    from esp3c.cli.cache import Cache

    folder = Cache().folder
    if folder is None:
        yield Finding(
            "cache", WARN, "ESP3C_NO_CACHE turns it off: each check reads everything again", "unset ESP3C_NO_CACHE"
        )
        return
    if not os.path.lexists(folder):
        yield Finding("cache", OK, f"nothing is there yet: {folder}")
        return
    there = os.lstat(folder)
    if there.st_uid != os.geteuid() or there.st_mode & 0o022 or not os.path.isdir(folder) or os.path.islink(folder):
        todo = f"chmod go-w {folder}, or name a folder of your own in ESP3C_CACHE_DIR"
        yield Finding("cache", WARN, f"{folder} is not yours alone, and is not used", todo)
        return
    sizes = [
        found
        for here, _, names in os.walk(folder)
        for name in names
        if (found := _size(os.path.join(here, name))) is not None
    ]
    yield Finding("cache", OK, f"{len(sizes)} files, {size(sum(sizes))} in {folder}")


def _size(path: str) -> int | None:
    """The size of a file; None where another process has removed it meanwhile."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return None


CHECKS = (room, writing, cache)
