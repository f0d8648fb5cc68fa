"""Folders that appear whole or not at all, and that say what is in them.

A sealed folder has a `meta.yaml` with the size and SHA-256 of every other file. It is built beside its place and renamed
into it. The hashes show that nothing was lost or changed on the way; they do not show who made it.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from esp3rt.files import is_alive, sha256_of, sync_folder, write_text
from espnet3.publication.foreign import LARGEST_META, BundleError, read_yaml, stays_inside, yaml_text
from espnet3.utils.errors import ConfigError, listed

__all__ = [
    "FORMAT", "META", "BundleError", "building", "checked_meta", "inside", "out_dir_of", "put_in_place", "read_meta",
    "seal", "verify",
]  # fmt: skip

META = "meta.yaml"
FORMAT = 1
# What a hub, a version control or Python itself puts beside the files of a folder.
_OTHERS = (".git", ".gitattributes", ".gitignore", ".cache", "__pycache__")
# What somebody may put beside a bundle in its repository, in the top folder; nothing reads it.
_NOTICES = re.compile(
    r"(LICEN[SC]E|COPYING|NOTICE|CITATION|CHANGELOG|CODE_OF_CONDUCT|SECURITY)[\w-]*(\.(md|txt|rst|cff|bib))?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 5


def out_dir_of(config: Mapping[str, Any], stage: str) -> Path:
    """Where the folder is that a stage writes: `out_dir` of its section of a config.

    Args:
        config: The publication or the demo config.
        stage: "pack_model" or "pack_demo".

    Raises:
        ConfigError: The config does not say.
    """
    section = config.get(stage)
    out_dir = section.get("out_dir") if section is not None else None
    if not out_dir:
        raise ConfigError(f"{stage}.out_dir is not set: what the stage writes has no place to go", key=stage)
    path = Path(str(out_dir)).absolute()
    return path.parent.resolve() / path.name


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
        if pid == str(os.getpid()) or (pid.isdigit() and not is_alive(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    folder = out_dir.parent / f".{out_dir.name}.{os.getpid()}.partial"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write `meta.yaml` with what `meta` says and the size and hash of every file."""
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in _names(folder)
    }
    write_text(folder / META, yaml_text({**meta, "sha256": files}))


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
    why_not = _why_not_replaceable(out_dir)
    if why_not:
        raise ConfigError(
            f"{key}.out_dir: {out_dir} {why_not}, so it is not replaced; name another folder, or move this one away",
            key=f"{key}.out_dir",
        )
    if (out_dir / META).is_file():
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
    try:
        return checked_meta(read_yaml(folder / META, LARGEST_META), str(folder / META))
    except FileNotFoundError:
        raise BundleError(f"{folder} holds no {META}, so it is no bundle; the stage pack_model makes one") from None


def checked_meta(meta: Any, where: str) -> dict[str, Any]:
    """`meta`, if it is the content of the `meta.yaml` of a sealed folder.

    Raises:
        BundleError: It is not; the message says what is wrong with it.
    """
    if not isinstance(meta, dict) or not isinstance(meta.get("sha256"), dict):
        raise BundleError(f"{where} lists no files with their hashes, so the bundle cannot be verified")
    if meta.get("format") != FORMAT:
        raise BundleError(f"{where} has the format {meta.get('format')!r}; this version reads {FORMAT}")
    for name, entry in meta["sha256"].items():
        inside(name)
        size, digest = (entry.get("size"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        if type(size) is not int or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise BundleError(f"{where} has no size and SHA-256 of {name}, so the bundle cannot be verified")
    return meta


def verify(folder: Path, meta: Mapping[str, Any]) -> None:
    """See that every file is as `meta` says, and that nothing stands there that it does not name.

    What a hub or a version control puts there is passed over, and so is a licence in the top folder.

    Raises:
        BundleError: A file is missing, changed, outside of the folder, or was added.
    """
    files = meta["sha256"]
    for name, entry in files.items():
        path = folder / inside(name)
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing; fetch or pack the bundle again")
        if not stays_inside(folder, path):
            raise BundleError(f"{folder}: {name} is a link that leads out of the bundle; fetch or pack it again")
        if path.stat().st_size != entry["size"] or sha256_of(path) != entry["sha256"]:
            raise BundleError(f"{folder}: {name} is not as it was packed; fetch or pack the bundle again")
    added = [
        name
        for name in _names(folder)
        if name not in files
        and not (_NOTICES.fullmatch(name) and (folder / name).is_file() and stays_inside(folder, folder / name))
    ]
    if added:
        raise BundleError(f"{folder}: {listed(added[:_SHOWN])} was added after packing; remove it, or pack again")


def inside(name: Any) -> str:
    """`name`, if it is the path of a file inside a folder.

    Raises:
        BundleError: It leads out of the folder, or is no path.
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or name != "/".join(parts) or ".." in parts or "\\" in name or "\0" in name:
        raise BundleError(f"the bundle names {name!r}, which is not inside it")
    return str(name)


def _names(folder: Path, others: tuple[str, ...] = _OTHERS) -> list[str]:
    """All files and links but `meta.yaml`, as paths in the folder.

    Args:
        folder: The folder.
        others: Names that are passed over.
    """
    found = []
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in others and name not in links]
        for name in [*links, *files]:
            path = (Path(root) / name).relative_to(folder).as_posix()
            if name not in others and path != META:
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


def _why_not_replaceable(folder: Path) -> str | None:
    """What speaks against removing what stands in the place of a sealed folder, in words."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return "is there and is no folder"
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        files = read_meta(folder)["sha256"]
    except BundleError:
        return "is there and was not made by this stage"
    # Byte code is made again; a version control's history or somebody's notes are not.
    strange = [name for name in _names(folder, ("__pycache__",)) if name not in files]
    return f"holds {listed(strange[:_SHOWN])}, which was not packed" if strange else None


def _previous(out_dir: Path) -> Path:
    return out_dir.parent / f".{out_dir.name}.previous"
