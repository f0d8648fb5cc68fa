"""Folders that appear whole or not at all, and that say what is in them.

A sealed folder has a `meta.yaml` with the size and SHA-256 of every other file. It is built beside its place and renamed
into it. The hashes show that nothing was lost or changed on the way; they do not show who made it.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from esp3rt.files import sha256_of, sync_folder, write_text
from espnet3.utils.errors import ConfigError, listed

META = "meta.yaml"
# What a hub, a version control or Python itself puts beside the files of a folder.
_OTHERS = (".git", ".gitattributes", ".gitignore", ".cache", "__pycache__")
_SHOWN = 5


class BundleError(ConfigError):
    """A bundle is damaged, was changed, or is none."""


@contextmanager
def building(out_dir: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out_dir`; what is left of it at the end is removed."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    previous = _previous(out_dir)
    # A process that ended between two renames left the folder under its other name.
    if previous.is_dir() and not out_dir.exists():
        previous.rename(out_dir)
    for left in out_dir.parent.glob(f".{glob.escape(out_dir.name)}.*.partial"):
        pid = left.name.split(".")[-2]
        if pid == str(os.getpid()) or (pid.isdigit() and not _is_alive(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    folder = out_dir.parent / f".{out_dir.name}.{os.getpid()}.partial"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write `meta.yaml` with what `meta` says and the size and hash of every file."""
    import yaml

    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in _names(folder)
    }
    text = yaml.safe_dump({**meta, "sha256": files}, sort_keys=False, allow_unicode=True)
    write_text(folder / META, text)


def put_in_place(folder: Path, out_dir: Path, *, allow_overwrite: bool, key: str) -> bool:
    """Rename a sealed folder to `out_dir`.

    Args:
        folder: The sealed folder, beside `out_dir`.
        out_dir: Its place.
        allow_overwrite: Whether a sealed folder that stands there and differs may be replaced.
        key: The key of the config that says so, for messages.

    Returns:
        Whether anything changed: False where the same files stand there already.

    Raises:
        ConfigError: Something else stands there, or a sealed folder that differs and may not be replaced.
    """
    if out_dir.is_symlink() or (out_dir.exists() and not _is_replaceable(out_dir)):
        raise ConfigError(
            f"{key}.out_dir: {out_dir} is there and was not made by this stage, so it is not replaced; "
            "name another folder, or move this one away"
        )
    if out_dir.is_dir() and (out_dir / META).is_file():
        differing = _differing(folder, out_dir)
        if not differing:
            return False
        if not allow_overwrite:
            shown = listed(differing[:_SHOWN]) + (f" and {len(differing) - _SHOWN} more" if differing[_SHOWN:] else "")
            raise ConfigError(
                f"{key}.out_dir: {out_dir} is there already and differs in {shown}; set {key}.allow_overwrite to true "
                "to replace it, or name another folder"
            )
    previous = _previous(out_dir)
    shutil.rmtree(previous, ignore_errors=True)
    if out_dir.exists():
        out_dir.rename(previous)
    folder.rename(out_dir)
    sync_folder(out_dir.parent)
    shutil.rmtree(previous, ignore_errors=True)
    return True


def read_meta(folder: Path) -> dict[str, Any]:
    """What the `meta.yaml` of a sealed folder says.

    Raises:
        BundleError: There is none, or it cannot be read.
    """
    import yaml

    path = folder / META
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BundleError(f"{folder} holds no {META}, so it is no bundle; the stage pack_model makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    try:
        meta = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BundleError(f"{path} is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("sha256"), dict):
        raise BundleError(f"{path} lists no files with their hashes, so the bundle cannot be verified")
    return meta


def verify(folder: Path, meta: Mapping[str, Any]) -> None:
    """See that every file is as `meta` says, and that no Python stands there that it does not name.

    Raises:
        BundleError: A file is missing, changed, outside of the folder, or was added.
    """
    files = meta["sha256"]
    for name, entry in files.items():
        path = folder / inside(str(name))
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing; fetch or pack the bundle again")
        if (
            not isinstance(entry, dict)
            or path.stat().st_size != entry.get("size")
            or sha256_of(path) != entry["sha256"]
        ):
            raise BundleError(f"{folder}: {name} is not as it was packed; fetch or pack the bundle again")
    added = [name for name in _names(folder) if name not in files]
    if added:
        raise BundleError(f"{folder}: {listed(added[:_SHOWN])} was added after packing; remove it, or pack again")


def inside(name: str) -> str:
    """`name`, if it is the path of a file inside a folder.

    Raises:
        BundleError: It leads out of the folder.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise BundleError(f"the bundle names {name!r}, which is not inside it")
    return name


def _names(folder: Path) -> list[str]:
    """All files but `meta.yaml`, as paths in the folder."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _OTHERS]
        for name in files:
            path = (Path(root) / name).relative_to(folder).as_posix()
            if name not in _OTHERS and path != META:
                found.append(path)
    return sorted(found)


def _differing(new: Path, old: Path) -> list[str]:
    """The files in which two sealed folders differ, by what is on the disk."""
    try:
        before = read_meta(old)
    except BundleError:
        return [META]
    after = read_meta(new)
    found = {
        name
        for name in {*before["sha256"], *after["sha256"]}
        if before["sha256"].get(name) != after["sha256"].get(name)
    }
    found |= set(_names(old)) ^ set(before["sha256"])
    for name, entry in before["sha256"].items():
        if (old / name).is_file() and sha256_of(old / name) != entry.get("sha256"):
            found.add(name)
    if not found and before != after:
        found.add(META)
    return sorted(found)


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / META).is_file() or not any(folder.iterdir()))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _previous(out_dir: Path) -> Path:
    return out_dir.parent / f".{out_dir.name}.previous"
