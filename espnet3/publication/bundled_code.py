"""The Python that comes with a bundle, imported from there under the names that it has in its recipe.

Two bundles, or a bundle and the recipe at hand, may each have a package `src`. So the modules of a bundle are in
`sys.modules` only while its code runs, and what stood there before is put back. They are compiled from the files that
were verified, never from byte code that lies beside them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from espnet3.publication.sealed_folder import BundleError, inside

# sys.modules belongs to the process: only one bundle's code is in it at a time.
_lock = threading.RLock()


class BundledCode:
    """The modules of one bundle.

    Args:
        folder: The bundle.
        hashes: The SHA-256 of each Python file, by its name in the bundle.
    """

    def __init__(self, folder: Path, hashes: Mapping[str, str]) -> None:
        self.folder = folder
        self._hashes = {name: digest for name, digest in hashes.items() if name.endswith(".py")}
        self._roots = {inside(name).split("/")[0].removesuffix(".py") for name in self._hashes}
        self._modules: dict[str, ModuleType] = {}
        self._finder = _Finder(folder, self._roots, self._hashes)
        self._depth = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the bundle's code be imported and run in this block."""
        with _lock:
            if self._depth == 0:
                outer = self._take_out()
                sys.modules.update(self._modules)
                sys.meta_path.insert(0, self._finder)
                importlib.invalidate_caches()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    sys.meta_path.remove(self._finder)
                    self._modules = self._take_out()
                    sys.modules.update(outer)

    def _take_out(self) -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.split(".")[0] in self._roots]
        return {name: sys.modules.pop(name) for name in names}


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, folder: Path, roots: set[str], hashes: Mapping[str, str]) -> None:
        self._folder = folder
        self._roots = roots
        self._hashes = hashes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in self._roots:
            return None
        name = fullname.replace(".", "/")
        for file, is_package in ((f"{name}/__init__.py", True), (f"{name}.py", False)):
            if file in self._hashes:
                place = self._folder / file
                loader = _Loader(fullname, str(place), file, self._hashes[file])
                within = [str(place.parent)] if is_package else None
                return importlib.util.spec_from_file_location(
                    fullname, place, loader=loader, submodule_search_locations=within
                )
        if any(file.startswith(f"{name}/") for file in self._hashes):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self._folder / name)]
            return spec
        return None


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, name: str, sha256: str) -> None:
        super().__init__(fullname, path)
        self._name = name
        self._sha256 = sha256

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        if hashlib.sha256(data).hexdigest() != self._sha256:
            raise BundleError(f"{self._name} is not as it was packed; fetch or pack the bundle again")
        code: Any = self.source_to_code(data, path)
        return code if isinstance(code, CodeType) else None
