"""The recipe's own source files behind a dotted name, found without importing anything.

The working folder is the recipe's. What a file imports from the recipe decides its results as much as what stands
in it, so imports are followed; those of installed packages lead to no file here and end there.
"""

import ast
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

# What their code does is told by their version.
_FRAMEWORK = ("espnet3", "esp3rt")
_INSTALLED = tuple({path for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platlib", "purelib")})
# Python 3.11 cannot make two syntax trees at once.
_parsing = threading.Lock()


def sources_of(name: str, roots: Sequence[Path] = (Path(),)) -> set[str]:
    """The files that `name` ("src.inference.build_output") is made of; none if it is not of this recipe.

    Args:
        name: A dotted path.
        roots: Folders in which the recipe's modules are.
    """
    return _with_imports(_files_of(name, roots), roots)


def files_named(name: str) -> set[str]:
    """The file of the module that `name` begins with, and those of the packages around it, without what they import."""
    return {path.as_posix() for path in _files_of(name, (Path(),))}


def sources_of_class(cls: type) -> set[str]:
    """The files that a class is made of, its bases' too, where they are neither of the framework nor installed.

    It does not go by the class's name: one that was made in a function, or in a script that was started from
    elsewhere, is found as well.
    """
    found: set[str] = set()
    for base in cls.__mro__:
        file = getattr(sys.modules.get(base.__module__), "__file__", None)
        if file is None or base.__module__.partition(".")[0] in _FRAMEWORK or _is_installed(file):
            continue
        path = Path(file)
        # The folder from which the module's own package is imported.
        root = path.parents[min(base.__module__.count("."), len(path.parents) - 1)]
        roots = tuple(dict.fromkeys((Path(), root, path.parent)))
        found |= _with_imports([path], roots)
    return found


def _with_imports(files: Iterable[Path], roots: Sequence[Path]) -> set[str]:
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path.as_posix() not in found and path.is_file():
            found.add(path.as_posix())
            waiting.extend(target for imported in _imports_of(path) for target in _files_of(imported, roots))
    return found


def _files_of(name: str, roots: Sequence[Path]) -> Iterator[Path]:
    """The file of the longest module that `name` begins with, and those of the packages around it."""
    parts = name.split(".")
    if parts[0] in _FRAMEWORK or not all(part.isidentifier() for part in parts):
        return
    for root in roots:
        for length in range(len(parts), 0, -1):
            module = root.joinpath(*parts[:length])
            for path in (module.with_suffix(".py"), module / "__init__.py"):
                if path.is_file():
                    yield path
                    around = [root.joinpath(*parts[:depth]) for depth in range(1, length)]
                    yield from (init for folder in around if (init := folder / "__init__.py").is_file())
                    return


def _is_installed(file: str) -> bool:
    return any(file.startswith(folder) for folder in _INSTALLED)


def _imports_of(path: Path) -> tuple[str, ...]:
    state = path.stat()
    with _parsing:
        return _imports(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _imports(path: Path, changed: int, size: int) -> tuple[str, ...]:
    """The dotted names that a file imports; its time and size are there to tell it from what it was before."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        # Python says what is wrong with it when it is imported.
        return ()
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.parts[: len(path.parts) - node.level] if node.level else ()
            module = ".".join((*package, *filter(None, [node.module])))
            found.extend(f"{module}.{alias.name}" if alias.name != "*" else module for alias in node.names)
    return tuple(found)
