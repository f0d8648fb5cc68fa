"""No import finds a file of a bundle because the working folder, or an entry of `sys.path`, happens to be there.

Python started with `-c`, from standard input or by a notebook looks for every module in the working folder first. A bundle
with a `numpy.py` would be run by the next `import numpy`, whether it is trusted or not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# sys.path, sys.modules and the working folder belong to the process: only one bundle at a time changes them.
process_lock = threading.RLock()


@contextlib.contextmanager
def shut_out(folder: Path, *, enter: bool = False) -> Iterator[None]:
    """In this block, `sys.path` does not lead into `folder`.

    Args:
        folder: The bundle.
        enter: Whether the folder becomes the working folder meanwhile; relative entries of `sys.path` stay what they were.
    """
    home = os.path.realpath(folder)
    if not enter and all(_is_elsewhere(entry, home) for entry in sys.path):
        yield
        return
    with process_lock:
        before = list(sys.path)
        kept = [_absolute(entry) for entry in before if _is_elsewhere(entry, home)]
        sys.path[:] = kept
        try:
            with contextlib.chdir(folder) if enter else contextlib.nullcontext():
                yield
        finally:
            # What the code in the block has put there stays.
            sys.path[:] = [*(entry for entry in sys.path if entry not in kept), *before]


def _absolute(entry: str) -> str:
    try:
        return os.path.join(os.getcwd(), entry).rstrip("/") or "/"
    except FileNotFoundError:
        # The working folder is gone, and nothing can be found in it.
        return entry


def _is_elsewhere(entry: str, home: str) -> bool:
    place = os.path.realpath(_absolute(entry))
    return place != home and not place.startswith(f"{home}{os.sep}")
