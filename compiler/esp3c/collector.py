"""Python's cyclic garbage collector, left out while a recipe is worked on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Leaves the cyclic garbage collector out for a while, and puts it back as it was.

    The trees of a recipe live until the end and hold no cycles. The collector would walk them over and over as they
    grow, which makes the time for long recipes more than linear.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
