"""The spoken digits: how they are made (`builder`) and how they are read (`dataset`).

ESPnet3 finds the two classes here when another recipe names this one by its tag. They are imported when they are asked
for: a builder runs without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .builder import SpokenDigitsBuilder as DatasetBuilder
    from .dataset import SpokenDigits as Dataset

__all__ = ["Dataset", "DatasetBuilder"]


def __getattr__(name: str) -> Any:
    if name == "Dataset":
        from .dataset import SpokenDigits

        return SpokenDigits
    if name == "DatasetBuilder":
        from .builder import SpokenDigitsBuilder

        return SpokenDigitsBuilder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
