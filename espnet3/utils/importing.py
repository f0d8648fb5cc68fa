"""Imports of large libraries."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def large_imports() -> Iterator[None]:
    """Leave the cyclic garbage collector out while libraries are imported, and what they hold out of its later walks.

    Modules stay to the end. The collector would walk all of them over and over as they come: a quarter of the time that
    importing Lightning takes.
    """
    running = gc.isenabled()
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        if running:
            gc.enable()
