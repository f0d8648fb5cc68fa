"""What turns raw sources into a dataset on disk, in four steps that can be asked and repeated."""

from abc import ABC, abstractmethod
from typing import Any


class DatasetBuilder(ABC):
    """Prepares a recipe's data: fetches the source, then builds what the `Dataset` reads.

    `create_dataset` asks before it acts, so a finished step costs nothing when the stage runs again:

        if not builder.is_source_prepared(**kwargs): builder.prepare_source(**kwargs)
        if not builder.is_built(**kwargs):           builder.build(**kwargs)

    Every method gets the same keyword arguments, the `create_dataset` section of the training config. The two
    questions should be cheap looks at the disk; the other two methods do the work and may be killed at any
    point, so a question must answer `False` for a half-done result.
    """

    @abstractmethod
    def is_source_prepared(self, **kwargs: Any) -> bool:
        """Say whether the raw source (an archive, a download) is complete."""

    @abstractmethod
    def prepare_source(self, **kwargs: Any) -> None:
        """Fetch or unpack the raw source."""

    @abstractmethod
    def is_built(self, **kwargs: Any) -> bool:
        """Say whether everything that the `Dataset` reads is there."""

    @abstractmethod
    def build(self, **kwargs: Any) -> None:
        """Make from the raw source what the `Dataset` reads: audio, manifests, splits."""
