"""The real world: modules on disk and in the environment, and the reading of recipes.

A module is found as Python itself would find it, the recipe's folder first, but nothing is imported: only the finders
of top-level names are asked, and packages are walked as folders.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Protocol

from esp3c.looks import Looks
from esp3c.source import Source
from esp3c.world import Module, ModuleKind, is_tag

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
        self.looks = Looks()
        self._store = store
        self._search = search if search is not None else [path for path in sys.path if path]
        self._modules: dict[str, tuple[Module, list[str]] | None] = {}
        self._sources: dict[str, Source | None] = {}

    def module(self, name: str) -> Module | None:
        found = self._find(name)
        return found[0] if found else None

    def source(self, module: Module) -> Source | None:
        if module.place not in self._sources:
            self._sources[module.place] = _read_python(self.looks, module.place)
        return self._sources[module.place]

    def stub(self, module: Module) -> Module | None:
        place = module.place.removesuffix(".py") + ".pyi"
        there = module.place.endswith(".py") and self.looks.is_file(place)
        return Module(module.name, ModuleKind.SOURCE, place, module.local) if there else None

    def has(self, path: str) -> bool | None:
        whole = os.path.join(self.recipe_dir, path)
        return self.looks.is_file(whole) or self.looks.is_folder(whole)

    def beside(self, path: str) -> list[str]:
        folder = os.path.dirname(os.path.join(self.recipe_dir, path))
        return [name for name, _ in self.looks.entries(folder)]

    def recall(self, module: Module) -> str | None:
        kept = self._store.get("module", _identity(self.looks, module)) if self._store is not None else None
        return kept.decode("utf-8", "replace") if kept is not None else None

    def remember(self, module: Module, known: str) -> None:
        # Of a file that was written just now, a second change may look like the first.
        if self._store is not None and self.looks.settled(module.place):
            self._store.put("module", _identity(self.looks, module), known.encode("utf-8", "replace"))

    def settled(self, question: str) -> bool:
        kept = self._store.get("settled", self._asked(question)) if self._store is not None else None
        try:
            modules = json.loads(kept) if kept is not None else None
            return modules is not None and all(self._as_it_was(name, was) for name, was in modules)
        except (ValueError, TypeError):
            return False

    def settle(self, question: str, modules: Collection[Module]) -> None:
        if self._store is None or not all(self.looks.settled(module.place) for module in modules):
            return
        known = sorted({module.name: _identity(self.looks, module) for module in modules}.items())
        self._store.put("settled", self._asked(question), json.dumps(known).encode())

    def _asked(self, question: str) -> str:
        # A module of the recipe's folder may stand before an installed one of the same name.
        return f"{self.recipe_dir} {self._search} {question}"

    def _as_it_was(self, name: str, identity: str) -> bool:
        module = self.module(name)
        return module is not None and _identity(self.looks, module) == identity

    def submodules(self, name: str) -> list[str]:
        if name:
            found = self._find(name)
            folders = found[1] if found else []
            return sorted({each for folder in folders for each in _modules_in(self.looks, folder)})
        own = _modules_in(self.looks, str(self.recipe_dir))
        environment = {each for folder in self._search for each in _modules_in(self.looks, folder)}
        return sorted({*own, *environment, *sys.builtin_module_names} - {"__main__"})

    def _find(self, name: str) -> tuple[Module, list[str]] | None:
        if name not in self._modules:
            parent, _, last = name.rpartition(".")
            if parent:
                above = self._find(parent)
                folders = above[1] if above else []
                local = above[0].local if above else False
                self._modules[name] = _in_folders(self.looks, name, last, folders, local)
            else:
                self._modules[name] = self._find_tag(name) if is_tag(name) else self._find_top(name)
        return self._modules[name]

    def _find_top(self, name: str) -> tuple[Module, list[str]] | None:
        own = _in_folders(self.looks, name, name, [str(self.recipe_dir)], True)
        if own is not None:
            return own
        found = _in_folders(self.looks, name, name, self._search, False)
        if found is not None and found[0].kind is not ModuleKind.NAMESPACE:
            return found
        return _from_finders(self.looks, name) or found

    def _find_tag(self, tag: str) -> tuple[Module, list[str]] | None:
        """A tag is a module of `egs3`, or the `dataset` folder of a recipe one or two folders above."""
        recipe, task = tag.split("/")
        # Folders `egs3` are one package, wherever they stand on the path.
        installed = [os.path.join(root, "egs3", recipe, task) for root in (str(self.recipe_dir), *self._search)]
        beside = [
            os.path.join(self.recipe_dir, above, inside)
            for above in ("..", os.path.join("..", ".."))
            for inside in (os.path.join(recipe, task), recipe)
        ]
        return (
            self._dataset_in(tag, installed)
            or self._find(f"egs3.{recipe}.{task}.dataset")
            or self._dataset_in(tag, beside)
        )

    def _dataset_in(self, tag: str, folders: list[str]) -> tuple[Module, list[str]] | None:
        for folder in folders:
            place = os.path.join(folder, "dataset", "__init__.py")
            if self.looks.is_file(place):
                return Module(tag, ModuleKind.SOURCE, place, True), [os.path.dirname(place)]
        return None


def _identity(looks: Looks, module: Module) -> str:
    """A name for a module's text: the file, and what changes when somebody writes to it."""
    facts = " ".join(map(str, looks.facts(module.place) or ["absent"]))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{module.name} {os.path.abspath(module.place)} {facts} python {python}"


def _from_finders(looks: Looks, name: str) -> tuple[Module, list[str]] | None:
    """Built-in and frozen modules, and editable installs that bring a finder of their own."""
    if name in sys.builtin_module_names:
        return Module(name, ModuleKind.OPAQUE, "built in", False), []
    spec = looks.spec(name)
    if spec is None:
        return None
    origin, folders = spec
    if origin.endswith(".py"):
        return Module(name, ModuleKind.SOURCE, origin, False), folders
    kind = ModuleKind.NAMESPACE if folders else ModuleKind.OPAQUE
    return Module(name, kind, folders[0] if folders else origin, False), folders


def _in_folders(looks: Looks, name: str, last: str, folders: list[str], local: bool) -> tuple[Module, list[str]] | None:
    namespaces: list[str] = []
    for folder in folders:
        base = os.path.join(folder, last)
        init = os.path.join(base, "__init__.py")
        if looks.is_file(init):
            return Module(name, ModuleKind.SOURCE, init, local), [base]
        if looks.is_file(base + ".py"):
            return Module(name, ModuleKind.SOURCE, base + ".py", local), []
        if any(looks.is_file(base + suffix) for suffix in EXTENSION_SUFFIXES):
            for stub in (base + ".pyi", os.path.join(base, "__init__.pyi")):
                # A compiled module says in its stub what it holds.
                if looks.is_file(stub):
                    return Module(name, ModuleKind.SOURCE, stub, local), []
            return Module(name, ModuleKind.OPAQUE, base, local), []
        if looks.is_folder(base):
            namespaces.append(base)
    if namespaces:
        return Module(name, ModuleKind.NAMESPACE, namespaces[0], local), namespaces
    return None


def _modules_in(looks: Looks, folder: str) -> list[str]:
    names: list[str] = []
    for name, is_folder in looks.entries(folder):
        stem, dot, ending = name.partition(".")
        if stem.isidentifier() and ((dot and ending == "py") or (not dot and is_folder)):
            names.append(stem)
    return [name for name in names if name not in {"__init__", "__pycache__"}]


def _read_python(looks: Looks, place: str) -> Source | None:
    data = looks.read(place, MAX_MODULE_BYTES)
    if data is None:
        return None
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return Source(os.path.relpath(place) if not place.startswith(sys.prefix) else place, text)
