"""AN4: how its archive becomes audio and manifests (`builder`) and how they are read (`dataset`).

ESPnet3 finds the two classes here when another recipe names this one by its tag. They are imported when they are asked
for: a builder runs without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .builder import MiniAn4Builder as DatasetBuilder
    from .dataset import MiniAn4 as Dataset

__all__ = ["Dataset", "DatasetBuilder"]


def __getattr__(name: str) -> Any:
    if name == "Dataset":
        from .dataset import MiniAn4

        return MiniAn4
    if name == "DatasetBuilder":
        from .builder import MiniAn4Builder

        return MiniAn4Builder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
