"""Which files a bundle holds, and under which names.

Files of the recipe keep their place in it; files from elsewhere stand under `files/`. Links are packed as what they lead
to. Nothing is copied before all is known: what is missing or must not leave the machine is said first.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from esp3rt.progress import Progress, console_line
from espnet3.publication.sealed_folder import META
from espnet3.publication.secrets import secret_file, secret_in_file
from espnet3.utils.errors import ConfigError, did_you_mean

OUTSIDE = "files"
# What a bundle writes itself.
_TAKEN = frozenset({META, "README.md", "metrics.json"})
_LEFTOVERS = ("__pycache__", "*.pyc", ".git", ".DS_Store", "*.partial", ".ipynb_checkpoints")
_CHUNK = 8 * 1024 * 1024


class Contents:
    """The files of a bundle that is to be made.

    Args:
        root: The recipe's folder.
        out_dir: The bundle's folder, which is no part of what it packs.
        exclude: Patterns of files and folders that are left out, as they stand in the recipe's folder.
        not_secret: Patterns of files that look as if they held a secret and, as somebody has seen, do not.
    """

    def __init__(self, root: Path, out_dir: Path, exclude: Iterable[str] = (), not_secret: Iterable[str] = ()) -> None:
        self.root = root
        self.out_dir = out_dir
        self._exclude = [self.shown(Path(pattern)) for pattern in exclude]
        self._not_secret = [self.shown(Path(pattern)) for pattern in not_secret]
        self._files: dict[str, Path] = {}
        self._reasons: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The names in the bundle, sorted."""
        return sorted(self._files)

    def source(self, name: str) -> Path:
        """The file that stands under `name` in the bundle."""
        return self._files[name]

    def add(self, path: Path, key: str, *, needed: bool = True) -> str:
        """Take a file, or a folder with all that is in it.

        Args:
            path: The file or folder, from the recipe's folder.
            key: The key of the config that names it, for messages.
            needed: Whether a bundle without it would be broken, so that it must not be excluded.

        Returns:
            Its name in the bundle.

        Raises:
            ConfigError: It is not there, must not leave the machine, or is needed and excluded.
        """
        place = Path(os.path.normpath(self.root / path))
        name = self._name(place)
        if not place.exists():
            raise ConfigError(f"{key}: there is no {self.shown(place)}{self._near(place)}", key=key)
        if place.is_dir():
            for inner in self._walk(place, key):
                within = inner.is_relative_to(self.root)
                self._take(self._name(inner) if within else f"{name}/{inner.relative_to(place).as_posix()}", inner, key)
            return name
        if self._keeps_secrets(place):
            leads = f" leads to {place.resolve()}, which" if place.is_symlink() else ""
            raise ConfigError(
                f"{key}: {self.shown(place)}{leads} is, by its name, a file that keeps secrets; if it is none, name it in "
                "pack_model.not_secret",
                key=key,
            )
        if self._is_excluded(name):
            if needed:
                raise ConfigError(
                    f"pack_model.exclude leaves out {name}, but {key} needs it; take it out of the list",
                    key="pack_model.exclude",
                )
            return name
        self._take(name, place, key)
        return name

    def add_matching(self, pattern: str, key: str) -> None:
        """Take a file, a folder, or all that a pattern (`src/*.py`) matches.

        Raises:
            ConfigError: There is nothing of the kind.
        """
        path = Path(os.path.normpath(self.root / pattern))
        if path.exists() or not set(pattern) & set("*?["):
            self.add(path, key, needed=False)
            return
        inner = self.shown(path)
        if inner.startswith("/"):
            raise ConfigError(f"{key}: {pattern}: patterns stand for files in the recipe's folder only", key=key)
        found = sorted(self.root.glob(inner))
        if not found:
            raise ConfigError(f"{key}: nothing in {self.root} matches {pattern}", key=key)
        for each in found:
            self.add(each, key, needed=False)

    def shown(self, path: Path) -> str:
        """A path from the recipe's folder if it is inside, else the whole path."""
        place = Path(os.path.normpath(self.root / path))
        return place.relative_to(self.root).as_posix() if place.is_relative_to(self.root) else place.as_posix()

    def check(self) -> None:
        """See that nothing of it is secret, and that there is room for it.

        Raises:
            ConfigError: A file holds a secret, or the disk is too full.
        """
        with Progress("pack_model: looks for secrets", len(self._files), unit="files") as progress:
            for name, path in sorted(self._files.items()):
                progress.describe(name)
                self._refuse_secret(name, path)
                progress.advance()
            progress.describe("")
        total = sum(path.stat().st_size for path in self._files.values())
        free = shutil.disk_usage(_existing(self.out_dir)).free
        if total > free:
            raise ConfigError(f"the bundle needs {size_in_words(total)}, and {self.out_dir} has {size_in_words(free)}")

    def copy_to(self, folder: Path) -> None:
        """Copy all files into `folder`."""
        with Progress("pack_model", len(self._files), unit="files") as progress:
            for name, path in sorted(self._files.items()):
                progress.describe(name)
                copy(path, folder / name)
                progress.advance()
            progress.describe("")

    def _keeps_secrets(self, path: Path) -> bool:
        return secret_file(path) and not _matches(self.shown(path), self._not_secret)

    def _refuse_secret(self, name: str, path: Path) -> None:
        found = None if _matches(self.shown(path), self._not_secret) else secret_in_file(path)
        if found:
            raise ConfigError(
                f"{self._reasons[name]}: {self.shown(path)} holds {found}, so it is not packed; take it out of the file, "
                "leave the file out with pack_model.exclude, or, if it is none, name the file in pack_model.not_secret"
            )

    def _take(self, name: str, path: Path, key: str) -> None:
        self._files[name] = path
        self._reasons.setdefault(name, key)

    def _name(self, place: Path) -> str:
        if place.is_relative_to(self.root):
            inner = place.relative_to(self.root).as_posix()
            # A README of the recipe is not the bundle's own.
            return f"{OUTSIDE}/{inner}" if inner in _TAKEN or f"{inner}/".startswith("conf/") else inner
        name = f"{OUTSIDE}/{place.name}"
        number = 2
        while name in self._files and self._files[name] != place:
            name = f"{OUTSIDE}/{number}/{place.name}"
            number += 1
        return name

    def _walk(self, folder: Path, key: str) -> Iterator[Path]:
        for root, folders, files in os.walk(folder):
            here = Path(root)
            folders[:] = sorted(name for name in folders if self._wanted(here / name))
            for name in [*folders, *sorted(files)]:
                path = here / name
                if not self._wanted(path) or (path.is_symlink() and not self._may_follow(path, key)):
                    continue
                if name in files:
                    if self._keeps_secrets(path):
                        self._leave_out(path, "by its name or that of what it links to, it keeps secrets")
                        continue
                    yield path

    def _may_follow(self, path: Path, key: str) -> bool:
        """Whether a link in a folder is packed as what it leads to.

        Raises:
            ConfigError: It leads to no file of the recipe.
        """
        target = path.resolve()
        if self._keeps_secrets(target):
            self._leave_out(path, "what it links to keeps secrets, by its name")
            return False
        if not target.exists() or target.is_dir() or not target.is_relative_to(self.root):
            raise ConfigError(
                f"{key}: {self.shown(path)} is a link to {target}, which is no file of the recipe; name it "
                "under pack_model.files to pack what it leads to, or leave it out with pack_model.exclude",
                key=key,
            )
        if not all(self._wanted(each) for each in [target, *target.parents] if each.is_relative_to(self.root)):
            self._leave_out(path, f"it is a link to {self.shown(target)}, which is left out")
            return False
        return True

    def _leave_out(self, path: Path, why: str) -> None:
        console_line(f"pack_model: {self.shown(path)} is left out: {why}")

    def _wanted(self, path: Path) -> bool:
        leftover = any(fnmatch(path.name, pattern) for pattern in _LEFTOVERS)
        return not leftover and path != self.out_dir and not self._is_excluded(self.shown(path))

    def _is_excluded(self, name: str) -> bool:
        return _matches(name, self._exclude)

    def _near(self, place: Path) -> str:
        there = [each.name for each in place.parent.iterdir()] if place.parent.is_dir() else []
        return did_you_mean(place.name, there)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns stands for a file, for its name alone, or for a folder that it is in."""
    parts = name.split("/")
    above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(fnmatch(each, pattern) for pattern in patterns for each in [*above, parts[-1]])


def copy(source: Path, target: Path) -> None:
    """Copy the content of a file, and bring it to the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, _CHUNK)
        writing.flush()
        os.fsync(writing.fileno())


def size_in_words(size: int) -> str:
    """Bytes in words that a person reads at a glance: "12 kB", "1.4 GB"."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
