"""The recipe's own source files behind a dotted name, found without importing anything.

The working folder is the recipe's. What a file imports from the recipe decides its results as much as what stands
in it, so imports are followed; those of installed packages lead to no file here and end there.
"""

import ast
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

# What their code does is told by their version.
_FRAMEWORK = ("espnet3", "esp3rt")
# Python 3.11 cannot make two syntax trees at once.
_parsing = threading.Lock()


def sources_of(name: str) -> set[str]:
    """The files that `name` ("src.inference.build_output") is made of; none if it is not of this recipe."""
    found: set[str] = set()
    waiting = list(_files_of(name))
    while waiting:
        path = waiting.pop()
        if path.as_posix() not in found:
            found.add(path.as_posix())
            waiting.extend(target for imported in _imports_of(path) for target in _files_of(imported))
    return found


def _files_of(name: str) -> Iterator[Path]:
    """The file of the longest module that `name` begins with, and those of the packages around it."""
    parts = name.split(".")
    if parts[0] in _FRAMEWORK or not all(part.isidentifier() for part in parts):
        return
    for length in range(len(parts), 0, -1):
        module = Path(*parts[:length])
        for path in (module.with_suffix(".py"), module / "__init__.py"):
            if path.is_file():
                yield path
                yield from (init for folder in path.parents if (init := folder / "__init__.py").is_file())
                return


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
