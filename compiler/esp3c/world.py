"""What the compiler asks about its surroundings, and an answer from memory.

Everything above asks a `World`; the real one, which reads the disk, is `esp3c.disk`. So every rule can be tried on
text alone, and nothing in the compiler opens a file by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Protocol

from esp3c.record import record
from esp3c.source import Source


class ModuleKind(StrEnum):
    SOURCE = "source"  # a file of Python text
    NAMESPACE = "namespace"  # a folder without __init__.py
    OPAQUE = "opaque"  # compiled, built in, or not readable


@record
class Module:
    """Where a module would come from. `place` is a path to show; `local` means the recipe's own folder."""

    name: str
    kind: ModuleKind
    place: str
    local: bool


def is_tag(text: str) -> bool:
    """Whether a text is a tag `recipe/task`: the name of a dataset module that another recipe has."""
    parts = text.split("/")
    return len(parts) == 2 and all(part.isidentifier() for part in parts)


class World(Protocol):
    def module(self, name: str) -> Module | None:
        """The module of this dotted name: from the recipe's folder first, then the environment. Never imports.

        The first part may be a tag, `spoken_digits/asr.builder`: that of the dataset module that the tag leads to.
        """

    def source(self, module: Module) -> Source | None:
        """The text of a `SOURCE` module, or None where it cannot be read."""

    def stub(self, module: Module) -> Module | None:
        """The stub beside a module (PEP 484): the same module under the place of its `.pyi` file."""

    def submodules(self, name: str) -> list[str]:
        """The names of the modules directly inside a package; of top-level modules for the empty name."""

    def has(self, path: str) -> bool | None:
        """Whether a file or folder is there, seen from the recipe's folder; None where that cannot be known."""

    def beside(self, path: str) -> list[str]:
        """The names of what stands in the same folder as a path, seen from the recipe's folder."""

    def recall(self, module: Module) -> str | None:
        """What `remember` was told of this module, if its text is still the same."""

    def remember(self, module: Module, known: str) -> None:
        """Keeps what was found out about a module, for a later run."""

    def settled(self, question: str) -> bool:
        """Whether `settle` was told of this question, and every module that it was told of is as it was."""

    def settle(self, question: str, modules: Collection[Module]) -> None:
        """Keeps, for a later run, that a question was asked in these modules and nothing came of it."""


class MemoryWorld:
    """A world of modules given as text, `{"src.model": "class M: ..."}`. Parent packages are there by themselves.

    `files` are the other files of the recipe's folder; without them, nothing is known of files.
    """

    def __init__(self, modules: Mapping[str, str] | None = None, files: Collection[str] | None = None) -> None:
        self._files = files
        self._modules = dict(modules or {})
        self._sources: dict[str, Source] = {}
        self._parents = {
            name.rsplit(".", depth)[0] for name in self._modules for depth in range(1, name.count(".") + 1)
        }

    def module(self, name: str) -> Module | None:
        if name in self._modules:
            ending = "/__init__.py" if name in self._parents else ".py"
            return Module(name, ModuleKind.SOURCE, name.replace(".", "/") + ending, local=True)
        if name in self._parents:
            return Module(name, ModuleKind.NAMESPACE, name.replace(".", "/"), local=True)
        return None

    def source(self, module: Module) -> Source | None:
        text = self._modules.get(module.name)
        if text is None:
            return None
        return self._sources.setdefault(module.name, Source(module.place, text))

    def submodules(self, name: str) -> list[str]:
        prefix = name + "." if name else ""
        known = self._modules.keys() | self._parents
        return sorted({each[len(prefix) :].split(".")[0] for each in known if each.startswith(prefix)})

    def stub(self, module: Module) -> Module | None:
        return None

    def has(self, path: str) -> bool | None:
        if self._files is None:
            return None
        there = [*self._files, *(name.replace(".", "/") + ".py" for name in self._modules)]
        return any(each == path or each.startswith(path + "/") for each in there)

    def beside(self, path: str) -> list[str]:
        folder = path.rpartition("/")[0]
        prefix = folder + "/" if folder else ""
        there = [*(self._files or ()), *(name.replace(".", "/") + ".py" for name in self._modules)]
        return list(dict.fromkeys(each[len(prefix) :].split("/")[0] for each in there if each.startswith(prefix)))

    def recall(self, module: Module) -> str | None:
        return None

    def remember(self, module: Module, known: str) -> None:
        return

    def settled(self, question: str) -> bool:
        return False

    def settle(self, question: str, modules: Collection[Module]) -> None:
        return
