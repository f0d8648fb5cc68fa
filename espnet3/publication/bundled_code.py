"""The Python that comes with a bundle, imported from there under the names that it has in its recipe.

Two bundles, or a bundle and the recipe at hand, may each have a package `src`. So the modules of a bundle are in
`sys.modules` only while its code runs, and what stood there before is put back. An import that its code makes at any other
time (in a generator that is read later, in a thread) puts them there for as long as it takes.

They are made from the files that were verified, and from no others: not from byte code that lies beside them, nor from a
file that the bundle does not list.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from espnet3.publication.foreign import BundleError
from espnet3.publication.import_guard import process_lock, shut_out

_COMPILED = (".so", ".pyd", ".dll", ".dylib")
# A bundle that has its own would take them from everything else that runs meanwhile.
_FRAMEWORK = frozenset(
    {
        "dask", "distributed", "egs3", "esp3c", "esp3rt", "espnet", "espnet2", "espnet3", "gradio", "huggingface_hub",
        "hydra", "lightning", "lightning_fabric", "lightning_utilities", "numpy", "omegaconf", "onnx", "onnxruntime",
        "packaging", "pytorch_lightning", "rich", "safetensors", "scipy", "sentencepiece", "soundfile", "soxr", "torch",
        "torchaudio", "torchmetrics", "torchvision", "tqdm", "transformers", "typing_extensions", "yaml",
    }
)  # fmt: skip


def is_code(name: str) -> bool:
    """Whether a file is, by its name, one that an import runs."""
    return name.endswith((".py", *_COMPILED))


def root_of(name: str) -> str:
    """The name of the top module that a file of a bundle is in."""
    first = name.split("/")[0]
    return first.split(".")[0] if "/" not in name else first


def reserved(names: Iterable[str]) -> list[str]:
    """The code files whose top module has the name of a module of Python or of the framework."""
    taken = _FRAMEWORK | sys.stdlib_module_names
    return sorted(name for name in names if is_code(name) and root_of(name) in taken)


class BundledCode:
    """The modules of one bundle.

    Args:
        folder: The bundle.
        hashes: The SHA-256 of each file, by its name in the bundle.

    Raises:
        BundleError: It would take the place of a module of Python or of the framework.
    """

    def __init__(self, folder: Path, hashes: Mapping[str, str]) -> None:
        self.folder = folder
        self._hashes = {name: digest for name, digest in hashes.items() if is_code(name)}
        taken = reserved(self._hashes)
        if taken:
            raise BundleError(
                f"{folder}: {taken[0]} would take the place of {root_of(taken[0])!r}, a module of Python or of the framework; "
                "a bundle may not have one of that name"
            )
        self._roots = {root_of(name) for name in self._hashes}
        self._modules: dict[str, ModuleType] = {}
        self._finder = _Finder(folder, self._roots, self._hashes, {**vars(builtins), "__import__": self._import})
        self._depth = 0

    @contextmanager
    def active(self, *, enter: bool = False) -> Iterator[None]:
        """Let the bundle's code be imported and run in this block.

        Args:
            enter: Whether the bundle becomes the working folder meanwhile.
        """
        with process_lock, ExitStack() as stack:
            if self._depth == 0:
                stack.enter_context(shut_out(self.folder, enter=enter))
                stack.enter_context(self._in_place())
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        outer = self._take_out()
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.meta_path.remove(self._finder)
            self._modules = self._take_out()
            sys.modules.update(outer)

    def _take_out(self) -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.split(".")[0] in self._roots]
        return {name: sys.modules.pop(name) for name in names}

    def _import(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> ModuleType:
        """`__import__`, as the bundle's modules have it."""
        # While the code is in place, a thread that it has started must not wait for the one that waits for it.
        if self._depth or not (level or name.split(".")[0] in self._roots):
            return builtins.__import__(name, globals, locals, fromlist, level)
        with self.active():
            return builtins.__import__(name, globals, locals, fromlist, level)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, folder: Path, roots: set[str], hashes: Mapping[str, str], builtin: dict[str, Any]) -> None:
        self._folder = folder
        self._roots = roots
        self._hashes = hashes
        self._builtin = builtin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in self._roots:
            return None
        name = fullname.replace(".", "/")
        for file, is_package in ((f"{name}/__init__.py", True), (f"{name}.py", False)):
            if file in self._hashes:
                place = self._folder / file
                loader = _SourceLoader(fullname, str(place), self._verify(file), self._builtin)
                within = [str(place.parent)] if is_package else None
                return importlib.util.spec_from_file_location(
                    fullname, place, loader=loader, submodule_search_locations=within
                )
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            if f"{name}{suffix}" in self._hashes:
                place = self._folder / f"{name}{suffix}"
                return importlib.util.spec_from_file_location(
                    fullname, place, loader=_CompiledLoader(fullname, str(place), self._verify(f"{name}{suffix}"))
                )
        if any(file.startswith(f"{name}/") for file in self._hashes):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self._folder / name)]
            return spec
        # The finders behind this one look into the bundle's folders, whatever meta.yaml lists.
        raise ModuleNotFoundError(f"No module named {fullname!r} (the bundle {self._folder} has none)", name=fullname)

    def _verify(self, file: str) -> Callable[[bytes], None]:
        def verify(data: bytes) -> None:
            if hashlib.sha256(data).hexdigest() != self._hashes[file]:
                raise BundleError(f"{file} is not as it was packed; fetch or pack the bundle again")

        return verify


class _SourceLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, verify: Callable[[bytes], None], builtin: dict[str, Any]) -> None:
        super().__init__(fullname, path)
        self._verify = verify
        self._builtin = builtin

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        self._verify(data)
        code: Any = self.source_to_code(data, path)
        return code if isinstance(code, CodeType) else None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtin
        super().exec_module(module)


class _CompiledLoader(importlib.machinery.ExtensionFileLoader):
    def __init__(self, fullname: str, path: str, verify: Callable[[bytes], None]) -> None:
        super().__init__(fullname, path)
        self._verify = verify

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        self._verify(Path(self.path).read_bytes())
        return super().create_module(spec)
