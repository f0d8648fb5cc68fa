"""Imports of what may be large: of Lightning, or of all that a recipe's module needs."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What comes with an import of so many modules is worth being left out of all later walks.
_MANY = 100


@contextmanager
def large_imports() -> Iterator[None]:
    """Leave the cyclic garbage collector out while libraries are imported, and what they hold out of its later walks.

    Modules stay to the end. The collector would walk all of them over and over as they come: a quarter of the time that
    importing Lightning takes, and 40 % with ESPnet2.
    """
    running = gc.isenabled()
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before + _MANY:
            gc.freeze()
        if running:
            gc.enable()
