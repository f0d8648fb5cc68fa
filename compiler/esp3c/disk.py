"""The real world: modules on disk and in the environment, and the reading of recipes.

A module is found as Python itself would find it, the recipe's folder first, but nothing is imported: only the finders
of top-level names are asked, and packages are walked as folders.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from typing import Protocol

from esp3c.source import Source
from esp3c.world import Module, ModuleKind

MAX_MODULE_BYTES = 8_000_000
MAX_RECIPE_BYTES = 64_000_000


class UnreadableRecipe(Exception):
    """The recipe cannot be read as text. The message is one line for a person."""


def read_recipe(path: Path, shown: str) -> Source:
    """The text of a recipe file.

    Raises:
        UnreadableRecipe: the file is absent, a folder, not readable, too large, or not UTF-8 text.
    """
    try:
        if path.is_dir():
            raise UnreadableRecipe(
                f"{shown} is a folder; name the recipe in it, for example {shown.rstrip('/')}/recipe.esp"
            )
        with path.open("rb") as handle:
            # Counted while reading: what is no plain file has no size, and may have no end.
            data = handle.read(MAX_RECIPE_BYTES + 1)
        if len(data) > MAX_RECIPE_BYTES:
            raise UnreadableRecipe(f"{shown} is larger than {MAX_RECIPE_BYTES // 10**6} MB; that is no recipe")
    except FileNotFoundError:
        beside = sorted(each.name for each in path.parent.glob("*.esp")) if path.parent.is_dir() else []
        hint = f"; in that folder: {', '.join(beside[:5])}" if beside else "; `esp3c init` writes one to begin with"
        raise UnreadableRecipe(f"{shown} does not exist{hint}") from None
    except OSError as error:
        raise UnreadableRecipe(f"{shown} cannot be read: {error.strerror or error}") from None
    return Source(shown, decode(data, shown))


def decode(data: bytes, shown: str) -> str:
    """UTF-8 text, with a byte order mark taken off."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableRecipe(
            f"{shown}:{line}: byte {error.start} (0x{data[error.start]:02x}) is not UTF-8 text; save the file as UTF-8"
        ) from None
    if "\0" in text:
        raise UnreadableRecipe(f"{shown} holds a NUL character: that is not a text file")
    return text


class Store(Protocol):
    """Keeps bytes between runs. What it gives back is what was put there, or nothing."""

    def get(self, kind: str, key: str) -> bytes | None: ...

    def put(self, kind: str, key: str, data: bytes) -> None: ...


class DiskWorld:
    """Modules of one recipe folder and of this Python's environment. Answers are kept for the life of the object."""

    def __init__(self, recipe_dir: Path, search: list[str] | None = None, store: Store | None = None) -> None:
        self.recipe_dir = recipe_dir
        self._store = store
        self._search = search if search is not None else [path for path in sys.path if path]
        self._modules: dict[str, tuple[Module, list[str]] | None] = {}
        self._sources: dict[str, Source | None] = {}

    def module(self, name: str) -> Module | None:
        found = self._find(name)
        return found[0] if found else None

    def source(self, module: Module) -> Source | None:
        if module.place not in self._sources:
            self._sources[module.place] = _read_python(module.place)
        return self._sources[module.place]

    def recall(self, module: Module) -> str | None:
        kept = self._store.get("module", _identity(module)) if self._store is not None else None
        return kept.decode("utf-8", "replace") if kept is not None else None

    def remember(self, module: Module, known: str) -> None:
        if self._store is not None:
            self._store.put("module", _identity(module), known.encode("utf-8", "replace"))

    def submodules(self, name: str) -> list[str]:
        if name:
            found = self._find(name)
            folders = found[1] if found else []
            return sorted({each for folder in folders for each in _modules_in(folder)})
        own = _modules_in(str(self.recipe_dir))
        environment = {each for folder in self._search for each in _modules_in(folder)}
        return sorted({*own, *environment, *sys.builtin_module_names} - {"__main__"})

    def _find(self, name: str) -> tuple[Module, list[str]] | None:
        if name not in self._modules:
            parent, _, last = name.rpartition(".")
            if parent:
                above = self._find(parent)
                folders = above[1] if above else []
                local = above[0].local if above else False
                self._modules[name] = _in_folders(name, last, folders, local)
            else:
                self._modules[name] = self._find_top(name)
        return self._modules[name]

    def _find_top(self, name: str) -> tuple[Module, list[str]] | None:
        own = _in_folders(name, name, [str(self.recipe_dir)], True)
        if own is not None:
            return own
        found = _in_folders(name, name, self._search, False)
        if found is not None and found[0].kind is not ModuleKind.NAMESPACE:
            return found
        return _from_finders(name) or found


def _identity(module: Module) -> str:
    """A name for a module's text: the file, and what changes when somebody writes to it."""
    try:
        facts = os.stat(module.place)
    except OSError:
        return f"{module.name} {module.place} absent"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    size, at = facts.st_size, f"{facts.st_mtime_ns} {facts.st_ctime_ns}"
    return f"{module.name} {os.path.abspath(module.place)} {facts.st_dev} {facts.st_ino} {size} {at} python {version}"


def _from_finders(name: str) -> tuple[Module, list[str]] | None:
    """Built-in and frozen modules, and editable installs that bring a finder of their own."""
    if name in sys.builtin_module_names:
        return Module(name, ModuleKind.OPAQUE, "built in", False), []
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is None:
            continue
        try:
            spec: ModuleSpec | None = find(name, None)
        except (ImportError, ValueError, AttributeError):
            continue
        if spec is None:
            continue
        folders = [str(each) for each in spec.submodule_search_locations or ()]
        origin = spec.origin or ""
        if origin.endswith(".py"):
            return Module(name, ModuleKind.SOURCE, origin, False), folders
        kind = ModuleKind.NAMESPACE if folders else ModuleKind.OPAQUE
        return Module(name, kind, folders[0] if folders else origin, False), folders
    return None


def _in_folders(name: str, last: str, folders: list[str], local: bool) -> tuple[Module, list[str]] | None:
    namespaces: list[str] = []
    for folder in folders:
        base = os.path.join(folder, last)
        init = os.path.join(base, "__init__.py")
        if os.path.isfile(init):
            return Module(name, ModuleKind.SOURCE, init, local), [base]
        if os.path.isfile(base + ".py"):
            return Module(name, ModuleKind.SOURCE, base + ".py", local), []
        if any(os.path.isfile(base + suffix) for suffix in EXTENSION_SUFFIXES):
            for stub in (base + ".pyi", os.path.join(base, "__init__.pyi")):
                # A compiled module says in its stub what it holds.
                if os.path.isfile(stub):
                    return Module(name, ModuleKind.SOURCE, stub, local), []
            return Module(name, ModuleKind.OPAQUE, base, local), []
        if os.path.isdir(base):
            namespaces.append(base)
    if namespaces:
        return Module(name, ModuleKind.NAMESPACE, namespaces[0], local), namespaces
    return None


def _modules_in(folder: str) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, dot, ending = entry.name.partition(".")
                if not stem.isidentifier():
                    continue
                if (dot and ending == "py") or (not dot and entry.is_dir()):
                    names.append(stem)
    except OSError:
        return []
    return [name for name in names if name not in {"__init__", "__pycache__"}]


def _read_python(place: str) -> Source | None:
    try:
        if os.path.getsize(place) > MAX_MODULE_BYTES:
            return None
        with open(place, encoding="utf-8-sig", errors="replace") as handle:
            return Source(os.path.relpath(place) if not place.startswith(sys.prefix) else place, handle.read())
    except OSError:
        return None
