"""Both recipes call their packages `src` and `dataset`: each test gets those of one recipe, and leaves none."""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]

_PACKAGES = ("src", "dataset")

Importer = Callable[[str], ModuleType]
Tree = dict[str, bytes]


@pytest.fixture
def importer_of() -> Iterator[Callable[[str], Importer]]:
    """`importer_of("mini_an4")("src.model")` is that recipe's module, for this test alone."""
    path = list(sys.path)
    kept = _forget_recipe_modules()

    def choose(recipe: str) -> Importer:
        sys.path.insert(0, str(ROOT / "recipes" / recipe))
        importlib.invalidate_caches()
        return importlib.import_module

    yield choose
    _forget_recipe_modules()
    sys.modules.update(kept)
    sys.path[:] = path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """These models are so small that sharing their work among threads costs more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def read_tree() -> Callable[[Path], Tree]:
    """All files below a folder, hidden ones too: relative path to content."""

    def read(folder: Path) -> Tree:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read


@pytest.fixture
def kill_while_running(tmp_path: Path) -> Callable[..., int]:
    """Start Python code in a recipe's folder again and again, and SIGKILL it at random moments.

    A moment is a number of files that must have appeared under `folder`, and a few milliseconds more. Returned is
    how many processes were killed before they were done.
    """

    def run(recipe: str, code: str, folder: Path, *, moments: list[int], environment: dict[str, str]) -> int:
        draw = random.Random(7)
        killed = 0
        for files in moments:
            before = _count_files(folder)
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=ROOT / "recipes" / recipe,
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
            )
            deadline = time.monotonic() + 30.0
            while process.poll() is None and _count_files(folder) < before + files:
                assert time.monotonic() < deadline, "the process neither ends nor writes files"
                time.sleep(0.001)
            time.sleep(draw.uniform(0.0, 0.01))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        return killed

    return run


def _count_files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def _forget_recipe_modules() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.split(".")[0] in _PACKAGES]
    return {name: sys.modules.pop(name) for name in names}
