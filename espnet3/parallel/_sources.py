"""The recipe's own source files behind a dotted name, found without importing anything.

The working folder is the recipe's. What a file imports from the recipe decides its results as much as what stands
in it, so imports are followed; those of installed packages lead to no file here and end there.
"""

import ast
from collections.abc import Iterator
from pathlib import Path


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
    if not all(part.isidentifier() for part in parts):
        return
    for length in range(len(parts), 0, -1):
        module = Path(*parts[:length])
        for path in (module.with_suffix(".py"), module / "__init__.py"):
            if path.is_file():
                yield path
                yield from (init for folder in path.parents if (init := folder / "__init__.py").is_file())
                return


def _imports_of(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        # Python says what is wrong with it when it is imported.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.parts[: len(path.parts) - node.level] if node.level else ()
            module = ".".join((*package, *filter(None, [node.module])))
            yield from (f"{module}.{alias.name}" if alias.name != "*" else module for alias in node.names)
