"""Clips of first words: made from spoken digits, some of them labelled by a machine (`builder`), and read (`clips`)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .builder import ClipsBuilder as DatasetBuilder
    from .clips import Clips as Dataset

__all__ = ["Dataset", "DatasetBuilder"]


def __getattr__(name: str) -> Any:
    # A builder runs without torch.
    if name == "Dataset":
        from .clips import Clips

        return Clips
    if name == "DatasetBuilder":
        from .builder import ClipsBuilder

        return ClipsBuilder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
